/* SPDX-License-Identifier: Apache-2.0 */
/* Between the scheduler's files: sched.c has the lock and the control thread, states.c what becomes of guests, share.c what they may
 * have, compute.c the threads that run them, ticker.c the one that ends their turns, rest.c the one that hibernates them. All of struct
 * sched is the lock's, and functions are called with the lock held, unless they say otherwise. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/list.h"
#include "wasm/worker/fair.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

#define SCHED_SLICE_NS (SCHED_SLICE_MS * NSEC_PER_MSEC)
/* CPU time of a turn that does not end. */
#define SCHED_SLOW_NS (3 * SCHED_SLICE_NS)

enum sched_timer_kind { TIMER_GUEST, TIMER_WALL, TIMER_GROUP };

struct sched_group {
    struct fair_group fair;
    struct sched_timer refill; /* while it is held */
    unsigned users;
};

struct sched_control {
    struct fair_quota quota;
    uint64_t cpu_limit; /* ns; 0 for none */
    int64_t wall_limit;
    struct sched_timer wall;
    struct guest *guest;
};

enum compute_role {
    COMPUTE_USUAL,
    COMPUTE_QUICK, /* short turns, for who does not compute for long: beside the usual ones, which the kernel lets wait for them */
    COMPUTE_SLOW,  /* for guests whose turns do not end */
    COMPUTE_ROLES,
};

struct compute { /* a compute thread */
    pthread_cond_t wake;
    struct list idle; /* sched.idle of its role */
    bool started, awake;
    enum compute_role role;
    bool stuck;           /* in a turn that does not end: another thread may take its core's work */
    struct guest *guest;  /* whose turn it is; NULL */
    int64_t began, until; /* of the turn */
    int64_t reserved;     /* of quotas */
    int64_t cpu_began;    /* of the thread's own clock: when its last turn ended */
    clockid_t clock;
    pid_t tid;
};

enum { SCHED_WAKES = 8 };

extern struct sched {
    pthread_mutex_t lock;
    pthread_cond_t computing, rest;
    struct fair fair, slow; /* run queues; slow: of guests whose turns do not end */
    struct list ended;
    struct list tired; /* PARKED for so long that they are to be hibernated, the longest first */
    struct heap timers;
    struct compute *threads;
    unsigned thread_count, cores;
    struct list idle[COMPUTE_ROLES];    /* threads, the one that computed last first */
    unsigned awake[COMPUTE_ROLES];      /* those that are not idle */
    unsigned running, stuck;            /* threads in a turn, and those of them that are stuck */
    uint64_t turns;                     /* counts up with every turn of a guest */
    struct compute *wakes[SCHED_WAKES]; /* to be woken by who gives the lock back */
    unsigned wake_count;
    bool wakes_control;
    int nice;             /* what the process began with */
    int64_t sleeps_until; /* the control thread; 0 while awake */
    int epoll;
    struct sched_watch wake;
    void (*on_ended)(struct guest *g);
    void **garbage;
    size_t garbage_count, garbage_size;
} sched;

/* sched.c */
void sched_lock(void);
/* Gives the lock back, and wakes only then: whoever wakes another is often preempted by it, and on a machine under load waits long
 * for its core, which nobody must do with the lock. */
void sched_unlock(void);
/* pthread_cond_wait() that has done the same; it may return for nothing. */
void sched_wait(pthread_cond_t *condition);
void sched_wake_control(void);
void sched_timer_set(struct sched_timer *t, int64_t due);
/* sched_free_later() with the lock. */
void sched_drop(void *p);
int sched_start_thread(void *(*fn)(void *arg), void *arg, struct error *err);

/* states.c */
/* Where it goes from RUNNING. */
void sched_turn_ended(struct guest *g, enum guest_turn turn);
/* woken: it waited for something else than its turn. */
void sched_make_ready(struct guest *g, bool woken);
/* Its waits are over. */
void sched_stop_waiting(struct guest *g);
/* What it waited for has come. */
void sched_wait_ended(struct guest *g);
void sched_end_later(struct guest *g);
void sched_hold_group(struct sched_group *group, int64_t until);
void sched_release_group(struct sched_group *group);
/* Takes it from where it waits, to end it by signal: true where the caller is to end it, false where another thread holds it and will. */
bool sched_seize(struct guest *g, int signal);
/* Ends one that the caller holds, without the lock while it does so. */
void sched_finish(struct guest *g, int signal);

/* share.c */
/* g used ns. */
void share_ran(struct guest *g, int64_t ns);
/* g's wait is over. */
void share_waited(struct guest *g);
/* Whether it computes for long: whoever does not comes first, in this worker and in others. */
bool share_is_long(const struct guest *g);

/* compute.c */
int compute_init(struct error *err);
/* A thread that computes for long has the core when those have it not that wake for little. Any thread; without the lock. */
void compute_step_back(pid_t thread);
/* CPU time of the thread. */
int64_t compute_clock(const struct compute *t);
/* One more thread of this role goes on; false where all do. */
bool compute_wake(enum compute_role role);
/* g has come into a queue: somebody takes it soon. */
void compute_offer(const struct guest *g, bool woken);
/* Ends all turns that are asked to, or due. Any thread. */
void compute_interrupt(void);
/* ns of the turn of g that is under way. */
int64_t compute_spent(const struct guest *g);

/* compute_busy.c: guests of modules that have interrupt_code */
/* It is QUEUED, and soon runs. */
void busy_put(struct guest *g);
/* Takes a QUEUED one out. */
void busy_remove(struct guest *g);
/* Something has changed that a RUNNING one must heed: a kill, a pause, its quota. Of others nothing. */
void busy_steer(const struct guest *g);
/* ns of its turn that are not in cpu_ns yet. */
int64_t busy_spent(const struct guest *g);
/* Every few ms while any runs. */
void busy_tick(void);

/* ticker.c, rest.c: without the lock */
void *sched_tick(void *arg);
void *sched_rest(void *arg);
