/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of guests whose code checks no epoch (the busy profile): each computes on one of its own for as long as it does. As many
 * as there are cores go on at a time, the others are held where they are (interrupt.h), and every few ms those go on that have
 * had the least for their weight. A pause, a quota's end and a kill interrupt them in the same way. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/module.h"
#include "wasm/worker/sched_own.h"

enum { IDLE_MOST = 8 };
/* By so much less virtual time another must have had before one that goes on is held for it. */
#define SLICE_NS (8 * NSEC_PER_MSEC)

struct busy {
    struct list link; /* all */
    struct list idle; /* in idle while it is */
    pthread_cond_t wake;
    struct guest *given; /* what it is to run next; NULL */
    struct guest *guest; /* what it runs; NULL */
    struct interrupt_target target;
    bool goes_on; /* one of those that are not held for others */
    bool chosen;  /* while they are chosen */
    bool asleep;  /* paused: not among sched.running */
    clockid_t clock;
    int64_t charged; /* of its clock: up to here */
    pid_t tid;
};

/* The scheduler's lock's. */
static struct list all = LIST_INIT(all), idle = LIST_INIT(idle);
static struct list waiting = LIST_INIT(waiting); /* guests for whom no thread could be had */
static unsigned idle_count;
static int64_t virtual_now; /* the least of those that go on */

static int64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* Time */

/* By which it competes: its pod's, where that has resources of its own. */
static struct fair_item *item_of(struct guest *g)
{
    return g->group ? &g->group->fair.item : &g->fair;
}

static void charge(struct busy *t)
{
    struct guest *g = t->guest;
    int64_t now = clock_of(t->clock), ns = now - t->charged;
    t->charged = now;
    atomic_fetch_add(&g->cpu_ns, (uint64_t)ns);
    item_of(g)->virtual += fair_scale(ns, item_of(g));
    if (g->control)
        fair_quota_charge(&g->control->quota, 0, ns);
    if (g->group)
        fair_quota_charge(&g->group->fair.quota, 0, ns);
    if (g->control && g->control->cpu_limit && atomic_load(&g->cpu_ns) >= g->control->cpu_limit)
        guest_limit(g, GUEST_LIMIT_CPU);
}

static bool is_paused(const struct guest *g)
{
    return g->paused || g->stopped;
}

static bool must_wait(const struct guest *g, int64_t now)
{
    return is_paused(g) || (g->control && fair_quota_until(&g->control->quota, now)) ||
           (g->group && fair_quota_until(&g->group->fair.quota, now));
}

/* Who goes on */

static int64_t key_of(const struct busy *t)
{
    return item_of(t->guest)->virtual - (t->goes_on ? SLICE_NS : 0);
}

/* Of those that want to: who has had the least; NULL where all have been chosen. */
static struct busy *least(int64_t now)
{
    struct busy *t, *best = NULL;
    list_each(t, &all, link)
    {
        if (t->guest && !t->chosen && !must_wait(t->guest, now) &&
            (!best || key_of(t) - key_of(best) < 0))
            best = t;
    }
    return best;
}

static void choose(int64_t now)
{
    struct busy *t;
    for (unsigned i = 0; i < sched.cores && (t = least(now)); i++) {
        t->chosen = true;
        if (!i)
            virtual_now = item_of(t->guest)->virtual;
    }
    list_each(t, &all, link)
    {
        t->goes_on = t->chosen;
        t->chosen = false;
    }
}

/* The ticker is there for guests that run, not for those that stay where they are until somebody asks. */
static void set_asleep(struct busy *t, bool asleep)
{
    if (t->asleep == asleep)
        return;
    t->asleep = asleep;
    if (asleep)
        sched.running--;
    else if (!sched.running++)
        pthread_cond_signal(&sched.computing);
}

/* Makes it stop, wait or go on, as it should; what has no effect at once is repeated by the ticker. */
static void steer(struct busy *t, int64_t now)
{
    struct interrupt_target *target = &t->target;
    bool kill = atomic_load(&t->guest->kill), held = atomic_load(&target->held);
    bool wait = !kill && (!t->goes_on || must_wait(t->guest, now));
    if (!wait && atomic_load(&target->hold))
        interrupt_release(target);
    if (wait)
        atomic_store(&target->hold, 1);
    if (kill || (wait && !held))
        interrupt_send(t->tid);
    set_asleep(t, wait && held && is_paused(t->guest));
}

static void balance(void)
{
    struct busy *t;
    int64_t now = clock_mono_ns();
    choose(now);
    list_each(t, &all, link)
    {
        if (t->guest)
            steer(t, now);
    }
}

/* Turns */

static void begin(struct busy *t, struct guest *g)
{
    g->state = GUEST_RUNNING;
    atomic_store(&g->yield, atomic_load(&g->kill) != 0);
    if (item_of(g)->virtual - virtual_now < 0) /* nothing is saved up by waiting */
        item_of(g)->virtual = virtual_now;
    t->target = (struct interrupt_target){
        .code = g->module->code, .space = &g->space, .returns = g->returns, .kill = &g->kill};
    t->goes_on = true; /* until others are looked at */
    t->charged = clock_of(t->clock);
    t->guest = g;
    if (!sched.running++)
        pthread_cond_signal(&sched.computing);
    sched.turns++;
}

static void run(struct busy *t, struct guest *g)
{
    begin(t, g);
    sched_unlock();
    interrupt_begin(&t->target);
    enum guest_turn turn = guest_run(g, INT64_MAX);
    interrupt_end();
    sched_lock();
    charge(t);
    t->guest = NULL;
    t->goes_on = false;
    set_asleep(t, false);
    sched.running--;
    balance();
    sched_turn_ended(g, turn);
}

/* Threads */

static struct guest *take(struct busy *t)
{
    struct guest *g = take_ptr(&t->given);
    if (!g && (g = list_first(&waiting, struct guest, link)))
        list_remove(&g->link);
    return g;
}

/* False: it is to end. */
static bool rest(struct busy *t)
{
    if (idle_count >= IDLE_MOST)
        return false;
    idle_count++;
    list_append(idle.next, &t->idle);
    while (!list_empty(&t->idle))
        sched_wait(&t->wake);
    idle_count--;
    return true;
}

static void *compute(void *arg)
{
    struct busy *t = arg;
    sched_lock();
    pthread_getcpuclockid(pthread_self(), &t->clock);
    t->tid = gettid();
    compute_step_back(t->tid);
    do
        for (struct guest *g; (g = take(t));)
            run(t, g);
    while (rest(t));
    list_remove(&t->link);
    sched_unlock();
    pthread_cond_destroy(&t->wake);
    free(t);
    return NULL;
}

static struct busy *start(void)
{
    struct error err = {0};
    struct busy *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    list_init(&t->idle);
    pthread_cond_init(&t->wake, NULL);
    if (sched_start_thread(compute, t, &err) < 0) {
        free(t);
        return NULL;
    }
    list_append(&all, &t->link);
    return t;
}

static struct busy *wake_idle(void)
{
    struct busy *t = list_first(&idle, struct busy, idle);
    if (t) {
        list_remove(&t->idle);
        pthread_cond_signal(&t->wake);
    }
    return t;
}

static struct busy *thread_of(const struct guest *g)
{
    struct busy *t;
    list_each(t, &all, link)
    {
        if (t->guest == g || t->given == g)
            return t;
    }
    return NULL;
}

/* What the scheduler calls */

void busy_put(struct guest *g)
{
    struct busy *t = wake_idle();
    if (!t)
        t = start();
    if (t)
        t->given = g;
    else
        list_append(&waiting, &g->link);
}

void busy_remove(struct guest *g)
{
    struct busy *t = thread_of(g);
    if (t)
        t->given = NULL;
    else
        list_remove(&g->link);
}

void busy_steer(const struct guest *g)
{
    struct busy *t = thread_of(g);
    if (t && t->guest)
        balance();
}

int64_t busy_spent(const struct guest *g)
{
    const struct busy *t = thread_of(g);
    return t && t->guest ? clock_of(t->clock) - t->charged : 0;
}

void busy_tick(void)
{
    struct busy *t;
    struct guest *g = list_first(&waiting, struct guest, link);
    if (list_empty(&all) && !g)
        return;
    list_each(t, &all, link)
    {
        if (t->guest && !t->asleep)
            charge(t);
    }
    balance();
    if (g) {
        list_remove(&g->link);
        busy_put(g);
    }
}
