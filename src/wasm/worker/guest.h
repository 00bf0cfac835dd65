/* SPDX-License-Identifier: Apache-2.0 */
/* A guest: the program of a container or of an exec, an instance of a module in a store of its own, as a fiber.
 *
 * Who may touch one: whoever holds it. In the states CREATED, QUEUED, PARKED, THROTTLED, HELD and ENDED that is the thread that holds the
 * scheduler's lock; in RUNNING and RESTING the thread that took it out of one of these (a compute thread, the control thread that ends
 * it, the one that hibernates). The
 * fields marked atomic may be read by all. At rest a guest has no descriptor, no thread and no timer of the kernel's. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "wasm/wasi/wasi.h"
#include "wasm/worker/fair.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched.h"
#include "wasm/worker/wasmtime.h"

struct error;
struct job;
struct module;

enum guest_state { /* what leads from one to another: sched.h */
                   GUEST_CREATED,
                   GUEST_QUEUED,    /* in the run queue */
                   GUEST_RUNNING,   /* a thread polls or ends it */
                   GUEST_PARKED,    /* waits for its deadline or descriptors */
                   GUEST_RESTING,   /* is parked, and being hibernated just now */
                   GUEST_THROTTLED, /* would be in the run queue, but its quota is used up */
                   GUEST_HELD,      /* would be in the run queue, but is paused or stopped */
                   GUEST_ENDED,
};

enum guest_limit { GUEST_LIMIT_NONE, GUEST_LIMIT_CPU, GUEST_LIMIT_WALL };

struct guest_limits {
    _Atomic uint64_t memory; /* bytes of linear memory */
    uint32_t table_elements;
};

struct guest {
    enum guest_state state;
    bool paused, stopped;    /* held by a pause, by SIGSTOP */
    uint8_t slow;            /* its turns do not end: so many must before it is as others */
    _Atomic uint8_t limit;   /* enum guest_limit: which one it is killed for */
    _Atomic bool yield;      /* its turn is to end */
    bool exited;             /* by proc_exit or proc_raise */
    bool parking;            /* a host call asks to be parked as wait says */
    _Atomic uint8_t kill;    /* the signal that ends it; 0 for none */
    _Atomic bool new_limits; /* the store has others yet */
    uint32_t exit_status;
    uint32_t
        burst; /* ns of CPU time since it waited, which a wait of four times as long takes back */
    struct sched_timer timer; /* while it is PARKED or THROTTLED */
    struct fair_item fair;
    struct sched_group *group;     /* NULL for none */
    struct sched_control *control; /* NULL for none */
    struct list link;              /* the parked that are to be hibernated, or what has ended */
    struct guest_wait {
        int64_t deadline;        /* clock_mono_ns; INT64_MAX for none */
        int64_t since;           /* when the call began */
        struct sched_watch *fds; /* malloced */
        unsigned count, room;
    } wait;
    struct wasi_call call; /* the parked one */
    struct job *job;       /* what it waits for; job.h */
    size_t progress;       /* of the parked call: bytes that are done */

    struct module *module;
    struct wasmtime_store *store;
    struct wasmtime_call_future *future;
    struct wasmtime_instance instance;
    struct wasmtime_func function; /* used until the future is deleted */
    char *entry; /* the export that it is for; NULL: _start, and in a reactor none: it stays idle */
    uint8_t phase;
    bool instantiated;
    bool counted; /* among the busy ones */
    bool woken;   /* while it was not parked: sched_wake() */
    bool due;     /* its wait ended while it was RESTING */
    int64_t parked_ns;
    struct runtime_space space;
    struct interrupt_returns *returns; /* of a busy one; NULL */
    struct hibernated *hibernated;     /* NULL: its pages are there */
    struct wasm_trap *trap;
    struct wasmtime_error *error;
    struct wasmtime_val *results; /* of the parked host call */

    struct guest_limits limits;
    struct wasi wasi;
    _Atomic uint64_t cpu_ns;
    _Atomic uint64_t memory;    /* bytes of linear memory, as of the last host call or turn */
    uint8_t *_Atomic memory_at; /* as of then */
    _Atomic uint64_t read_bytes, written_bytes; /* by host calls */
    int64_t started_ns, exited_ns;              /* wall */
    char *message;                              /* what ended it where there is more to say */
    void *owner;                                /* the worker's */
};

enum guest_turn { GUEST_TURN_DONE, GUEST_TURN_YIELD, GUEST_TURN_PARK };

/* The host call parks g until it is woken; for a descriptor or a deadline, its wait is filled after this. */
static inline uint32_t wasi_park(struct guest *g)
{
    g->wait.deadline = INT64_MAX;
    g->wait.count = 0;
    return WASI_PARK;
}

/* The same until one of at most n descriptors is ready, each of which is then told by wasi_watch(); or WASI_NOMEM. */
uint32_t wasi_park_for(struct guest *g, uint32_t n);
/* events: EPOLLIN, EPOLLOUT. A descriptor that is told twice is waited for once, for both: epoll takes it once. One more than n ends
 * the wait at once. */
void wasi_watch(struct guest *g, int fd, uint32_t events);

/* Runs it until then (clock_mono_ns), or until it is to yield. The caller holds it (RUNNING). */
enum guest_turn guest_run(struct guest *g, int64_t until);
/* Marks it to be killed for having reached limit, unless it is being killed already. */
void guest_limit(struct guest *g, enum guest_limit limit);
/* Ends it: describes why, ends its log, gives its memory back. signal: what killed it, 0 where it is done. */
void guest_end(struct guest *g, int signal);
/* Frees what it has; it never ran, or has ended. */
void guest_done(struct guest *g);
