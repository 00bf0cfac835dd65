/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines on fibers. The ready ones are a list that is drained before and after each poll of
 * the loop; while it is not empty an idle handle keeps the poll from blocking. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "loop/fiber.h"
#include "loop/loop.h"

enum { IDLE_MAX = 256, DRAIN_MAX = 1024 };

struct co {
    struct list ready; /* linked while it is to run */
    struct fiber fiber;
    uv_timer_t timer; /* of co_park_until */
    bool woken;       /* a wake that no park has taken yet */
    bool expired;
};

static struct {
    uv_loop_t uv;
    bool made;
    uv_idle_t idle;
    uv_prepare_t before;
    uv_check_t after;
    struct list ready;
    struct list yielded; /* ready once the loop has polled */
    struct list spare;
    size_t spare_count;
    struct co *current;
    struct fiber_host host;
} loop;

static void drain(void);

static void idle_turn(uv_idle_t *h)
{
    (void)h;
}

static void before_poll(uv_prepare_t *h)
{
    (void)h;
    drain();
}

static void after_poll(uv_check_t *h)
{
    (void)h;
    while (!list_empty(&loop.yielded)) {
        struct co *co = list_first(&loop.yielded, struct co, ready);
        list_remove(&co->ready);
        list_append(&loop.ready, &co->ready);
    }
    drain();
}

uv_loop_t *loop_uv(void)
{
    if (loop.made)
        return &loop.uv;
    loop.made = true;
    list_init(&loop.ready);
    list_init(&loop.yielded);
    list_init(&loop.spare);
    if (uv_loop_init(&loop.uv) < 0)
        abort();
    uv_idle_init(&loop.uv, &loop.idle);
    uv_prepare_init(&loop.uv, &loop.before);
    uv_check_init(&loop.uv, &loop.after);
    uv_prepare_start(&loop.before, before_poll);
    uv_check_start(&loop.after, after_poll);
    uv_unref((uv_handle_t *)&loop.before);
    uv_unref((uv_handle_t *)&loop.after);
    return &loop.uv;
}

void loop_run(void)
{
    uv_run(loop_uv(), UV_RUN_DEFAULT);
}

void loop_stop(void)
{
    uv_stop(loop_uv());
}

static void co_free(struct co *co)
{
    fiber_done(&co->fiber);
    free(co);
}

static void timer_closed(uv_handle_t *h)
{
    co_free(h->data);
}

static void retire(struct co *co)
{
    list_remove(&co->ready); /* it may have been woken after its last park */
    if (loop.spare_count >= IDLE_MAX) {
        uv_close((uv_handle_t *)&co->timer, timer_closed);
        return;
    }
    list_append(&loop.spare, &co->ready);
    loop.spare_count++;
}

static void resume(struct co *co)
{
    loop.current = co;
    fiber_resume(&co->fiber);
    loop.current = NULL;
    if (co->fiber.finished)
        retire(co);
}

static void drain(void)
{
    for (int i = 0; i < DRAIN_MAX && !list_empty(&loop.ready); i++) {
        struct co *co = list_first(&loop.ready, struct co, ready);
        list_remove(&co->ready);
        resume(co);
    }
    if (list_empty(&loop.ready) && list_empty(&loop.yielded))
        uv_idle_stop(&loop.idle);
}

static void make_ready(struct co *co)
{
    if (!list_empty(&co->ready))
        return;
    list_append(&loop.ready, &co->ready);
    uv_idle_start(&loop.idle, idle_turn);
}

static struct co *co_new(void)
{
    struct co *co = calloc(1, sizeof *co);
    if (!co)
        abort();
    fiber_init(&co->fiber, &loop.host);
    uv_timer_init(&loop.uv, &co->timer);
    co->timer.data = co;
    return co;
}

void co_start(void (*fn)(void *arg), void *arg)
{
    loop_uv();
    struct co *co = list_first(&loop.spare, struct co, ready);
    if (co) {
        list_remove(&co->ready);
        loop.spare_count--;
    } else {
        co = co_new();
        list_init(&co->ready);
    }
    co->woken = false;
    fiber_set(&co->fiber, fn, arg);
    make_ready(co);
}

struct co *co_self(void)
{
    return loop.current;
}

void co_wake(struct co *co)
{
    co->woken = true;
    make_ready(co);
}

static void timer_fired(uv_timer_t *t)
{
    struct co *co = t->data;
    co->expired = true;
    make_ready(co);
}

bool co_park_until(int64_t deadline_ns)
{
    struct co *co = loop.current;
    if (!co)
        abort();
    co->expired = false;
    if (deadline_ns != INT64_MAX) {
        int64_t left = deadline_ns - clock_mono_ns();
        uint64_t ms = left > 0 ? (uint64_t)((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC) : 0;
        uv_update_time(&loop.uv);
        uv_timer_start(&co->timer, timer_fired, ms, 0);
    }
    while (!co->woken && !co->expired)
        fiber_leave(&co->fiber);
    if (deadline_ns != INT64_MAX)
        uv_timer_stop(&co->timer);
    bool woken = co->woken;
    co->woken = false;
    list_remove(&co->ready);
    return woken;
}

void co_park(void)
{
    co_park_until(INT64_MAX);
}

void co_yield (void)
{
    struct co *co = loop.current;
    list_append(&loop.yielded, &co->ready);
    uv_idle_start(&loop.idle, idle_turn);
    fiber_leave(&co->fiber);
}

void co_sleep(int64_t ns)
{
    int64_t until = clock_mono_ns() + ns;
    while (co_park_until(until))
        ;
}
