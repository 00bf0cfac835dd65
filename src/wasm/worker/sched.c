/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/sched.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"

enum { IDLE_TICKS = 25, EVENTS = 64, THREADS_MORE = 8 };
/* Waking costs about 50 us of CPU: too much for who sleeps for less. */
#define REST_AFTER_NS (1 * NSEC_PER_SEC)
#define REST_LEAST_NS (3 * NSEC_PER_SEC)
#define STUCK_NS      (8 * NSEC_PER_MSEC)

struct compute {   /* a compute thread */
    int64_t began; /* its turn; 0 while it has none */
    bool stuck;    /* in a turn that does not end: another thread may take its core's work */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, computing, rest;
    struct list queue, ended;
    struct list tired; /* PARKED for so long that they are to be hibernated, the longest first */
    struct guest **heap;
    uint32_t heap_count, heap_size;
    struct compute *threads;
    unsigned thread_count, cores;
    unsigned running, stuck; /* threads in a turn, and those of them that are stuck */
    uint64_t turns; /* counts up with every turn of a guest: the ticker sees whether it is needed */
    int64_t sleeps_until; /* the control thread; 0 while awake */
    int epoll;
    struct sched_watch wake;
    void (*on_ended)(struct guest *g);
    void **garbage;
    size_t garbage_count, garbage_size;
} sched = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .work = PTHREAD_COND_INITIALIZER,
           .computing = PTHREAD_COND_INITIALIZER,
           .rest = PTHREAD_COND_INITIALIZER,
           .tired = LIST_INIT(sched.tired),
           .queue = LIST_INIT(sched.queue),
           .ended = LIST_INIT(sched.ended)};

static void wake_control(void)
{
    uint64_t one = 1;
    if (sched.sleeps_until && write(sched.wake.fd, &one, sizeof one) == sizeof one)
        sched.sleeps_until = 0;
}

/* The heap of deadlines: the earliest is heap[0] */

static void heap_put(uint32_t at, struct guest *g)
{
    sched.heap[at] = g;
    g->heap_at = at + 1;
}

static void heap_up(uint32_t at, struct guest *g)
{
    while (at && sched.heap[(at - 1) / 2]->wait.deadline > g->wait.deadline) {
        heap_put(at, sched.heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(at, g);
}

static void heap_down(uint32_t at, struct guest *g)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= sched.heap_count)
            break;
        if (child + 1 < sched.heap_count &&
            sched.heap[child + 1]->wait.deadline < sched.heap[child]->wait.deadline)
            child++;
        if (sched.heap[child]->wait.deadline >= g->wait.deadline)
            break;
        heap_put(at, sched.heap[child]);
        at = child;
    }
    heap_put(at, g);
}

static void heap_add(struct guest *g)
{
    if (sched.heap_count == sched.heap_size) {
        uint32_t size = sched.heap_size ? 2 * sched.heap_size : 256;
        struct guest **heap = reallocarray(sched.heap, size, sizeof(struct guest *));
        if (!heap)
            abort(); /* a sleeper that is never woken would be worse */
        sched.heap = heap;
        sched.heap_size = size;
    }
    heap_up(sched.heap_count++, g);
    if (g->heap_at == 1 && g->wait.deadline < sched.sleeps_until)
        wake_control();
}

static void heap_remove(struct guest *g)
{
    if (!g->heap_at)
        return;
    uint32_t at = g->heap_at - 1;
    g->heap_at = 0;
    struct guest *last = sched.heap[--sched.heap_count];
    if (last == g)
        return;
    if (last->wait.deadline < g->wait.deadline)
        heap_up(at, last);
    else
        heap_down(at, last);
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

static void enqueue(struct guest *g)
{
    g->state = GUEST_QUEUED;
    list_append(&sched.queue, &g->link);
    pthread_cond_signal(&sched.work);
}

static void make_ready(struct guest *g)
{
    if (g->paused)
        g->state = GUEST_HELD;
    else
        enqueue(g);
}

static void stop_waiting(struct guest *g)
{
    heap_remove(g);
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
    stop_waiting(g);
    if (g->state == GUEST_RESTING)
        g->due = true;
    else
        make_ready(g);
}

static void guest_ready(struct sched_watch *w, uint32_t events)
{
    (void)events;
    pthread_mutex_lock(&sched.lock);
    struct guest *g = w->guest;
    /* an earlier event of the same fetch may have woken it already */
    if (g && (g->state == GUEST_PARKED || g->state == GUEST_RESTING))
        wait_ended(g);
    pthread_mutex_unlock(&sched.lock);
}

static void park(struct guest *g)
{
    bool ready = g->wait.deadline <= clock_mono_ns();
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
        stop_waiting(g);
        make_ready(g);
        return;
    }
    g->state = GUEST_PARKED;
    if (g->wait.deadline != INT64_MAX)
        heap_add(g);
    g->parked_ns = clock_mono_ns();
    if (g->wait.deadline - g->parked_ns < REST_LEAST_NS)
        return;
    if (list_empty(&sched.tired))
        pthread_cond_signal(&sched.rest);
    list_append(&sched.tired, &g->link);
}

static void end_later(struct guest *g)
{
    g->state = GUEST_ENDED;
    list_append(&sched.ended, &g->link);
    wake_control();
}

/* Threads */

static void end_turn(struct compute *self)
{
    sched.running--;
    sched.stuck -= self->stuck;
    *self = (struct compute){0};
}

static void run_one(struct compute *self, struct guest *g)
{
    g->state = GUEST_RUNNING;
    self->began = clock_mono_ns();
    if (!sched.running++)
        pthread_cond_signal(&sched.computing);
    sched.turns++;
    pthread_mutex_unlock(&sched.lock);
    enum guest_turn turn = guest_run(g);
    int signal = atomic_load(&g->kill);
    if (turn == GUEST_TURN_DONE || signal)
        guest_end(g, turn == GUEST_TURN_DONE ? 0 : signal);
    pthread_mutex_lock(&sched.lock);
    end_turn(self);
    if (turn == GUEST_TURN_DONE || signal) {
        end_later(g);
    } else if (atomic_load(&g->kill)) { /* came while we took the lock */
        enqueue(g);
    } else if (turn == GUEST_TURN_PARK) {
        park(g);
    } else {
        make_ready(g);
    }
}

/* As many threads compute as there are cores, and one more for each that is stuck. */
static void *compute(void *arg)
{
    pthread_mutex_lock(&sched.lock);
    for (;;) {
        struct guest *g = sched.running < sched.cores + sched.stuck
                              ? list_first(&sched.queue, struct guest, link)
                              : NULL;
        if (!g) {
            pthread_cond_wait(&sched.work, &sched.lock);
            continue;
        }
        list_remove(&g->link);
        run_one(arg, g);
    }
    return NULL;
}

static void look_for_stuck(void)
{
    int64_t now = clock_mono_ns();
    for (unsigned i = 0; i < sched.thread_count; i++) {
        struct compute *t = &sched.threads[i];
        if (t->began && !t->stuck && now - t->began > STUCK_NS) {
            t->stuck = true;
            sched.stuck++;
            pthread_cond_signal(&sched.work);
        }
    }
}

static void *tick(void *arg)
{
    (void)arg;
    uint64_t seen = 0;
    unsigned idle = 0;
    for (;;) {
        pthread_mutex_lock(&sched.lock);
        idle = sched.running || seen != sched.turns ? 0 : idle + 1;
        while (!sched.running && idle > IDLE_TICKS)
            pthread_cond_wait(&sched.computing, &sched.lock);
        seen = sched.turns;
        look_for_stuck();
        pthread_mutex_unlock(&sched.lock);
        nanosleep(&(struct timespec){.tv_nsec = SCHED_TICK_MS * NSEC_PER_MSEC}, NULL);
        runtime_tick();
    }
    return NULL;
}

/* The lock is held, but not while it packs. */
static void rest_one(struct guest *g)
{
    list_remove(&g->link);
    g->state = GUEST_RESTING;
    g->due = false;
    pthread_mutex_unlock(&sched.lock);
    hibernate_guest(g);
    pthread_mutex_lock(&sched.lock);
    if (atomic_load(&g->kill)) {
        stop_waiting(g);
        enqueue(g);
    } else if (g->due) {
        make_ready(g);
    } else {
        g->state = GUEST_PARKED;
    }
}

/* Hibernates what has been parked for long. */
static void *rest(void *arg)
{
    (void)arg;
    if (!hibernate_works())
        return NULL;
    pthread_mutex_lock(&sched.lock);
    for (;;) {
        struct guest *g = list_first(&sched.tired, struct guest, link);
        int64_t left = g ? g->parked_ns + REST_AFTER_NS - clock_mono_ns() : 0;
        if (!g) {
            pthread_cond_wait(&sched.rest, &sched.lock);
        } else if (left > 0) {
            pthread_mutex_unlock(&sched.lock);
            nanosleep(&(struct timespec){left / NSEC_PER_SEC, left % NSEC_PER_SEC}, NULL);
            pthread_mutex_lock(&sched.lock);
        } else {
            rest_one(g);
        }
    }
    return NULL;
}

static void wake_ready(struct sched_watch *w, uint32_t events)
{
    (void)events;
    uint64_t n;
    if (read(w->fd, &n, sizeof n) < 0)
        return;
}

static int start_thread(void *(*fn)(void *arg), void *arg, const char *name, struct error *err)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, fn, arg);
    if (r)
        return fail(err, r, "start a thread of the scheduler");
    pthread_setname_np(thread, name);
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
    sched.thread_count = sched.cores + THREADS_MORE;
    sched.threads = calloc(sched.thread_count, sizeof *sched.threads);
    if (!sched.threads)
        return fail(err, ENOMEM, "set up the scheduler");
    int r = start_thread(tick, NULL, "tick", err);
    if (!r)
        r = start_thread(rest, NULL, "rest", err);
    for (unsigned i = 0; !r && i < sched.thread_count; i++)
        r = start_thread(compute, &sched.threads[i], "compute", err);
    return r;
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
    pthread_mutex_lock(&sched.lock);
    free_later(p);
    pthread_mutex_unlock(&sched.lock);
}

static void fire_timers(int64_t now)
{
    while (sched.heap_count && sched.heap[0]->wait.deadline <= now) {
        wait_ended(sched.heap[0]);
    }
}

static void tell_ended(void)
{
    struct list ended = LIST_INIT(ended);
    pthread_mutex_lock(&sched.lock);
    for (struct guest *g; (g = list_first(&sched.ended, struct guest, link));) {
        list_remove(&g->link);
        list_append(&ended, &g->link);
    }
    pthread_mutex_unlock(&sched.lock);
    for (struct guest *g; (g = list_first(&ended, struct guest, link));) {
        list_remove(&g->link);
        sched.on_ended(g);
    }
}

void sched_turn(int64_t max_ns)
{
    struct epoll_event events[EVENTS];
    pthread_mutex_lock(&sched.lock);
    int64_t now = clock_mono_ns();
    fire_timers(now);
    int64_t until = now + max_ns;
    if (sched.heap_count && sched.heap[0]->wait.deadline < until)
        until = sched.heap[0]->wait.deadline;
    if (!list_empty(&sched.ended))
        until = now;
    sched.sleeps_until = until;
    pthread_mutex_unlock(&sched.lock);
    struct timespec left = {.tv_sec = (until - now) / NSEC_PER_SEC,
                            .tv_nsec = (until - now) % NSEC_PER_SEC};
    int n = epoll_pwait2(sched.epoll, events, EVENTS, &left, NULL);
    pthread_mutex_lock(&sched.lock);
    sched.sleeps_until = 0;
    pthread_mutex_unlock(&sched.lock);
    for (int i = 0; i < n; i++) {
        struct sched_watch *w = events[i].data.ptr;
        w->ready(w, events[i].events);
    }
    tell_ended();
    pthread_mutex_lock(&sched.lock);
    for (size_t i = 0; i < sched.garbage_count; i++)
        free(sched.garbage[i]);
    sched.garbage_count = 0;
    pthread_mutex_unlock(&sched.lock);
}

void sched_start(struct guest *g)
{
    pthread_mutex_lock(&sched.lock);
    make_ready(g);
    pthread_mutex_unlock(&sched.lock);
}

bool sched_kill(struct guest *g, int signal)
{
    pthread_mutex_lock(&sched.lock);
    bool ours = g->state != GUEST_RUNNING && g->state != GUEST_RESTING && g->state != GUEST_ENDED;
    if (g->state == GUEST_PARKED)
        stop_waiting(g);
    atomic_store(&g->kill, (uint8_t)signal);
    if (ours) {
        list_remove(&g->link);
        g->state = GUEST_RUNNING;
    }
    pthread_mutex_unlock(&sched.lock);
    if (!ours) {
        runtime_tick();
        return false;
    }
    guest_end(g, signal);
    pthread_mutex_lock(&sched.lock);
    g->state = GUEST_ENDED;
    pthread_mutex_unlock(&sched.lock);
    return true;
}

void sched_pause(struct guest *g, bool paused)
{
    pthread_mutex_lock(&sched.lock);
    g->paused = paused;
    if (paused && g->state == GUEST_QUEUED) {
        list_remove(&g->link);
        g->state = GUEST_HELD;
    } else if (!paused && g->state == GUEST_HELD) {
        enqueue(g);
    }
    pthread_mutex_unlock(&sched.lock);
    if (paused)
        runtime_tick();
}

bool sched_with(struct guest *g, void (*fn)(struct guest *g, void *arg), void *arg)
{
    pthread_mutex_lock(&sched.lock);
    bool ours = g->state != GUEST_RUNNING;
    if (ours)
        fn(g, arg);
    pthread_mutex_unlock(&sched.lock);
    return ours;
}
