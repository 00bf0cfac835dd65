/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/simulate.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "loop/fiber.h"
#include "loop/loop.h"

enum { MOST_FDS = 16, SPARE_MAX = 64 };

struct co {
    struct list link; /* in all, or in spare */
    struct fiber fiber;
    bool ready, woken, expired;
    int64_t deadline; /* INT64_MAX: none */
};

static struct {
    struct list all, spare;
    size_t spare_count;
    bool made;
    struct co *current;
    struct fiber_host host;
    uint64_t random;
    int64_t now;
} sim;

static int64_t virtual_now(void)
{
    return sim.now;
}

void simulate_begin(uint64_t seed)
{
    if (!sim.made) {
        list_init(&sim.all);
        list_init(&sim.spare);
        sim.made = true;
    }
    sim.random = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
    sim.now = INT64_C(1700000000) * NSEC_PER_SEC;
    clock_replace(virtual_now);
}

void simulate_end(void)
{
    clock_replace(NULL);
}

/* splitmix64 */
uint32_t simulate_random(uint32_t n)
{
    uint64_t x = sim.random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (uint32_t)((x >> 32) * n >> 32);
}

/* Turns */

static void retire(struct co *co)
{
    list_remove(&co->link);
    if (sim.spare_count < SPARE_MAX) {
        sim.spare_count++;
        list_append(&sim.spare, &co->link);
        return;
    }
    fiber_done(&co->fiber);
    free(co);
}

static struct co *pick(void)
{
    struct co *co, *chosen = NULL;
    uint32_t ready = 0;
    list_each(co, &sim.all, link) ready += co->ready;
    if (!ready)
        return NULL;
    uint32_t which = simulate_random(ready);
    list_each(co, &sim.all, link) if (co->ready && which-- == 0)
    {
        chosen = co;
        break;
    }
    return chosen;
}

static bool jump(void)
{
    struct co *co;
    int64_t next = INT64_MAX;
    list_each(co, &sim.all, link) if (co->deadline < next) next = co->deadline;
    if (next == INT64_MAX)
        return false;
    if (next > sim.now)
        sim.now = next;
    return true;
}

static void expire(void)
{
    struct co *co;
    list_each(co, &sim.all, link) if (co->deadline <= sim.now)
    {
        co->deadline = INT64_MAX;
        co->expired = co->ready = true;
    }
}

static bool turn(void)
{
    expire();
    struct co *co = pick();
    if (!co && jump()) {
        expire();
        co = pick();
    }
    if (!co)
        return false;
    sim.now += simulate_random(2000);
    co->ready = false;
    sim.current = co;
    fiber_resume(&co->fiber);
    sim.current = NULL;
    if (co->fiber.finished)
        retire(co);
    return true;
}

bool simulate_run(uint64_t turns)
{
    while (turns--)
        if (!turn())
            return false;
    return true;
}

bool simulate_until(const bool *done, uint64_t turns)
{
    while (!*done && turns--)
        if (!turn())
            break;
    return *done;
}

void simulate_abandon(void)
{
    while (!list_empty(&sim.all)) {
        struct co *co = list_first(&sim.all, struct co, link);
        list_remove(&co->link);
        fiber_done(&co->fiber);
        free(co);
    }
}

/* Coroutines */

void co_start(void (*fn)(void *arg), void *arg)
{
    struct co *co = list_first(&sim.spare, struct co, link);
    if (co) {
        list_remove(&co->link);
        sim.spare_count--;
    } else {
        co = calloc(1, sizeof *co);
        if (!co)
            abort();
        list_init(&co->link);
        fiber_init(&co->fiber, &sim.host);
    }
    co->woken = co->expired = false;
    co->deadline = INT64_MAX;
    co->ready = true;
    fiber_set(&co->fiber, fn, arg);
    list_append(&sim.all, &co->link);
}

struct co *co_self(void)
{
    return sim.current;
}

void co_wake(struct co *co)
{
    co->woken = co->ready = true;
}

bool co_park_until(int64_t deadline_ns)
{
    struct co *co = sim.current;
    co->expired = false;
    co->deadline = deadline_ns;
    while (!co->woken && !co->expired)
        fiber_leave(&co->fiber);
    co->deadline = INT64_MAX;
    bool woken = co->woken;
    co->woken = false;
    return woken;
}

void co_park(void)
{
    co_park_until(INT64_MAX);
}

void co_yield (void)
{
    struct co *co = sim.current;
    co->ready = true;
    fiber_leave(&co->fiber);
}

void co_sleep(int64_t ns)
{
    int64_t until = sim.now + ns;
    while (co_park_until(until))
        ;
}

/* Descriptors and the pool */

int co_wait_fds(struct co_fd *fds, size_t count, int64_t deadline_ns)
{
    struct pollfd polls[MOST_FDS];
    if (count > MOST_FDS)
        return -EINVAL;
    for (;;) {
        for (size_t i = 0; i < count; i++) {
            short events = (short)((fds[i].events & UV_READABLE ? POLLIN : 0) |
                                   (fds[i].events & UV_WRITABLE ? POLLOUT : 0));
            polls[i] = (struct pollfd){.fd = fds[i].fd, .events = events};
        }
        int n = poll(polls, count, 0);
        for (size_t i = 0; i < count; i++)
            fds[i].ready = polls[i].revents ? fds[i].events : 0;
        int64_t next = sim.now + NSEC_PER_MSEC;
        if (n != 0 || sim.now >= deadline_ns)
            return n < 0 ? -errno : n;
        if (co_park_until(next < deadline_ns ? next : deadline_ns))
            return 0;
    }
}

int co_wait_fd(int fd, int events, int64_t deadline_ns)
{
    struct co_fd one = {.fd = fd, .events = events};
    int r;
    do {
        r = co_wait_fds(&one, 1, deadline_ns);
    } while (r == 0 && sim.now < deadline_ns);
    return r < 0 ? r : one.ready;
}

/* Mostly short, sometimes very long. */
static int64_t disk_time(void)
{
    return (int64_t)simulate_random(1u << simulate_random(24));
}

int co_pool(int (*fn)(void *arg, struct error *err), void *arg, struct error *err)
{
    if (!sim.current)
        return fn(arg, err);
    co_sleep(disk_time());
    int r = fn(arg, err);
    co_sleep(disk_time());
    return r;
}
