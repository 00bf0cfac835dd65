/* SPDX-License-Identifier: Apache-2.0 */
/* What coroutines wait for outside: descriptors, the pool. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "loop/loop.h"

struct fd_wait {
    uv_poll_t poll;
    struct co *co;
    int events;
};

static void fd_ready(uv_poll_t *p, int status, int events)
{
    struct fd_wait *w = p->data;
    w->events = status < 0 ? status : events;
    uv_poll_stop(p);
    co_wake(w->co);
}

static void fd_closed(uv_handle_t *h)
{
    free(h->data);
}

static struct fd_wait *watch_fd(int fd, int events, int *ret_error)
{
    struct fd_wait *w = calloc(1, sizeof *w);
    *ret_error = w ? 0 : -ENOMEM;
    if (!w)
        return NULL;
    w->co = co_self();
    w->poll.data = w;
    *ret_error = uv_poll_init(loop_uv(), &w->poll, fd);
    if (*ret_error < 0) {
        free(w);
        return NULL;
    }
    uv_poll_start(&w->poll, events, fd_ready);
    return w;
}

int co_wait_fd(int fd, int events, int64_t deadline_ns)
{
    int r;
    struct fd_wait *w = watch_fd(fd, events, &r);
    if (!w)
        return r;
    while (!w->events && co_park_until(deadline_ns))
        ;
    r = w->events;
    uv_close((uv_handle_t *)&w->poll, fd_closed);
    return r;
}

int co_wait_fds(struct co_fd *fds, size_t count, int64_t deadline_ns)
{
    enum { MOST = 16 };
    struct fd_wait *waits[MOST];
    size_t n = 0;
    int r = count > MOST ? -EINVAL : 0, ready = 0;
    for (; r == 0 && n < count; n++) {
        waits[n] = watch_fd(fds[n].fd, fds[n].events, &r);
        if (!waits[n])
            break;
    }
    if (r == 0)
        co_park_until(deadline_ns);
    for (size_t i = 0; i < n; i++) {
        fds[i].ready = waits[i]->events;
        ready += waits[i]->events != 0;
        uv_close((uv_handle_t *)&waits[i]->poll, fd_closed);
    }
    return r < 0 ? r : ready;
}

struct pool_work {
    uv_work_t work;
    int (*fn)(void *arg, struct error *err);
    void *arg;
    struct error *err;
    struct co *co;
    int result;
    bool done;
};

static void pool_run(uv_work_t *work)
{
    struct pool_work *w = work->data;
    w->result = w->fn(w->arg, w->err);
}

static void pool_done(uv_work_t *work, int status)
{
    struct pool_work *w = work->data;
    (void)status;
    w->done = true;
    co_wake(w->co);
}

int co_pool(int (*fn)(void *arg, struct error *err), void *arg, struct error *err)
{
    if (!co_self())
        return fn(arg, err);
    struct pool_work w = {.fn = fn, .arg = arg, .err = err, .co = co_self()};
    w.work.data = &w;
    int r = uv_queue_work(loop_uv(), &w.work, pool_run, pool_done);
    if (r < 0)
        return fail(err, r, "hand work to the pool");
    while (!w.done)
        co_park();
    return w.result;
}
