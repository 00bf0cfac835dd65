/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by foreign.c and foreign_follow.c. The table holds a reference to each sandbox and process, a process one to its
 * sandbox, a coroutine one to what it waits for. */
#pragma once

#include "sandbox/foreign.h"
#include "sandbox/foreign_log.h"

struct foreign {
    struct list sandboxes;
    bool broken; /* a waiter saw the connection break */
};

struct foreign_sandbox {
    struct list link;
    char *id;
    struct rpc_client *task; /* NULL before its start */
    struct list processes;
    enum sandbox_state state;
    pid_t pid;
    int64_t created_ns, exited_ns;
    uint32_t exit_status;
    unsigned refs;
    bool waiting, gone;
};

struct foreign_process {
    struct list link;
    struct foreign_sandbox *sandbox;
    char *id, *exec_id, *spec;
    char *stdin_, *stdout_, *stderr_; /* as the other side knows them */
    bool terminal;
    enum sandbox_state state;
    pid_t pid;
    int64_t created_ns, started_ns, exited_ns;
    uint32_t exit_status;
    struct foreign_log *log;
    unsigned refs;
    bool waiting, gone;
};

struct foreign *foreign_table(struct remote *c);
void foreign_sandbox_unref(struct foreign_sandbox *sb);
void foreign_process_unref(struct foreign_process *p);
struct foreign_sandbox *foreign_find_sandbox(struct remote *c, const char *id);
struct foreign_process *foreign_find(struct remote *c, const char *id, const char *exec_id);
/* Also one that is there already. */
int foreign_add_sandbox(struct remote *c, const char *id, struct foreign_sandbox **ret,
                        struct error *err);
int foreign_add_process(struct foreign_sandbox *sb, const struct peer_container *from,
                        struct foreign_process **ret, struct error *err);
int foreign_connect(struct foreign_sandbox *sb, const char *address, struct error *err);

/* foreign_follow.c */
void foreign_tell_sandbox(struct remote *c, const struct foreign_sandbox *sb);
void foreign_tell_process(struct remote *c, const struct foreign_process *p);
/* Start a coroutine that waits for the end, unless there is one. */
void foreign_wait_sandbox(struct remote *c, struct foreign_sandbox *sb);
void foreign_wait_process(struct remote *c, struct foreign_process *p);
