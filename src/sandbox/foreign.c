/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/foreign.h"

#include <errno.h>

#include "base/error.h"

static int refuse(const struct remote *c, struct error *err)
{
    return fail_plain(err, EOPNOTSUPP,
                      "the sandboxer at '%s' has only the published services and not "
                      "warren.sandbox.v1.Extension, without which warrend does not run pods yet",
                      c->path);
}

void foreign_free(struct foreign *f)
{
    (void)f;
}

int foreign_sandbox_created(struct remote *c, const char *id, struct error *err)
{
    (void)id;
    return refuse(c, err);
}

int foreign_sandbox_started(struct remote *c, const char *id, const char *address,
                            struct error *err)
{
    (void)id;
    (void)address;
    return refuse(c, err);
}

int foreign_sandbox_removed(struct remote *c, const char *id, struct error *err)
{
    (void)c;
    (void)id;
    (void)err;
    return 0;
}

int foreign_started(struct remote *c, const char *id, const char *exec_id, pid_t pid,
                    struct error *err)
{
    (void)id;
    (void)exec_id;
    (void)pid;
    return refuse(c, err);
}

void foreign_removed(struct remote *c, const char *id, const char *exec_id)
{
    (void)c;
    (void)id;
    (void)exec_id;
}

int foreign_create(struct remote *c, const struct peer_container *container, pid_t *ret_pid,
                   struct error *err)
{
    (void)container;
    (void)ret_pid;
    return refuse(c, err);
}

int foreign_follow(struct remote *c, struct error *err)
{
    return refuse(c, err);
}
