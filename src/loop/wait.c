/* SPDX-License-Identifier: Apache-2.0 */
/* What coroutines wait for: each other, descriptors, the pool. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "loop/loop.h"

struct waiter {
    struct list link;
    struct co *co;
    bool woken;
};

void co_queue_init(struct co_queue *q)
{
    list_init(&q->waiting);
}

bool co_queue_wait(struct co_queue *q, int64_t deadline_ns)
{
    struct waiter w = {.co = co_self()};
    list_append(&q->waiting, &w.link);
    while (!w.woken && co_park_until(deadline_ns))
        ;
    list_remove(&w.link);
    return w.woken;
}

void co_queue_wake_one(struct co_queue *q)
{
    struct waiter *w = list_first(&q->waiting, struct waiter, link);
    if (!w)
        return;
    list_remove(&w->link);
    w->woken = true;
    co_wake(w->co);
}

void co_queue_wake_all(struct co_queue *q)
{
    while (!list_empty(&q->waiting))
        co_queue_wake_one(q);
}

bool co_queue_empty(const struct co_queue *q)
{
    return list_empty(&q->waiting);
}

void co_mutex_init(struct co_mutex *m)
{
    co_queue_init(&m->queue);
    m->locked = false;
}

void co_mutex_lock(struct co_mutex *m)
{
    /* the unlocking side hands the lock over, so nobody can slip in between */
    if (m->locked)
        co_queue_wait(&m->queue, INT64_MAX);
    m->locked = true;
}

void co_mutex_unlock(struct co_mutex *m)
{
    if (co_queue_empty(&m->queue))
        m->locked = false;
    else
        co_queue_wake_one(&m->queue);
}

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

int co_wait_fd(int fd, int events, int64_t deadline_ns)
{
    struct fd_wait *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->co = co_self();
    w->poll.data = w;
    int r = uv_poll_init(loop_uv(), &w->poll, fd);
    if (r < 0) {
        free(w);
        return r;
    }
    uv_poll_start(&w->poll, events, fd_ready);
    while (!w->events && co_park_until(deadline_ns))
        ;
    r = w->events;
    uv_close((uv_handle_t *)&w->poll, fd_closed);
    return r;
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

struct soon {
    void (*fn)(void *arg);
    void *arg;
};

static void run_soon(void *arg)
{
    struct soon s = *(struct soon *)arg;
    free(arg);
    s.fn(s.arg);
}

void loop_soon(void (*fn)(void *arg), void *arg)
{
    struct soon *s = malloc(sizeof *s);
    if (!s)
        abort();
    *s = (struct soon){fn, arg};
    co_start(run_soon, s);
}
