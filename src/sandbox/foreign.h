/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxers that have only the published services: Kuasar's. What Warren's extension would tell is asked one by one: a Wait a
 * sandbox and one a container, a bundle directory and a mounted rootfs a container, announced by Update. What the engine
 * runs there is remembered by the bundles' directory. */
#pragma once

#include "sandbox/remote.h"

struct foreign;

/* NULL is allowed in both. leave: ends what waits; free: afterwards. */
void foreign_leave(struct foreign *f);
void foreign_free(struct foreign *f);

/* After the published call has succeeded. */
int foreign_sandbox_created(struct remote *c, const char *id, struct error *err);
int foreign_sandbox_started(struct remote *c, const char *id, const char *address, pid_t pid,
                            struct error *err);
int foreign_sandbox_removed(struct remote *c, const char *id, struct error *err);
void foreign_started(struct remote *c, const char *id, const char *exec_id, pid_t pid);
void foreign_removed(struct remote *c, const char *id, const char *exec_id);

/* In place of Task.Create and Task.Exec. */
int foreign_create(struct remote *c, const struct peer_container *container, pid_t *ret_pid,
                   struct error *err);
/* The connection to the task API of container id's sandbox; NULL where nothing is known of it. */
struct rpc_client *foreign_task(struct remote *c, const char *id);
/* In place of Watch: until the connection breaks. */
int foreign_follow(struct remote *c, struct error *err);
