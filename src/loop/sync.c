/* SPDX-License-Identifier: Apache-2.0 */
/* What coroutines have among themselves; the same in the simulation. */
#include <stdlib.h>

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
