/* SPDX-License-Identifier: Apache-2.0 */
/* The contract that a technique implements. A technique is a set of functions and knows no RPC: the
 * servers in front of it (sandbox/server.h: containerd's Sandbox API, Task v2 and v3, Warren's
 * extension) own the table of sandboxes and processes, check ids and states, queue operations, and
 * tell the world of exits.
 *
 * Model: a sandbox is a pod; a process is a container (exec_id "") or an exec in one. The table's
 * structs below are the servers'; the technique reads them and keeps its own data behind
 * .technique. Operations on one sandbox come one at a time, in coroutines; signal, stats and attach
 * may come beside another, but never beside the removal of what they are about. Exits may be told
 * at any time, also while another function is under way. All on the loop's thread.
 *
 * What runs is held by a holder (keeper, wasm worker, ...), a process that outlives the sandboxer.
 * A holder keeps, beside its own state, an opaque record of each sandbox and process (the servers
 * make it) and gives it back at recover(), so that no file per pod is needed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "loop/loop.h"

struct error;
struct sandboxer; /* the servers' table */

enum sandbox_state { /* numbers as warren.sandbox.v1.State */
                     SANDBOX_UNKNOWN,
                     SANDBOX_CREATED,
                     SANDBOX_RUNNING,
                     SANDBOX_PAUSED,
                     SANDBOX_STOPPED,
};

struct sandbox {
    const char *id; /* checked by str_check_id */
    struct sandboxer *sandboxer;
    enum sandbox_state state;
    pid_t pid; /* what the sandbox's pid is to the world: the keeper's; 0 where there is none (wasm)
                */
    int64_t created_ns, exited_ns;
    uint32_t exit_status;
    const char *netns_path; /* of ControllerCreateRequest; "" where none: see config */
    uint8_t *
        config; /* runtime.v1.PodSandboxConfig, packed, as it came in options; may be empty, and is after the start where the technique wants it so */
    size_t config_len;
    struct list processes; /* struct process.link */
    void *technique;       /* the technique's own */
    /* The servers' own: */
    struct list table;
    struct co_mutex mutex;
    struct co_queue exited; /* woken at its end */
    bool making;            /* sandbox_create has not returned */
    bool removing;          /* nothing new may begin beside its removal */
    bool gone;              /* out of the table; memory that somebody still holds */
    bool task_v3;           /* its engine speaks Task v3: containerd 2 */
    unsigned refs;
    uint64_t serial;             /* of its creation: where a snapshot goes on */
    uint64_t changed;            /* cursor of its last event */
    struct sandbox_tasks *tasks; /* what an Update told: tasks.h */
    char text[];                 /* the strings above */
};

struct mount_request { /* containerd.types.Mount */
    char *type, *source, *target;
    char **options;
};

struct process {
    const char *id;
    const char *exec_id; /* "" for a container */
    struct sandbox *sandbox;
    enum sandbox_state state;
    pid_t pid; /* in the host's pid namespace; 0 in wasm */
    int64_t created_ns, started_ns, exited_ns;
    uint32_t exit_status;
    bool oom_killed;
    char *message; /* what ended it where there is more to say; or NULL */
    /* addresses as design and interfaces say: log+cri:///PATH, log+json:///PATH, binary://,
     * file://, a FIFO's plain path; "" for none. A log address stands for both streams and is in
     * stdout_ and stderr_. */
    const char *stdin_, *stdout_, *stderr_;
    bool terminal;
    const char
        *bundle; /* directory of a foreign engine's config.json; "" where the spec came in the
                     request */
    /* Only during create(), then freed: the OCI runtime spec (of an exec: the OCI process), and the
     * rootfs. A rootfs of type overlay is described, not mounted: options lowerdir= upperdir=
     * workdir=. Empty: the spec's root.path. */
    const uint8_t *spec;
    size_t spec_len;
    const struct mount_request *rootfs;
    size_t rootfs_count;
    void *technique;
    struct list link;
    /* The servers' own: */
    struct co_queue exited;
    struct co_queue idle; /* woken when nothing is beside */
    const char *key;      /* id, or id/exec_id */
    unsigned refs, beside;
    bool making, removing, gone;
    uint64_t changed;
    char text[]; /* the strings above */
};

struct process_stats { /* as warren.sandbox.v1.ContainerStats */
    int64_t timestamp;
    uint64_t cpu_ns, memory_usage, memory_working_set, memory_rss, memory_limit;
    uint64_t page_faults, major_page_faults, pids, io_read_bytes, io_write_bytes;
};

/* Unset functions answer UNIMPLEMENTED by name. t is sandboxer_run()'s. */
struct technique {
    const char *name;
    /* sandbox.config is of no use once the sandbox has started: it is neither kept nor in the record. */
    bool config_until_start;
    /* Finds what holders hold and tells of it by sandboxer_adopt_*(). Called once, before the
     * socket listens. */
    int (*recover)(void *t, struct sandboxer *s, struct error *err);
    /* Checks and prepares; nothing runs yet. */
    int (*sandbox_create)(void *t, struct sandbox *sb, struct error *err);
    /* Returns when the sandbox runs; sets sb->pid. record is what recover() must give back. */
    int (*sandbox_start)(void *t, struct sandbox *sb, const struct buffer *record,
                         struct error *err);
    /* Ends all processes: SIGTERM first and SIGKILL at the deadline; returns when they are gone and
     * have been told by process_exited. */
    int (*sandbox_stop)(void *t, struct sandbox *sb, int64_t deadline_ns, struct error *err);
    /* Removes everything of it, also of one that never started or half started. Its processes have
     * been removed before, one by one, and a running one has been stopped. */
    int (*sandbox_remove)(void *t, struct sandbox *sb, struct error *err);
    /* A container or an exec: everything done but its program's first instruction. Sets p->pid. A
     * program that is not there is -ENOENT here, in the words of the user. Where it fails, nothing
     * of p is left, and p is freed. */
    int (*create)(void *t, struct process *p, const struct buffer *record, struct error *err);
    int (*start)(void *t, struct process *p, struct error *err);
    /* create and start of a container in one; NULL: the two are called. As create where it fails. */
    int (*run)(void *t, struct process *p, const struct buffer *record, struct error *err);
    /* -ESRCH where it has ended. all: everything in the container. */
    int (*signal)(void *t, struct process *p, int signal, bool all, struct error *err);
    /* Forgets one that never started or has ended; removes what it left (not its rootfs' upper
     * directory). */
    int (*remove)(void *t, struct process *p, struct error *err);
    int (*pause)(void *t, struct process *p, struct error *err);
    int (*resume)(void *t, struct process *p, struct error *err);
    /* resources: OCI LinuxResources, JSON. */
    int (*update)(void *t, struct process *p, const uint8_t *resources, size_t len,
                  struct error *err);
    /* Appends pids (host) to b as pid_t. */
    int (*pids)(void *t, struct process *p, struct buffer *b, struct error *err);
    int (*stats)(void *t, struct process *p, struct process_stats *ret, struct error *err);
    int (*resize)(void *t, struct process *p, uint32_t columns, uint32_t rows, struct error *err);
    int (*close_stdin)(void *t, struct process *p, struct error *err);
    int (*reopen_log)(void *t, struct process *p, struct error *err);
    /* *ret_address (unix:///PATH) and *ret_token: malloced. */
    int (*attach)(void *t, struct process *p, bool in, bool out, bool err_, char **ret_address,
                  char **ret_token, struct error *err);
};

/* What a technique calls */

/* The process has ended. message may be NULL; it is copied. Wakes waiters, publishes the event. May
 * come while create() or start() of it is under way (where those then succeed), but not after its
 * removal. A second call changes nothing. */
void process_exited(struct process *p, uint32_t exit_status, int64_t exited_ns, bool oom_killed,
                    const char *message);
/* The sandbox's holder has ended, and with it all its processes that still ran: reported with
 * exit_status. */
void sandbox_exited(struct sandbox *sb, uint32_t exit_status, int64_t exited_ns);

/* During recover(): record as it was given. Afterwards the technique sets .technique. *ret is the
 * table's. -EINVAL where the record is not ours; then the technique ends what it found and goes on.
 */
int sandboxer_adopt_sandbox(struct sandboxer *s, const void *record, size_t len,
                            enum sandbox_state state, pid_t pid, struct sandbox **ret,
                            struct error *err);
/* started_ns 0: never started. An ended one is adopted with its exit too: call process_exited
 * after. */
int sandboxer_adopt_process(struct sandboxer *s, struct sandbox *sb, const void *record, size_t len,
                            enum sandbox_state state, pid_t pid, int64_t started_ns,
                            struct process **ret, struct error *err);
struct sandbox *sandboxer_find_sandbox(struct sandboxer *s, const char *id);
struct process *sandboxer_find_process(struct sandboxer *s, const char *id, const char *exec_id);

/* What a program calls */

struct sandboxer_options {
    const char *listen; /* socket path */
    const char *dir;    /* state of the sandboxer and its holders: DIR, made 0700 */
};
/* Recovers, listens, serves until SIGTERM or SIGINT (holders go on). Runs the loop; 0 at a clean
 * end. */
int sandboxer_run(const struct technique *technique, void *t,
                  const struct sandboxer_options *options, struct error *err);
