/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that hibernates guests which have been parked for long. */
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched_own.h"

#define REST_AFTER_NS (1 * NSEC_PER_SEC)
/* So much later, with all whose time has come by then: a thread's sleep and wake cost half of what hibernating does. */
#define GATHER_NS (NSEC_PER_SEC / 8)

/* The lock is held, but not while it packs. */
static void rest_one(struct guest *g)
{
    list_remove(&g->link);
    g->state = GUEST_RESTING;
    g->due = false;
    sched_unlock();
    hibernate_guest(g);
    sched_lock();
    if (atomic_load(&g->kill)) {
        sched_stop_waiting(g);
        sched_finish(g, atomic_load(&g->kill));
    } else if (g->due) {
        sched_make_ready(g, true);
    } else {
        g->state = GUEST_PARKED;
    }
}

void *sched_rest(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "rest");
    bool works = hibernate_works();
    runtime_drop_library_pages(); /* of the compiler, which the trial has used */
    if (!works)
        return NULL;
    sched_lock();
    for (;;) {
        struct guest *g = list_first(&sched.tired, struct guest, link);
        int64_t left = g ? g->parked_ns + REST_AFTER_NS - clock_mono_ns() : 0;
        if (!g) {
            sched_wait(&sched.rest);
        } else if (left > 0) {
            left += GATHER_NS;
            sched_unlock();
            nanosleep(&(struct timespec){left / NSEC_PER_SEC, left % NSEC_PER_SEC}, NULL);
            sched_lock();
        } else {
            rest_one(g);
        }
    }
    return NULL;
}
