/* SPDX-License-Identifier: Apache-2.0 */
#include "docker/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "rpc/http.h"

enum { JOB_CHUNK = 64 * 1024, JOB_PIPE = 1 << 20 };

static int on_pool(void *arg, struct error *err)
{
    struct job *j = arg;
    int r = j->fn(j->arg, j->in, j->out, err);
    close_fd(&j->in);
    close_fd(&j->out);
    return r;
}

static void run(void *arg)
{
    struct job *j = arg;
    j->status = co_pool(on_pool, j, &j->err);
    j->done = true;
    if (j->waiter)
        co_wake(j->waiter);
}

/* The loop's end must not block; the thread's must. */
static int make_pipe(int *loop_end, int *pool_end, bool loop_writes)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *loop_end = fds[loop_writes];
    *pool_end = fds[!loop_writes];
    fcntl(fds[0], F_SETPIPE_SZ, JOB_PIPE); /* fewer turns where it is allowed */
    return fcntl(*loop_end, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int job_start(struct job *j, job_fn *fn, void *arg, struct error *err)
{
    *j = (struct job){.fn = fn, .arg = arg, .in = -1, .out = -1, .feed = -1, .drain = -1};
    int r = make_pipe(&j->feed, &j->in, true);
    if (!r)
        r = make_pipe(&j->drain, &j->out, false);
    if (r < 0) {
        close_fd(&j->feed);
        close_fd(&j->in);
        close_fd(&j->drain);
        close_fd(&j->out);
        return fail(err, r, "make a pipe");
    }
    co_start(run, j);
    return 0;
}

/* False once the thread reads no more. */
static bool feed_all(struct job *j, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(j->feed, data, len);
        if (n < 0 && errno == EAGAIN) {
            if (co_wait_fd(j->feed, UV_WRITABLE, INT64_MAX) < 0)
                return false;
            continue;
        }
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

void job_feed(struct job *j, struct http_request *r)
{
    autofree char *chunk = malloc(JOB_CHUNK);
    bool wanted = true;
    /* what the thread does not want is read all the same, since clients listen only when they have sent everything */
    ssize_t n = -1;
    while (chunk && (n = http_read(r, chunk, JOB_CHUNK, NULL)) > 0)
        wanted = wanted && feed_all(j, chunk, (size_t)n);
    if (n < 0)
        __atomic_store_n(&j->cancelled, true, __ATOMIC_RELEASE);
    close_fd(&j->feed);
}

void job_drain(struct job *j, struct http_request *r, const char *content_type)
{
    autofree char *chunk = malloc(JOB_CHUNK);
    bool listening = true;
    close_fd(&j->feed);
    while (chunk) {
        ssize_t n = read(j->drain, chunk, JOB_CHUNK);
        if (n < 0 && errno == EAGAIN) {
            if (co_wait_fd(j->drain, UV_READABLE, INT64_MAX) < 0)
                break;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (listening && !j->streaming) {
            j->streaming = true;
            listening = http_stream(r, 200, content_type, NULL) == 0;
        }
        listening = listening && http_write(r, chunk, (size_t)n, NULL) == 0;
    }
    close_fd(&j->drain); /* a thread that goes on writing gets EPIPE */
}

int job_finish(struct job *j, struct error *err)
{
    close_fd(&j->feed);
    close_fd(&j->drain);
    j->waiter = co_self();
    while (!j->done)
        co_park();
    return j->status < 0 ? fail_with(err, &j->err) : 0;
}
