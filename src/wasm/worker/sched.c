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
#include "wasm/worker/guest.h"
#include "wasm/worker/reap.h"
#include "wasm/worker/sched_own.h"

enum { EVENTS = 64 };

struct sched sched = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .computing = PTHREAD_COND_INITIALIZER,
                      .rest = PTHREAD_COND_INITIALIZER,
                      .tired = LIST_INIT(sched.tired),
                      .ended = LIST_INIT(sched.ended)};

void sched_wake_control(void)
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
        sched_wake_control();
}

void sched_drop(void *p)
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
    sched_drop(p);
    sched_unlock();
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
            sched_wait_ended(g);
        break;
    case TIMER_GROUP:
        sched_release_group(container_of(t, struct sched_group, refill));
        break;
    case TIMER_WALL:
        g = container_of(t, struct sched_control, wall)->guest;
        guest_limit(g, GUEST_LIMIT_WALL);
        if (sched_seize(g, atomic_load(&g->kill)))
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
