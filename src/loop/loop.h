/* SPDX-License-Identifier: Apache-2.0 */
/* loop: one thread, one libuv loop, coroutines, and a pool of threads for what blocks.
 *
 * A program has one loop; all state of the engine or a sandboxer changes only on its thread, so
 * there are no locks. A request is a coroutine: straight-line code that parks at whatever waits.
 * Between two parks nothing else runs; after a park, everything may have changed. A coroutine's
 * stack is CO_STACK bytes: large buffers go to the heap.
 *
 * Everything but co_pool()'s function is for the loop's thread. What waits for long and in numbers
 * (wait, attach, events) should hold a small record in a list of its own, not a coroutine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct error;

enum { CO_STACK = 128 * 1024 };

/* The process's loop, made at first use. */
uv_loop_t *loop_uv(void);
/* Runs until loop_stop(). Returns when nothing is ready any more after that. */
void loop_run(void);
void loop_stop(void);
/* Calls fn(arg) on the loop at its next turn. */
void loop_soon(void (*fn)(void *arg), void *arg);

struct co; /* a coroutine; valid until its function returns */

/* Starts fn(arg) as a coroutine; it runs at the loop's next turn, not inside this call. */
void co_start(void (*fn)(void *arg), void *arg);
/* NULL outside any coroutine. */
struct co *co_self(void);
/* Parks until co_wake(); a wake that came first is not lost (one is remembered). */
void co_park(void);
/* As co_park(), but no longer than until deadline (clock_mono_ns). False where time ran out.
 * INT64_MAX: no deadline. */
bool co_park_until(int64_t deadline_ns);
/* Makes co ready to run at the next turn. Harmless on one that is ready already. */
void co_wake(struct co *co);
/* Lets everything else that is ready run once, and what has come from outside. */
void co_yield (void);
void co_sleep(int64_t ns);

/* Waiters of a condition, in order. The zero value is not usable: co_queue_init. */
struct co_queue {
    struct list waiting;
};
void co_queue_init(struct co_queue *q);
/* Parks in the queue. False where deadline (INT64_MAX: none) passed first. Test the condition again
 * after. */
bool co_queue_wait(struct co_queue *q, int64_t deadline_ns);
void co_queue_wake_one(struct co_queue *q);
void co_queue_wake_all(struct co_queue *q);
bool co_queue_empty(const struct co_queue *q);

/* Serves coroutines in the order of their asking. Not recursive. */
struct co_mutex {
    struct co_queue queue;
    bool locked;
};
void co_mutex_init(struct co_mutex *m);
void co_mutex_lock(struct co_mutex *m);
void co_mutex_unlock(struct co_mutex *m);
static inline void cleanup_co_locked(struct co_mutex **m)
{
    if (*m)
        co_mutex_unlock(*m);
}
/* Holds m to the end of the scope: auto(co_locked) struct co_mutex *held = co_lock(&pod->mutex); */
static inline struct co_mutex *co_lock(struct co_mutex *m)
{
    co_mutex_lock(m);
    return m;
}

/* Waits until fd has one of events (UV_READABLE, UV_WRITABLE). The events, 0 at the deadline, or
 * -errno. */
int co_wait_fd(int fd, int events, int64_t deadline_ns);

struct co_fd {
    int fd, events;
    int ready; /* set by co_wait_fds */
};
/* Parks until one of fds has its events (ready says which), somebody wakes the coroutine, or the
 * deadline passes. How many are ready, 0 for a wake or the deadline, or -errno. */
int co_wait_fds(struct co_fd *fds, size_t count, int64_t deadline_ns);

/* Runs fn(arg, err) on a thread of the pool and parks until it has returned; returns what it
 * returned. fn owns what arg points to until then. Outside a coroutine it runs fn in place. */
int co_pool(int (*fn)(void *arg, struct error *err), void *arg, struct error *err);
