/* SPDX-License-Identifier: Apache-2.0 */
/* What leads from one of a guest's states to another (sched.h); the lock is held, but where sched.h declares it. */
#include <pthread.h>
#include <sys/epoll.h>

#include "base/base.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/module.h"
#include "wasm/worker/sched_own.h"

/* Waking costs about 50 us of CPU: too much for who sleeps for less. */
#define REST_LEAST_NS (3 * NSEC_PER_SEC)

static struct fair *queue_of(const struct guest *g, struct fair_group **ret_group)
{
    *ret_group = g->group && !g->slow ? &g->group->fair : NULL;
    return g->slow ? &sched.slow : &sched.fair;
}

static void enqueue(struct guest *g, bool woken)
{
    struct fair_group *group;
    struct fair *queue = queue_of(g, &group);
    g->state = GUEST_QUEUED;
    if (g->module->code) {
        busy_put(g);
        return;
    }
    fair_put(queue, &g->fair, group,
             !woken             ? FAIR_TURN_OVER
             : share_is_long(g) ? FAIR_LONG_WOKEN
                                : FAIR_WOKEN);
    compute_offer(g, woken);
}

static void dequeue(struct guest *g)
{
    struct fair_group *group;
    struct fair *queue = queue_of(g, &group);
    if (g->module->code)
        busy_remove(g);
    else
        fair_remove(queue, &g->fair, group);
}

void sched_hold_group(struct sched_group *group, int64_t until)
{
    if (group->fair.held)
        return;
    fair_hold(&sched.fair, &group->fair, true);
    sched_timer_set(&group->refill, until);
}

void sched_release_group(struct sched_group *group)
{
    const struct heap *guests = &group->fair.guests.items;
    fair_hold(&sched.fair, &group->fair, false);
    for (uint32_t i = 0; i < guests->count && i < sched.cores; i++)
        compute_offer(container_of(guests->entries[i].at, struct guest, fair.at), true);
}

void sched_make_ready(struct guest *g, bool woken)
{
    int64_t now = clock_mono_ns();
    if (g->paused || g->stopped) {
        g->state = GUEST_HELD;
        return;
    }
    int64_t until = g->control ? fair_quota_until(&g->control->quota, now) : 0;
    if (!until && g->group && g->module->code)
        until = fair_quota_until(&g->group->fair.quota, now);
    if (until) {
        g->state = GUEST_THROTTLED;
        sched_timer_set(&g->timer, until);
        return;
    }
    until = g->group ? fair_quota_until(&g->group->fair.quota, now) : 0;
    if (until)
        sched_hold_group(g->group, until);
    enqueue(g, woken);
}

void sched_stop_waiting(struct guest *g)
{
    heap_remove(&sched.timers, &g->timer.at);
    for (unsigned i = 0; i < g->wait.count; i++) {
        g->wait.fds[i].guest = NULL;
        if (g->wait.fds[i].fd >= 0)
            epoll_ctl(sched.epoll, EPOLL_CTL_DEL, g->wait.fds[i].fd, NULL);
    }
    sched_drop(take_ptr(&g->wait.fds));
    g->wait.count = 0;
    if (g->state == GUEST_PARKED)
        list_remove(&g->link);
}

/* Its wait is over. */
void sched_wait_ended(struct guest *g)
{
    sched_stop_waiting(g);
    share_waited(g);
    if (g->state == GUEST_RESTING)
        g->due = true;
    else
        sched_make_ready(g, true);
}

void sched_wake(struct guest *g)
{
    sched_lock();
    if (g->state == GUEST_PARKED || g->state == GUEST_RESTING)
        sched_wait_ended(g);
    else
        g->woken = true;
    sched_unlock();
}

static void guest_ready(struct sched_watch *w, uint32_t events)
{
    (void)events;
    sched_lock();
    struct guest *g = w->guest;
    /* an earlier event of the same fetch may have woken it already */
    if (g && (g->state == GUEST_PARKED || g->state == GUEST_RESTING))
        sched_wait_ended(g);
    sched_unlock();
}

static void park(struct guest *g)
{
    bool ready = g->woken || g->wait.deadline <= clock_mono_ns();
    g->woken = false;
    for (unsigned i = 0; i < g->wait.count; i++) {
        struct sched_watch *w = &g->wait.fds[i];
        struct epoll_event e = {.events = w->events | EPOLLONESHOT, .data.ptr = w};
        w->ready = guest_ready;
        w->guest = g;
        if (epoll_ctl(sched.epoll, EPOLL_CTL_ADD, w->fd, &e) < 0) {
            w->fd = -1; /* what cannot be waited for (a regular file) is ready */
            ready = true;
        }
    }
    if (ready) {
        sched_stop_waiting(g);
        sched_make_ready(g, false);
        return;
    }
    g->state = GUEST_PARKED;
    if (g->wait.deadline != INT64_MAX)
        sched_timer_set(&g->timer, g->wait.deadline);
    g->parked_ns = clock_mono_ns();
    if (g->wait.deadline - g->parked_ns < REST_LEAST_NS)
        return;
    if (list_empty(&sched.tired))
        pthread_cond_signal(&sched.rest);
    list_append(&sched.tired, &g->link);
}

void sched_end_later(struct guest *g)
{
    g->state = GUEST_ENDED;
    list_append(&sched.ended, &g->link);
    sched_wake_control();
}

void sched_finish(struct guest *g, int signal)
{
    sched_unlock();
    guest_end(g, signal);
    sched_lock();
    sched_end_later(g);
}

void sched_turn_ended(struct guest *g, enum guest_turn turn)
{
    int signal = atomic_load(&g->kill);
    bool stopped = signal && (g->trap || g->error) && !g->exited; /* it was made to trap */
    if (turn == GUEST_TURN_DONE && !stopped)
        sched_finish(g, 0);
    else if (signal)
        sched_finish(g, signal);
    else if (turn == GUEST_TURN_PARK)
        park(g);
    else
        sched_make_ready(g, false);
}

/* Takes it from where it waits: true where the caller is to end it, false where another thread holds it and will. */
bool sched_seize(struct guest *g, int signal)
{
    if (!atomic_load(&g->kill))
        atomic_store(&g->kill, (uint8_t)signal);
    atomic_store(&g->yield, true);
    switch (g->state) {
    case GUEST_RUNNING:
    case GUEST_RESTING:
        compute_interrupt();
        busy_steer(g);
        return false;
    case GUEST_ENDED:
        return false;
    case GUEST_QUEUED:
        dequeue(g);
        break;
    case GUEST_PARKED:
    case GUEST_THROTTLED:
        sched_stop_waiting(g);
        break;
    case GUEST_CREATED:
    case GUEST_HELD:
        break;
    }
    g->state = GUEST_RUNNING;
    return true;
}

void sched_start(struct guest *g)
{
    sched_lock();
    if (g->control && g->control->wall_limit)
        sched_timer_set(&g->control->wall, clock_mono_ns() + g->control->wall_limit);
    sched_make_ready(g, true);
    sched_unlock();
}

bool sched_kill(struct guest *g, int signal)
{
    sched_lock();
    bool ours = sched_seize(g, signal);
    sched_unlock();
    if (!ours)
        return false;
    guest_end(g, signal);
    sched_lock();
    g->state = GUEST_ENDED;
    sched_unlock();
    return true;
}

void sched_pause(struct guest *g, enum sched_hold hold, bool on)
{
    sched_lock();
    *(hold == SCHED_PAUSED ? &g->paused : &g->stopped) = on;
    bool held = g->paused || g->stopped;
    if (held && g->state == GUEST_QUEUED) {
        dequeue(g);
        g->state = GUEST_HELD;
    } else if (held && g->state == GUEST_THROTTLED) {
        sched_stop_waiting(g);
        g->state = GUEST_HELD;
    } else if (held && g->state == GUEST_RUNNING) {
        atomic_store(&g->yield, true);
        compute_interrupt();
        busy_steer(g);
    } else if (!held && g->state == GUEST_RUNNING) {
        busy_steer(g);
    } else if (!held && g->state == GUEST_HELD) {
        sched_make_ready(g, true);
    }
    sched_unlock();
}

uint64_t sched_cpu_ns(struct guest *g)
{
    sched_lock();
    uint64_t ns = atomic_load(&g->cpu_ns);
    if (g->state == GUEST_RUNNING)
        ns += (uint64_t)compute_spent(g);
    sched_unlock();
    return ns;
}

bool sched_with(struct guest *g, void (*fn)(struct guest *g, void *arg), void *arg)
{
    sched_lock();
    bool ours = g->state != GUEST_RUNNING;
    if (ours)
        fn(g, arg);
    sched_unlock();
    return ours;
}
