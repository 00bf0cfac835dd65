/* SPDX-License-Identifier: Apache-2.0 */
/* A sandboxer as the engine sees it. sandbox/client.c implements it over the published APIs and
 * Warren's extension (or without it, for foreign sandboxers); the engine's simulation implements it
 * with a model. Functions park; they may be called for different sandboxes at the same time. Errors
 * are the sandboxer's own, in errno: -ENOENT unknown id, -EEXIST taken, -ENOTCONN the sandboxer is
 * not there (the call may or may not have happened). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "sandbox/technique.h"

struct error;
struct peer;

struct peer_sandbox_state {
    const char *id;
    enum sandbox_state state;
    pid_t pid;
    int64_t created_ns, exited_ns;
    uint32_t exit_status;
};

struct peer_process_state {
    const char *id, *exec_id, *sandbox_id;
    enum sandbox_state state;
    pid_t pid;
    int64_t created_ns, started_ns, exited_ns;
    uint32_t exit_status;
    bool oom_killed;
    const char *message; /* "" for none */
};

/* How the engine learns what happens; called on the loop, must not park. Strings live until it
 * returns. */
struct peer_observer {
    /* The sandboxer is there (again), and a snapshot is about to be asked for: sandbox() and process() for each, then
     * snapshot_end(). What the engine held at snapshot_begin and was not named is gone; what it made since may be
     * missing, and is told by an event. A break of the stream that could be mended at once is told by nothing. */
    void (*snapshot_begin)(void *arg);
    void (*snapshot_end)(void *arg);
    void (*sandbox)(void *arg, const struct peer_sandbox_state *s);
    void (*process)(void *arg, const struct peer_process_state *p);
    /* The connection broke; snapshot_begin follows when it is back. Nothing is known to have ended
     * by that. */
    void (*disconnected)(void *arg);
};

struct peer_container { /* what CreateTask and Exec need */
    const char *id, *exec_id, *sandbox_id;
    const char *spec; /* JSON: OCI spec, or OCI process for an exec */
    size_t spec_len;
    const struct mount_request *rootfs;
    size_t rootfs_count;
    const char *stdin_, *stdout_, *stderr_; /* "" for none */
    bool terminal;
};

struct peer_container_stats {
    const char *id, *sandbox_id;
    struct process_stats stats;
};

struct peer_ops {
    /* Begins to watch and goes on until free; reconnects by itself. Once, after new. */
    void (*watch)(struct peer *p, const struct peer_observer *observer, void *arg);
    int (*sandbox_create)(struct peer *p, const char *id, const void *config, size_t config_len,
                          const char *netns_path, struct error *err);
    int (*sandbox_start)(struct peer *p, const char *id, pid_t *ret_pid, struct error *err);
    /* Both, in one exchange where the sandboxer is Warren's. Where it fails, something of it may be there. */
    int (*sandbox_run)(struct peer *p, const char *id, const void *config, size_t config_len,
                       const char *netns_path, pid_t *ret_pid, struct error *err);
    int (*sandbox_stop)(struct peer *p, const char *id, uint32_t timeout_s, struct error *err);
    int (*sandbox_shutdown)(struct peer *p, const char *id, struct error *err);
    int (*create)(struct peer *p, const struct peer_container *c, pid_t *ret_pid,
                  struct error *err);
    int (*start)(struct peer *p, const char *id, const char *exec_id, pid_t *ret_pid,
                 struct error *err);
    /* create and start of a container, as sandbox_run. */
    int (*run)(struct peer *p, const struct peer_container *c, pid_t *ret_pid, struct error *err);
    int (*kill)(struct peer *p, const char *id, const char *exec_id, int signal, bool all,
                struct error *err);
    /* Forgets an ended one; exit_status may be NULL. */
    int (*remove)(struct peer *p, const char *id, const char *exec_id, uint32_t *exit_status,
                  struct error *err);
    int (*pause)(struct peer *p, const char *id, struct error *err);
    int (*resume)(struct peer *p, const char *id, struct error *err);
    int (*update)(struct peer *p, const char *id, const char *resources, struct error *err);
    int (*reopen_log)(struct peer *p, const char *id, struct error *err);
    /* Both lists NULL-terminated, both NULL: everything. *ret in arena. */
    int (*stats)(struct peer *p, char *const *sandbox_ids, char *const *container_ids,
                 struct arena *arena, struct peer_container_stats **ret, size_t *ret_count,
                 struct error *err);
    int (*attach)(struct peer *p, const char *id, const char *exec_id, bool in, bool out, bool err_,
                  char **ret_address, char **ret_token, struct error *err);
    bool (*connected)(struct peer *p);
    /* Whether its snapshots name also what the engine has never heard of. */
    bool (*tells_all)(struct peer *p);
    void (*free)(struct peer *p);
};

struct peer {
    const struct peer_ops *ops;
};

/* The real one: a sandboxer's socket. bundles: a directory for the bundles that a foreign sandboxer
 * reads, made when needed. */
int peer_connect(struct peer **ret, const char *address, const char *bundles, struct error *err);
