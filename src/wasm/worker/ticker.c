/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that ends turns when they are over, and sees which do not end. */
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "wasm/worker/sched_own.h"

enum { IDLE_TICKS = 25 };
#define STUCK_NS   (8 * NSEC_PER_MSEC)
#define BLOCKED_NS (100 * NSEC_PER_MSEC) /* in the kernel: a disk */

static void look_for_stuck(struct compute *t, int64_t now)
{
    if (t->role != COMPUTE_USUAL || t->stuck || now - t->until < STUCK_NS)
        return;
    /* one that waits for its core is not stuck */
    if (compute_clock(t) - t->cpu_began < SCHED_SLOW_NS && now - t->until < BLOCKED_NS)
        return;
    t->stuck = true;
    sched.stuck++;
    compute_wake(COMPUTE_USUAL);
}

/* Whether a turn is over; *ret_next: when to look again. */
static bool look_at_turns(int64_t *ret_next)
{
    int64_t now = clock_mono_ns();
    bool due = false;
    *ret_next = now + SCHED_SLICE_NS;
    for (unsigned i = 0; i < sched.thread_count; i++) {
        struct compute *t = &sched.threads[i];
        if (!t->guest)
            continue;
        if (t->until <= now) {
            due = true;
            look_for_stuck(t, now);
        } else if (t->until < *ret_next) {
            *ret_next = t->until;
        }
    }
    return due;
}

void *sched_tick(void *arg)
{
    (void)arg;
    uint64_t seen = 0;
    pthread_setname_np(pthread_self(), "tick");
    unsigned idle_ticks = 0;
    for (;;) {
        int64_t at;
        sched_lock();
        idle_ticks = sched.running || seen != sched.turns ? 0 : idle_ticks + 1;
        while (!sched.running && idle_ticks > IDLE_TICKS)
            sched_wait(&sched.computing);
        seen = sched.turns;
        bool due = look_at_turns(&at);
        busy_tick();
        sched_unlock();
        if (due)
            compute_interrupt();
        struct timespec t = {at / NSEC_PER_SEC, at % NSEC_PER_SEC};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    }
    return NULL;
}
