/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's own side of pods and containers: what the public structs hold and what only this
 * folder sees.
 *
 * Lifetime. A record is counted: one reference for being in the engine's tables, one for each
 * operation that has it across a park; a container holds its pod. A record that left the tables
 * while somebody waited for it is .gone.
 *
 * Locks. pod_record.mutex: create, start, remove, update of its containers, stop and remove of
 * itself. Who holds it may rely on the pod's list of containers and on which of them were started;
 * states change under it all the same, since sandboxers report ends at any time. Stopping a
 * container and exec do not take it. */
#pragma once

#include "base/map.h"
#include "engine/engine.h"
#include "engine/store.h"
#include "loop/loop.h"

/* A sandboxer. The calls that were asked for before the connection last broke are settled by the
 * snapshot that follows; epoch counts those breaks, snapshot the snapshots. */
struct engine_peer {
    struct engine *engine;
    struct peer *peer;
    uint32_t epoch, snapshot;
    bool ready; /* connected, and its snapshot is worked in */
    struct co_queue becomes_ready;
    int64_t heard_ns;       /* when its snapshot last brought something */
    struct list leftovers;  /* struct leftover.link */
    unsigned leftover_rows; /* those of containers that have a row in the store */
    struct co *janitor;     /* ends the leftovers; NULL while there is none */
    bool janitor_started;
};

struct handler {
    struct engine_handler public;
    struct engine_peer *peer; /* NULL: of a pod whose handler is no longer configured */
    bool linux; /* programs are Linux's: they get directories, /etc/hosts and the like */
};

struct engine {
    struct image_store *images;
    char *data_root, *exec_root;
    struct store *store;
    struct handler **handlers;
    size_t handler_count, configured; /* the configured ones come first */
    struct engine_handler *public_handlers;
    struct engine_peer **peers;
    size_t peer_count;
    struct map pods, keys, containers; /* by id, by key, by id */
    struct map execs;                  /* struct exec by id */
    struct map leftovers;              /* struct leftover by id, so that each is there once */
    struct list pod_list;              /* struct pod.in_engine: those that are not being made */
    size_t pod_count;
    struct list cursors; /* struct engine_cursor.link */
    struct map
        texts; /* what many containers have alike: the names of their images; kept to the end */
    size_t most_pods; /* since memory was last given back */
    int64_t next_seq;
    struct list observers;
    bool closing;
    unsigned busy; /* coroutines of the engine's own */
    struct co_queue quiet;
};

struct pod_record {
    struct pod pod;
    struct handler *handler;
    int64_t seq;
    struct co_mutex mutex;
    unsigned refs;
    uint32_t epoch;    /* of the last call that made something of it */
    uint32_t seen;     /* the last snapshot that named it */
    unsigned stopping; /* stops under way or waiting */
    bool creating, removing, gone;
    bool written;     /* while it is being made: it has a row */
    bool ended_early; /* its end came before run() was through */
    char text[];
};

struct container_record {
    struct container container;
    int64_t seq;
    unsigned refs;
    uint32_t epoch, seen;
    struct co_queue changed; /* woken when a start is over, and at its end */
    struct packed spec;      /* between create and start; empty after a restart */
    bool starting, removing, gone;
    bool ended_early; /* its end came before start() was through; exit_code and its like are set */
    bool at_peer;     /* the sandboxer may know it */
    bool stop_signaled; /* it had its stop signal */
    bool guessed; /* EXITED because nobody knew it any more: a real end that comes late counts */
    char text[];
};

static inline struct pod_record *pod_record(const struct pod *p)
{
    return container_of(p, struct pod_record, pod);
}

static inline struct container_record *container_record(const struct container *c)
{
    return container_of(c, struct container_record, container);
}

static inline struct pod_record *record_pod(const struct container_record *c)
{
    return pod_record(c->container.pod);
}

static inline struct engine_peer *pod_peer(const struct pod_record *p)
{
    return p->handler->peer;
}

/* One reference, owned by the caller. What row points to is copied; config is taken over where it
 * is not NULL. */
struct pod_record *pod_record_new(struct handler *handler, const struct pod_row *row);
struct pod_record *pod_record_ref(struct pod_record *p);
void pod_record_unref(struct pod_record *p);
struct container_record *container_record_new(struct engine *e, struct pod_record *pod,
                                              const struct container_row *row);
struct container_record *container_record_ref(struct container_record *c);
void container_record_unref(struct container_record *c);

static inline void cleanup_pod_ref(struct pod_record **p)
{
    if (*p)
        pod_record_unref(*p);
}
static inline void cleanup_container_ref(struct container_record **c)
{
    if (*c)
        container_record_unref(*c);
}

/* By id or unambiguous prefix, borrowed; NULL and *err filled (-ENOENT, -EINVAL for an ambiguous
 * one). */
struct pod_record *pod_lookup(struct engine *e, const char *id, struct error *err);
struct container_record *container_lookup(struct engine *e, const char *id, struct error *err);

/* [parks] A pod that is found, counted and locked. NULL and *err filled where there is none, also
 * where it went while this waited. auto(pod_held) lets go. */
struct pod_record *pod_hold(struct engine *e, const char *id, struct error *err);
/* [parks] Locks a pod of which the caller has a reference; consumes it. */
struct pod_record *pod_hold_ref(struct pod_record *p, struct error *err);
void pod_let_go(struct pod_record *p);
static inline void cleanup_pod_held(struct pod_record **p)
{
    if (*p)
        pod_let_go(*p);
}

/* Adds to the tables (takes over no reference: makes its own), and takes out. */
int container_enter(struct engine *e, struct container_record *c, struct error *err);
void container_leave(struct engine *e, struct container_record *c);
/* Those that would give p next give the one after it. */
void cursors_leave(struct engine *e, const struct pod *p);
/* Out of all tables, its containers with it. */
void pod_leave(struct engine *e, struct pod_record *p);

/* [parks] Until the pod's sandboxer is there and its snapshot worked in; -ENOTCONN after a few
 * seconds. */
int peer_wait(const struct handler *handler, struct error *err);

/* As kill -9 leaves the engine, but for memory: for the simulation, whose coroutines are abandoned
 * with it. */
void engine_abandon(struct engine *e);

int packed_set(struct packed *p, const void *data, size_t len);
