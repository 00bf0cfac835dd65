/* SPDX-License-Identifier: Apache-2.0 */
/* The servers' side of the contract: the table of sandboxes and processes and the operations on it,
 * free of RPC. controller.c, task.c and extension.c translate the wires into these calls; tests
 * call them directly.
 *
 * Lifetime. The table holds one reference to each sandbox and process, a process one to its
 * sandbox, an operation one to what it works on. Removal takes a thing out of the table and sets
 * .gone; the memory goes with the last reference. After every park, .gone is looked at again.
 *
 * Order. Operations on a sandbox and its processes hold sandbox.mutex. Signal, stats and attach run
 * beside it and are counted in process.beside; removal stops new ones (.removing) and waits for
 * those under way. No operation holds two mutexes. Exits (process_exited, sandbox_exited) take
 * none, so that a stop can wait for them. */
#pragma once

#include "sandbox/events.h"
#include "sandbox/technique.h"

struct sandboxer {
    const struct technique *technique;
    void *t;
    char *address;     /* of the task API, as engines are told: ttrpc+unix:///PATH */
    char instance[65]; /* of this process: cursors are good within it */
    struct map sandboxes, processes;
    size_t most;     /* sandboxes, since memory was last given back */
    struct list all; /* struct sandbox.table, in the order of creation */
    uint64_t serial;
    struct event_log events;
};

/* address is copied. */
int sandboxer_new(struct sandboxer **ret, const struct technique *technique, void *t,
                  const char *address, struct error *err);
/* Frees the table, whatever is in it. Nothing may be under way any more. NULL is allowed. */
void sandboxer_free(struct sandboxer *s);
CLEANUP_FREE(sandboxer, struct sandboxer);

void sandbox_ref(struct sandbox *sb);
void sandbox_unref(struct sandbox *sb); /* NULL is allowed, as below */
void process_ref(struct process *p);
void process_unref(struct process *p);
static inline void cleanup_sandbox_unref(struct sandbox **sb)
{
    sandbox_unref(*sb);
}
static inline void cleanup_process_unref(struct process **p)
{
    process_unref(*p);
}

/* "the X technique cannot WHAT", -EOPNOTSUPP. */
int sandboxer_unsupported(const struct sandboxer *s, const char *what, struct error *err);

/* Table.c */

struct sandbox_request {
    const char *id;
    const void *config; /* packed PodSandboxConfig */
    size_t config_len;
    const char *netns_path; /* "" for none */
    bool task_v3;
};

struct process_request {
    const char *id, *exec_id, *sandbox_id; /* sandbox_id: not for an exec */
    const char *stdin_, *stdout_, *stderr_;
    bool terminal;
    const char *bundle;
    const void *spec;
    size_t spec_len;
    const struct mount_request *rootfs;
    size_t rootfs_count;
    bool start; /* a container: start it as well */
};

/* A new one in the table, .making, with one reference more than the table's. -EEXIST, -EINVAL for a
 * bad id. */
int table_add_sandbox(struct sandboxer *s, const struct sandbox_request *request,
                      struct sandbox **ret, struct error *err);
int table_add_process(struct sandboxer *s, struct sandbox *sb,
                      const struct process_request *request, struct process **ret,
                      struct error *err);
/* Out of the table: wakes its waiters and tells of it, unless nobody was told of it yet (.making).
 */
void table_drop_sandbox(struct sandbox *sb);
void table_drop_process(struct process *p);

/* What is there and made; -ENOENT with the id. With a reference. Who wants to lock it takes the
 * sandboxer_enter_ form below, which waits for the making and takes the mutex as well. */
int sandboxer_hold_sandbox(struct sandboxer *s, const char *id, struct sandbox **ret,
                           struct error *err);
int sandboxer_hold_process(struct sandboxer *s, const char *id, const char *exec_id,
                           struct process **ret, struct error *err);

/* With a reference and the mutex of the (process's) sandbox; not gone. Give back by the leave form.
 * Parks. */
int sandboxer_enter_sandbox(struct sandboxer *s, const char *id, struct sandbox **ret,
                            struct error *err);
int sandboxer_enter_process(struct sandboxer *s, const char *id, const char *exec_id,
                            struct process **ret, struct error *err);
void sandbox_leave(struct sandbox *sb); /* NULL is allowed */
void process_leave(struct process *p);
static inline void cleanup_sandbox_entered(struct sandbox **sb)
{
    sandbox_leave(*sb);
}
static inline void cleanup_process_entered(struct process **p)
{
    process_leave(*p);
}

void sandbox_changed(struct sandbox *sb); /* tells watchers */
void process_changed(struct process *p);

/* Operations on sandboxes, sandbox.c. All park. */

int sandboxer_create(struct sandboxer *s, const struct sandbox_request *request, struct error *err);
/* ret (with a reference) may be NULL. -EPROTO where it was started before. */
int sandboxer_start(struct sandboxer *s, const char *id, struct sandbox **ret, struct error *err);
/* 0 for an unknown one. timeout 0: kill at once. */
int sandboxer_stop(struct sandboxer *s, const char *id, uint32_t timeout_s, struct error *err);
/* 0 for an unknown one. One that runs is stopped first. */
int sandboxer_shutdown(struct sandboxer *s, const char *id, struct error *err);

/* A wait that its caller can end: begin says which queue to wake then; cancelled is asked after
 * each wake. NULL: none. */
struct wait {
    void (*begin)(void *arg, struct co_queue *queue);
    bool (*cancelled)(void *arg);
    void *arg;
};
/* Where nobody waits any more: -ECANCELED. */
/* Until it has ended (or is removed); *ret with a reference. */
int sandboxer_wait(struct sandboxer *s, const char *id, const struct wait *wait,
                   struct sandbox **ret, struct error *err);

/* Operations on processes, process.c. All park, but kill where the technique does not. */

/* *ret_pid is the new process's. Where it is to be started too and that fails, nothing of it is left. */
int process_create(struct sandboxer *s, const struct process_request *request, pid_t *ret_pid,
                   struct error *err);
int process_start(struct sandboxer *s, const char *id, const char *exec_id, pid_t *ret_pid,
                  struct error *err);
/* *ret (may be NULL) with a reference: what it was. -EPROTO where it runs. */
int process_delete(struct sandboxer *s, const char *id, const char *exec_id, struct process **ret,
                   struct error *err);
int process_kill(struct sandboxer *s, const char *id, const char *exec_id, int signal, bool all,
                 struct error *err);
int process_wait(struct sandboxer *s, const char *id, const char *exec_id, const struct wait *wait,
                 struct process **ret, struct error *err);
int process_pause(struct sandboxer *s, const char *id, struct error *err);
int process_resume(struct sandboxer *s, const char *id, struct error *err);
int process_update(struct sandboxer *s, const char *id, const void *resources, size_t len,
                   struct error *err);
int process_pids(struct sandboxer *s, const char *id, struct buffer *pids, struct error *err);
int process_resize(struct sandboxer *s, const char *id, const char *exec_id, uint32_t columns,
                   uint32_t rows, struct error *err);
int process_close_stdin(struct sandboxer *s, const char *id, const char *exec_id,
                        struct error *err);
int process_reopen_log(struct sandboxer *s, const char *id, struct error *err);
int process_get_stats(struct sandboxer *s, const char *id, struct process_stats *ret,
                      struct error *err);
int process_attach(struct sandboxer *s, const char *id, const char *exec_id, bool in, bool out,
                   bool err_, char **ret_address, char **ret_token, struct error *err);

/* For those who hold the mutex. */
int process_delete_locked(struct process *p, struct error *err);
