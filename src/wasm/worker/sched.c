/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/sched.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base.h"
#include "linux/slice.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/module.h"
#include "wasm/worker/reap.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched_own.h"

enum { EVENTS = 64 };
/* Waking costs about 50 us of CPU: too much for who sleeps for less. */
#define REST_LEAST_NS (3 * NSEC_PER_SEC)

struct sched sched = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .computing = PTHREAD_COND_INITIALIZER,
                      .rest = PTHREAD_COND_INITIALIZER,
                      .tired = LIST_INIT(sched.tired),
                      .ended = LIST_INIT(sched.ended)};

static void wake_control(void)
{
    sched.wakes_control |= sched.sleeps_until != 0;
    sched.sleeps_until = 0;
}

void sched_lock(void)
{
    pthread_mutex_lock(&sched.lock);
}

void sched_unlock(void)
{
    struct compute *threads[SCHED_WAKES];
    unsigned count = sched.wake_count;
    bool control = sched.wakes_control;
    uint64_t one = 1;
    memcpy(threads, sched.wakes, sizeof threads);
    sched.wake_count = 0;
    sched.wakes_control = false;
    pthread_mutex_unlock(&sched.lock);
    for (unsigned i = 0; i < count; i++)
        pthread_cond_signal(&threads[i]->wake);
    if (control && write(sched.wake.fd, &one, sizeof one) < 0)
        diag_warning("wake the control thread: %m");
}

void sched_wait(pthread_cond_t *condition)
{
    if (!sched.wake_count && !sched.wakes_control) {
        pthread_cond_wait(condition, &sched.lock);
        return;
    }
    sched_unlock();
    sched_lock();
}

void sched_timer_set(struct sched_timer *t, int64_t due)
{
    heap_add(&sched.timers, due, &t->at);
    if (t->at == 1 && due < sched.sleeps_until)
        wake_control();
}

/* States; the lock is held */

static void free_later(void *p)
{
    if (!p)
        return;
    if (sched.garbage_count == sched.garbage_size) {
        size_t size = sched.garbage_size ? 2 * sched.garbage_size : 64;
        void **garbage = reallocarray(sched.garbage, size, sizeof *garbage);
        if (!garbage)
            return; /* leaks in place of a use after free */
        sched.garbage = garbage;
        sched.garbage_size = size;
    }
    sched.garbage[sched.garbage_count++] = p;
}

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
    fair_put(queue, &g->fair, group, woken);
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

static void release_group(struct sched_group *group)
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
    free_later(take_ptr(&g->wait.fds));
    g->wait.count = 0;
    if (g->state == GUEST_PARKED)
        list_remove(&g->link);
}

/* Its wait is over. */
static void wait_ended(struct guest *g)
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
        wait_ended(g);
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
        wait_ended(g);
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
    wake_control();
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

static void wake_ready(struct sched_watch *w, uint32_t events)
{
    (void)events;
    uint64_t n;
    if (read(w->fd, &n, sizeof n) < 0)
        return;
}

int sched_start_thread(void *(*fn)(void *arg), void *arg, struct error *err)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, fn, arg);
    if (r)
        return fail(err, r, "start a thread of the scheduler");
    pthread_detach(thread);
    return 0;
}

int sched_init(unsigned threads, void (*ended)(struct guest *g), struct error *err)
{
    sched.on_ended = ended;
    linux_set_slice(0, SCHED_BRIEF_NS);
    sched.epoll = epoll_create1(EPOLL_CLOEXEC);
    sched.wake = (struct sched_watch){
        .ready = wake_ready, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = EPOLLIN};
    if (sched.epoll < 0 || sched.wake.fd < 0 || sched_watch_add(&sched.wake) < 0)
        return fail(err, errno, "set up the scheduler");
    sched.cores = threads ? threads : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    int r = sched_start_thread(sched_rest, NULL, err);
    if (!r)
        r = reap_init(err);
    return r < 0 ? r : compute_init(err);
}

/* Control thread */

int sched_watch_add(struct sched_watch *w)
{
    struct epoll_event e = {.events = w->events, .data.ptr = w};
    return epoll_ctl(sched.epoll, EPOLL_CTL_ADD, w->fd, &e) < 0 ? -errno : 0;
}

void sched_watch_change(struct sched_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    w->events = events;
    epoll_ctl(sched.epoll, EPOLL_CTL_MOD, w->fd, &e);
}

void sched_watch_remove(struct sched_watch *w)
{
    epoll_ctl(sched.epoll, EPOLL_CTL_DEL, w->fd, NULL);
}

void sched_free_later(void *p)
{
    sched_lock();
    free_later(p);
    sched_unlock();
}

/* Takes it from where it waits: true where the caller is to end it, false where another thread holds it and will. */
static bool seize(struct guest *g, int signal)
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

static void fire(struct sched_timer *t)
{
    struct guest *g;
    heap_remove(&sched.timers, &t->at);
    switch ((enum sched_timer_kind)t->kind) {
    case TIMER_GUEST:
        g = container_of(t, struct guest, timer);
        if (g->state == GUEST_THROTTLED)
            sched_make_ready(g, true);
        else
            wait_ended(g);
        break;
    case TIMER_GROUP:
        release_group(container_of(t, struct sched_group, refill));
        break;
    case TIMER_WALL:
        g = container_of(t, struct sched_control, wall)->guest;
        guest_limit(g, GUEST_LIMIT_WALL);
        if (seize(g, atomic_load(&g->kill)))
            sched_finish(g, atomic_load(&g->kill));
        break;
    }
}

static void fire_timers(int64_t now)
{
    while (sched.timers.count && sched.timers.entries[0].key <= now)
        fire(container_of(sched.timers.entries[0].at, struct sched_timer, at));
}

static void tell_ended(void)
{
    struct list ended = LIST_INIT(ended);
    sched_lock();
    for (struct guest *g; (g = list_first(&sched.ended, struct guest, link));) {
        list_remove(&g->link);
        list_append(&ended, &g->link);
    }
    sched_unlock();
    for (struct guest *g; (g = list_first(&ended, struct guest, link));) {
        list_remove(&g->link);
        sched.on_ended(g);
    }
}

void sched_turn(int64_t max_ns)
{
    struct epoll_event events[EVENTS];
    sched_lock();
    int64_t now = clock_mono_ns();
    fire_timers(now);
    int64_t until = now + max_ns;
    if (sched.timers.count && sched.timers.entries[0].key < until)
        until = sched.timers.entries[0].key;
    if (!list_empty(&sched.ended))
        until = now;
    sched.sleeps_until = until;
    sched_unlock();
    struct timespec left = {.tv_sec = (until - now) / NSEC_PER_SEC,
                            .tv_nsec = (until - now) % NSEC_PER_SEC};
    int n = epoll_pwait2(sched.epoll, events, EVENTS, &left, NULL);
    sched_lock();
    sched.sleeps_until = 0;
    sched_unlock();
    for (int i = 0; i < n; i++) {
        struct sched_watch *w = events[i].data.ptr;
        w->ready(w, events[i].events);
    }
    tell_ended();
    sched_lock();
    for (size_t i = 0; i < sched.garbage_count; i++)
        free(sched.garbage[i]);
    sched.garbage_count = 0;
    sched_unlock();
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
    bool ours = seize(g, signal);
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
