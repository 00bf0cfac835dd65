/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/foreign_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "log/log.h"
#include "loop/loop.h"

enum {
    READ_MAX = 64 << 10,
    LOOK_MS = 250
}; /* how often a silent one is asked whether it has ended */

struct foreign_log {
    struct log_writer writer;
    struct co_mutex mutex; /* of the writer, which is used on the pool */
    unsigned readers;
    bool ended, dropped;
};

struct reader {
    struct foreign_log *log;
    enum log_stream stream;
    int fd;
    size_t len;
    char data[READ_MAX];
};

static void release(struct foreign_log *log)
{
    if (--log->readers)
        return;
    log_writer_done(&log->writer);
    free(log);
}

static int write_log(void *arg, struct error *err)
{
    struct reader *r = arg;
    if (!r->len)
        return log_writer_flush(&r->log->writer, clock_wall_ns(), err);
    return log_writer_write(&r->log->writer, r->stream, r->data, r->len, clock_wall_ns(), err);
}

static void take(struct reader *r)
{
    struct error err = {0};
    auto(co_locked) struct co_mutex *held = co_lock(&r->log->mutex);
    if (held && co_pool(write_log, r, &err) < 0)
        diag_warning("a container's log: %s", err.message);
}

/* The FIFO is open for writing here too, so that a writer may come and go: its end is told, not read. */
static void read_fifo(void *arg)
{
    struct reader *r = arg;
    bool last = false; /* a look after the end, for what a slow copier still brings */
    while (!r->log->dropped) {
        ssize_t n = read(r->fd, r->data, sizeof r->data);
        r->len = n > 0 ? (size_t)n : 0;
        if (r->len) {
            take(r);
            continue;
        }
        if (last || (n < 0 && errno != EAGAIN && errno != EINTR))
            break;
        last = r->log->ended;
        co_wait_fd(r->fd, UV_READABLE, clock_mono_ns() + LOOK_MS * NSEC_PER_MSEC);
    }
    take(r); /* flushes */
    release(r->log);
    close(r->fd);
    free(r);
}

static int start_reader(struct foreign_log *log, const char *dir, const char *name,
                        enum log_stream stream, struct error *err)
{
    autofree char *path = str_format("%s/%s", dir, name);
    autofree struct reader *r = calloc(1, sizeof *r);
    if (!path || !r)
        return fail(err, ENOMEM, "read a container's output");
    r->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (r->fd < 0)
        return errno == ENOENT ? 0 : fail(err, errno, "open FIFO '%s'", path);
    r->log = log;
    r->stream = stream;
    log->readers++;
    co_start(read_fifo, take_ptr(&r));
    return 0;
}

int foreign_log_open(struct foreign_log **ret, const char *dir, const char *address,
                     struct error *err)
{
    struct log_target target = {0};
    struct foreign_log *log = calloc(1, sizeof *log);
    if (!log)
        return fail(err, ENOMEM, "open a container's log");
    log->readers = 1;
    log->writer.fd = -1;
    co_mutex_init(&log->mutex);
    int r = log_target_parse(address, &target, err);
    if (r == 0)
        r = log_writer_init(&log->writer, &target, err);
    if (r < 0) {
        free(log);
        return r;
    }
    r = start_reader(log, dir, "stdout", LOG_STDOUT, err);
    if (r == 0)
        r = start_reader(log, dir, "stderr", LOG_STDERR, err);
    if (r < 0)
        foreign_log_drop(log);
    else
        *ret = log;
    return r;
}

void foreign_log_end(struct foreign_log *log)
{
    if (!log)
        return;
    log->ended = true;
    release(log);
}

void foreign_log_drop(struct foreign_log *log)
{
    if (!log)
        return;
    log->dropped = true;
    release(log);
}
