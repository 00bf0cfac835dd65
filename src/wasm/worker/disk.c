/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/guest.h"

enum { THREADS_MAX = 32, REST_S = 5, STACK_SIZE = 64 << 10 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list queue;
    unsigned threads, idle, queued;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .queue = LIST_INIT(disk.queue)};

static int64_t result_of(int64_t n)
{
    return n < 0 ? -errno : n;
}

static int64_t do_op(struct job *j)
{
    const struct disk_op *op = j->disk;
    size_t length = (size_t)op->length;
    switch (op->kind) {
    case DISK_READ:
        if (buffer_reserve(&j->bytes, length) < 0)
            return -ENOMEM;
        return result_of(op->offset < 0 ? read(j->fd, j->bytes.data, length)
                                        : pread(j->fd, j->bytes.data, length, op->offset));
    case DISK_WRITE:
        return result_of(op->offset < 0 ? write(j->fd, j->bytes.data, j->bytes.len)
                                        : pwrite(j->fd, j->bytes.data, j->bytes.len, op->offset));
    case DISK_SYNC:
        return result_of(fsync(j->fd));
    case DISK_DATASYNC:
        return result_of(fdatasync(j->fd));
    case DISK_TRUNCATE:
        return result_of(ftruncate(j->fd, op->length));
    case DISK_ALLOCATE:
        /* not posix_fallocate(): where a file system has none, that writes each block, and asks what a worker may not */
        return result_of(fallocate(j->fd, 0, op->offset, op->length));
    case DISK_ADVISE:
        return -posix_fadvise(j->fd, op->offset, op->length, op->advice);
    default:
        return 0;
    }
}

static struct job *take_job(void)
{
    struct job *j = list_first(&disk.queue, struct job, link);
    list_remove(&j->link);
    disk.queued--;
    return j;
}

/* False: nothing has come for a while. The lock is held. */
static bool wait_work(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REST_S;
    int r = 0;
    disk.idle++;
    while (!disk.queued && !r)
        r = pthread_cond_timedwait(&disk.work, &disk.lock, &until);
    disk.idle--;
    return disk.queued;
}

static void *run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&disk.lock);
    while (disk.queued || wait_work()) {
        struct job *j = take_job();
        pthread_mutex_unlock(&disk.lock);
        j->code = do_op(j);
        close_fd(&j->fd);
        if (!job_end(j))
            job_free(j);
        pthread_mutex_lock(&disk.lock);
    }
    disk.threads--;
    pthread_mutex_unlock(&disk.lock);
    return NULL;
}

static int start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
#if !defined(__SANITIZE_ADDRESS__)
    pthread_attr_setstacksize(&attr, STACK_SIZE);
#endif
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attr, run, NULL);
    pthread_attr_destroy(&attr);
    if (!r)
        pthread_setname_np(thread, "disk");
    return -r;
}

/* -errno where there is no thread to do it. */
static int enqueue(struct job *j)
{
    int r = 0;
    pthread_mutex_lock(&disk.lock);
    if (disk.queued >= disk.idle && disk.threads < THREADS_MAX) {
        r = start_thread();
        disk.threads += !r;
        r = disk.threads ? 0 : r;
    }
    if (!r) {
        list_append(&disk.queue, &j->link);
        disk.queued++;
        pthread_cond_signal(&disk.work);
    }
    pthread_mutex_unlock(&disk.lock);
    return r;
}

int disk_do(struct guest *g, int fd, const struct disk_op *op, struct buffer *data)
{
    struct job *j = job_new(g);
    int r = j ? 0 : -ENOMEM;
    if (j) {
        j->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        j->disk = malloc(sizeof *j->disk);
        r = j->fd < 0 ? -errno : j->disk ? 0 : -ENOMEM;
    }
    if (!r) {
        *j->disk = *op;
        if (data) {
            j->bytes = *data;
            *data = (struct buffer){0};
        }
        r = enqueue(j);
    }
    if (r < 0 && j) {
        g->job = NULL;
        job_free(j);
    }
    return r;
}

void disk_close(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    struct job *j = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (writes || !st.st_nlink))
        j = calloc(1, sizeof *j);
    if (j) {
        list_init(&j->link);
        j->fd = fd;
        j->disk = calloc(1, sizeof *j->disk);
        if (j->disk) {
            j->disk->kind = DISK_CLOSE;
            if (enqueue(j) == 0)
                return;
        }
        j->fd = -1;
        job_free(j);
    }
    close(fd);
}
