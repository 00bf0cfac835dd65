/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/confine/confine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "linux/sys.h"
#include "wasm/confine/steps.h"

struct attempt {
    const struct confine *options;
    const char *who;
    char missing[256];
    struct error *err;
};

/* A step that did not work is an error where all are required, and is told at the end else. */
static int try(struct attempt *a, int result, const char *what)
{
    if (result >= 0)
        return 0;
    if (a->options->required)
        return fail(a->err, result, "confine the %s: %s", a->who, what);
    size_t n = strlen(a->missing);
    snprintf(a->missing + n, sizeof a->missing - n, "%s%s (%s)", n ? ", " : "", what,
             strerror(-result));
    return 0;
}

static int finish(const struct attempt *a)
{
    if (*a->missing)
        diag_warning("this %s runs without: %s", a->who, a->missing);
    return 0;
}

pid_t confine_pid(void)
{
    char text[16];
    ssize_t n = readlink("/proc/self", text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    int pid = atoi(text);
    return pid > 0 ? pid : getpid();
}

pid_t confine_fork(const struct confine *c, struct error *err)
{
    struct attempt a = {.options = c, .who = "worker", .err = err};
    int r = step_unshare(CLONE_NEWPID);
    if (r == -EPERM && geteuid() != 0) { /* has the privileges of a user namespace alone */
        autoclose int self = step_open_self();
        r = try(&a, step_user_namespace(self), "a user namespace");
        if (r < 0)
            return r;
        r = step_unshare(CLONE_NEWPID);
    }
    r = try(&a, r, "a pid namespace");
    if (r < 0)
        return r;
    finish(&a);
    pid_t pid = fork();
    return pid < 0 ? fail(err, errno, "start a process") : pid;
}

/* Our own places for all that has names, and none of the host's files. The user namespace comes last where that can be: the others are
 * then not its own, so that all its capabilities would be none over them. */
static int leave_the_host(struct attempt *a)
{
    static const int namespaces =
        CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    uint32_t uid = a->options->uids + (uint32_t)confine_pid();
    autoclose int self = step_open_self();
    int user = 1, spaces = step_unshare(namespaces);
    if (spaces == -EPERM) {
        user = step_user_namespace(self);
        spaces = step_unshare(namespaces);
    }
    int r = try(a, spaces, "namespaces of mounts, network, IPC, host name and cgroup");
    if (!r && !spaces)
        r = try(a, step_empty_root(), "an empty root");
    if (!r && a->options->uids && geteuid() == 0)
        r = try(a, step_uid(uid), "a uid of its own");
    if (user > 0)
        user = step_user_namespace(self);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of uid forgets it */
    return r ? r : try(a, user, "a user namespace");
}

static int give_up_rights(struct attempt *a, uint64_t capabilities)
{
    int r = try(a, step_capabilities(capabilities), "dropping capabilities");
    if (!r)
        r = try(a, step_no_new_privileges(), "no_new_privs");
    return r ? r : try(a, step_not_dumpable(), "being closed to debuggers");
}

int confine_worker(const struct confine *c, struct error *err)
{
    struct attempt a = {.options = c, .who = "worker", .err = err};
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* huge pages would make small instances large */
    int r = leave_the_host(&a);
    if (!r)
        r = give_up_rights(&a, 0);
    if (!r)
        r = try(&a, step_landlock(), "Landlock");
    if (!r)
        r = try(&a, step_filter(FILTER_WORKER, c->debug), "a seccomp filter");
    return r ? r : finish(&a);
}

int confine_compiler(const struct confine *c, struct error *err)
{
    struct attempt a = {.options = c, .who = "compiler", .err = err};
    if (sys_close_range(3, UINT32_MAX, 0) < 0)
        return fail(err, errno, "close what the compiler does not need");
    int r = leave_the_host(&a);
    if (!r)
        r = give_up_rights(&a, 0);
    if (!r)
        r = try(&a, step_landlock(), "Landlock");
    if (!r)
        r = try(&a, step_filter(FILTER_COMPILER, c->debug), "a seccomp filter");
    return r ? r : finish(&a);
}

/* The rootfs' files belong to whom the image says, and are used as the container's user. */
static const uint64_t files_capabilities =
    UINT64_C(1) << RIGHT_CHOWN | UINT64_C(1) << RIGHT_DAC_OVERRIDE | UINT64_C(1) << RIGHT_FOWNER |
    UINT64_C(1) << RIGHT_FSETID | UINT64_C(1) << RIGHT_SETUID | UINT64_C(1) << RIGHT_SETGID;

int confine_files(const struct confine *c, struct error *err)
{
    struct attempt a = {.options = c, .who = "files process", .err = err};
    umask(022);
    int r = try(&a, step_unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP),
                "namespaces of network, IPC, host name and cgroup");
    if (!r)
        r = give_up_rights(&a, files_capabilities);
    if (!r)
        r = try(&a, step_filter(FILTER_FILES, c->debug), "a seccomp filter");
    return r ? r : finish(&a);
}
