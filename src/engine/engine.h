/* SPDX-License-Identifier: Apache-2.0 */
/* engine: pods, containers and execs; restart after a crash; the store. Knows no technique and no
 * RPC.
 *
 * Model. A pod runs in the sandboxer that its handler names and holds containers. The engine's own
 * description of a pod and of a container is CRI's message (api/cri.proto's PodSandboxConfig and
 * ContainerConfig); the Docker API is translated into them. Records live in memory (small) and in
 * the store (engine/store.h), which survives kill -9.
 * What happened is learned from sandboxers through struct peer_observer; at start, the snapshot is
 * compared with the records: exits that happened meanwhile are found, what is half-made is removed.
 *
 * A change is written to the store before the sandboxer is told of the new thing, so that no crash
 * leaves something running that nobody knows; but a pod that leaves nothing outside a sandboxer
 * which tells of all that it holds is written once it runs: what a snapshot names and no record
 * does is ended.
 *
 * Everything is for the loop's thread; functions marked [parks] are for coroutines. Operations on
 * one pod queue behind each other; stop, kill and status do not wait for a start under way longer
 * than they must. Structs returned are the engine's, read-only, valid until the next park. Stop and
 * remove are idempotent: unknown ids succeed as CRI wants it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "cri.pb-c.h"
#include "image/image.h"
#include "loop/loop.h"
#include "sandbox/peer.h"

struct engine;

enum pod_state { POD_READY, POD_NOT_READY };
enum container_state { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED, CONTAINER_UNKNOWN };

struct packed { /* a packed protobuf message */
    uint8_t *data;
    size_t len;
};

struct pod {
    char id[65];
    const char *key;     /* "name_namespace_uid_attempt": taken while the pod exists */
    const char *handler; /* as asked: "", "wasm", ... */
    enum pod_state state;
    pid_t pid;
    int64_t created_ns;
    struct packed config;   /* runtime.v1.PodSandboxConfig; never empty */
    struct list containers; /* struct container.in_pod */
    struct list in_engine;
};

struct container {
    char id[65];
    struct pod *pod;
    const char *name;
    uint32_t attempt;
    const char *image_id;  /* sha256:... */
    const char *image_ref; /* as the user wrote it */
    enum container_state state;
    pid_t pid;
    int64_t created_ns, started_ns, finished_ns; /* 0 where not yet */
    int exit_code;
    const char *reason;   /* "", "Completed", "Error", "OOMKilled", "StartError"; "Unknown" where
                             nobody can say */
    char *message;        /* or NULL */
    const char *log_path; /* absolute; or NULL */
    struct packed config; /* runtime.v1.ContainerConfig; never empty */
    struct list in_pod;
};

/* Opening */

struct engine_handler {    /* what a runtime handler names */
    const char *name;      /* "", "namespace", "runc", "wasm", ... */
    const char *technique; /* "namespace", ... */
    struct peer *peer; /* owned by the engine from engine_open on; several handlers may share one */
};

struct engine_options {
    const char *data_root;      /* state.db and .log, containers' upper directories */
    const char *exec_root;      /* FIFOs, bundles */
    struct image_store *images; /* borrowed */
    const struct engine_handler *handlers;
    size_t handler_count;
};
/* [parks] Opens the store and loads the records. Watches the sandboxers; pods of one that is not
 * there are reported as they were last known, until it is. */
int engine_open(struct engine **ret, const struct engine_options *options, struct error *err);
/* [parks] Ends at once; nothing that runs is touched. */
void engine_close(struct engine *e);
struct image_store *engine_images(struct engine *e);
const struct engine_handler *engine_handlers(struct engine *e, size_t *ret_count);

/* Pods */

/* [parks] -EEXIST where the name, namespace, uid and attempt are taken; -ENOENT for a handler that
 * is not configured. A failed run leaves nothing. */
int engine_pod_run(struct engine *e, const Runtime__V1__PodSandboxConfig *config,
                   const char *handler, char ret_id[65], struct error *err);
/* [parks] Stops its containers, then the sandbox. */
int engine_pod_stop(struct engine *e, const char *id, struct error *err);
/* [parks] Also where it still runs (CRI: forcibly). */
int engine_pod_remove(struct engine *e, const char *id, struct error *err);
/* By id or unambiguous prefix. -ENOENT "no such pod sandbox: ID". */
int engine_pod_find(struct engine *e, const char *id, struct pod **ret, struct error *err);
/* struct pod.in_engine, in the order of creation. */
const struct list *engine_pods(struct engine *e);
size_t engine_pod_count(struct engine *e);

/* Whether its sandboxer is there, so that it can be measured. */
bool engine_pod_reachable(const struct pod *pod);

/* A walk over the pods, in the order of creation, that may park: pods that go are passed over. init to done it stays where it is. */
struct engine_cursor {
    struct list *next, *end;
    struct list link;
};
void engine_cursor_init(struct engine_cursor *c, struct engine *e);
/* NULL at the end. The pod is valid until the next park. */
struct pod *engine_cursor_next(struct engine_cursor *c);
void engine_cursor_done(struct engine_cursor *c);

/* Containers */

/* [parks] The image must be there (-ENOENT). */
int engine_container_create(struct engine *e, const char *pod_id,
                            const Runtime__V1__ContainerConfig *config, char ret_id[65],
                            struct error *err);
/* [parks] A container whose program cannot start becomes EXITED with 127 or 128 and reason
 * StartError, and the error says why. -EINVAL "container ID is in state EXITED" where it was
 * started before. */
int engine_container_start(struct engine *e, const char *id, struct error *err);
/* [parks] Its stop signal, then SIGKILL after timeout_s; returns when it has ended. */
int engine_container_stop(struct engine *e, const char *id, int64_t timeout_s, struct error *err);
/* [parks] Kills a running one. */
int engine_container_remove(struct engine *e, const char *id, struct error *err);
/* [parks] */
int engine_container_update(struct engine *e, const char *id,
                            const Runtime__V1__LinuxContainerResources *resources,
                            struct error *err);
/* [parks] */
int engine_container_reopen_log(struct engine *e, const char *id, struct error *err);

enum {
    EXEC_OUTPUT_MAX = 8 << 20
}; /* bytes a stream; more is cut off, as in containerd's 16 MiB message */
struct exec_result {
    struct buffer out, err;
    int exit_code;
};
/* [parks] timeout_s 0: none; at the timeout the process is killed and -ETIMEDOUT. */
int engine_exec_sync(struct engine *e, const char *id, char *const *argv, int64_t timeout_s,
                     struct exec_result *ret, struct error *err);
/* By id or unambiguous prefix. */
int engine_container_find(struct engine *e, const char *id, struct container **ret,
                          struct error *err);

/* [parks] Stats of the named pods' containers and containers; both NULL: all. *ret in arena. */
int engine_stats(struct engine *e, char *const *pod_ids, char *const *container_ids,
                 struct arena *arena, struct peer_container_stats **ret, size_t *ret_count,
                 struct error *err);

/* Events */

enum engine_event_type {
    EVENT_CREATED,
    EVENT_STARTED,
    EVENT_STOPPED,
    EVENT_DELETED
}; /* CRI's numbers */
struct engine_event {
    enum engine_event_type type;
    int64_t at_ns;
    const struct pod *pod;             /* never NULL */
    const struct container *container; /* NULL: of the pod itself */
};
struct engine_observer {
    void (*event)(void *arg, const struct engine_event *event); /* must not park */
    void *arg;
    struct list link;
};
void engine_observe(struct engine *e, struct engine_observer *o);
void engine_unobserve(struct engine_observer *o);
