/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what the container may not have. In this order: the bounding set (wants CAP_SETPCAP); groups, gid, uid, with the permitted set
 * kept over the change of uid; at the end, when nothing else needs them, the capability sets, no_new_privs and seccomp. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/sys.h"

static int drop_bounding(uint64_t keep, struct error *err)
{
    for (int cap = 0; cap < 64; cap++) {
        if (keep >> cap & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            break; /* past the last that this kernel knows */
        return fail(err, errno, "drop capability %d from the bounding set", cap);
    }
    return 0;
}

int child_drop_ids(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct user *u = &c->user;
    if (r->flags & RECIPE_HAS_CAPS) {
        int e = drop_bounding(r->caps.bounding, err);
        if (e)
            return e;
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return fail(err, errno, "keep capabilities while the user changes");
    /* raw calls: libc's go round all threads by signals, and there is one */
    if (syscall(SYS_setgroups, u->groups_count, u->groups) < 0)
        return fail(err, errno, "set the groups");
    if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0)
        return fail(err, errno, "become group %u", (unsigned)u->gid);
    if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
        return fail(err, errno, "become user %u", (unsigned)u->uid);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* forgotten at every change of ids */
    if (r->flags & RECIPE_DIE_WITH_PARENT)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return 0;
}

static int set_caps(const struct recipe *r, struct error *err)
{
    if (!(r->flags & RECIPE_HAS_CAPS))
        return 0;
    struct sys_caps caps, ours;
    if (sys_capget(&ours) < 0)
        return fail(err, errno, "read the capabilities");
    /* what we have not, we cannot give; recipe_build() has told of it */
    caps.effective = r->caps.effective & ours.permitted;
    caps.permitted = r->caps.permitted & ours.permitted;
    caps.inheritable = r->caps.inheritable & ours.permitted;
    uint64_t ambient = r->caps.ambient & caps.permitted & caps.inheritable;
    if (sys_capset(&caps) < 0)
        return fail(err, errno, "set the capabilities");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail(err, errno, "clear the ambient capabilities");
    for (int cap = 0; cap < 64; cap++)
        if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return fail(err, errno, "raise the ambient capability %d", cap);
    return 0;
}

static int load_filter(const struct recipe *r, struct error *err)
{
    if (!(r->flags & RECIPE_HAS_SECCOMP))
        return 0;
    if (sys_seccomp_filter(r->seccomp_flags, recipe_items(r, r->seccomp),
                           (unsigned short)r->seccomp.count) < 0)
        return fail(err, errno, "load the seccomp filter");
    return 0;
}

/* Without no_new_privs a filter wants CAP_SYS_ADMIN, so it comes before the capabilities go; with it, it comes last,
 * so that it need not allow what we do. */
int child_seal(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    bool sealed = r->flags & RECIPE_NO_NEW_PRIVILEGES;
    umask(r->umask);
    if (!sealed && r->flags & RECIPE_HAS_SECCOMP) {
        struct sys_caps caps;
        if (sys_capget(&caps) < 0)
            return fail(err, errno, "read the capabilities");
        caps.effective = caps.permitted; /* setresuid has cleared it */
        if (sys_capset(&caps) < 0)
            return fail(err, errno, "raise the capabilities for seccomp");
        int e = load_filter(r, err);
        if (e)
            return e;
    }
    int e = set_caps(r, err);
    if (e)
        return e;
    if (sealed && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(err, errno, "set no_new_privs");
    return sealed ? load_filter(r, err) : 0;
}
