/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxers that have only the published services: Kuasar's. What Warren's extension would tell is asked one by one. */
#pragma once

#include "sandbox/remote.h"

struct foreign;

void foreign_free(struct foreign *f); /* NULL is allowed */

/* After the published call has succeeded. */
int foreign_sandbox_created(struct remote *c, const char *id, struct error *err);
int foreign_sandbox_started(struct remote *c, const char *id, const char *address,
                            struct error *err);
int foreign_sandbox_removed(struct remote *c, const char *id, struct error *err);
int foreign_started(struct remote *c, const char *id, const char *exec_id, pid_t pid,
                    struct error *err);
void foreign_removed(struct remote *c, const char *id, const char *exec_id);

/* In place of Task.Create and Task.Exec. */
int foreign_create(struct remote *c, const struct peer_container *container, pid_t *ret_pid,
                   struct error *err);
/* In place of Watch: until the connection breaks. */
int foreign_follow(struct remote *c, struct error *err);
