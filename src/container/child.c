/* SPDX-License-Identifier: Apache-2.0 */
/* The child's way from the clone to exec. The order is the security of it:
 *   before the root is entered   all that needs the host's files: cgroups, /proc, the sources of bind mounts
 *   then                         mounts, pivot_root, and from here on nothing of the host can be reached
 *   then                         ids and bounding set; ready, and wait
 *   last                         capabilities and seccomp, exec */
#include "container/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/container.h"
#include "linux/path.h"
#include "linux/sys.h"

void child_send(enum message_kind kind, int code, const char *text, int fd)
{
    struct message m = {.kind = kind, .code = code};
    size_t len = strnlen(text, sizeof m.text);
    memcpy(m.text, text, len);
    struct iovec v = {&m, offsetof(struct message, text) + len};
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {0};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd >= 0) {
        h.msg_control = space;
        h.msg_controllen = sizeof space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    while (sendmsg(CHILD_CONTROL, &h, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

void child_warn(const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    child_send(MESSAGE_WARNING, 0, text, -1);
}

/* Ignored signals survive exec, and so does the mask. */
static void reset_signals(void)
{
    struct sigaction ignored;
    for (int s = 1; s < 65; s++)
        if (sigaction(s, NULL, &ignored) == 0 && ignored.sa_handler != SIG_DFL)
            signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Keys of who holds us are not the container's. Where there are no keyrings, or no more of them, there is none to share. */
static void leave_keyring(void)
{
    enum { JOIN_SESSION_KEYRING = 1 };
    syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL);
}

static int join_cgroups(const struct recipe *r, struct error *err)
{
    if (r->flags & RECIPE_CGROUP2)
        return 0; /* cloned into */
    for (uint32_t i = 0; i < r->join.count; i++) {
        const char *path = recipe_text_at(r, r->join, i);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return fail(err, errno, "open the cgroup file '%s'", path);
        ssize_t n = write(fd, "0", 1);
        int code = errno;
        close(fd);
        if (n < 0)
            return fail(err, code, "enter the cgroup of '%s'", path);
    }
    return 0;
}

static int join_namespaces(const struct recipe *r, struct error *err)
{
    const struct recipe_namespace *ns = recipe_items(r, r->namespaces);
    for (uint32_t i = 0; i < r->namespaces.count; i++) {
        if (ns[i].flag == SYS_CLONE_NEWPID)
            continue; /* joined by the parent: it is for children only */
        const char *path = recipe_text(r, ns[i].path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return fail(err, errno, "open the namespace '%s'", path);
        int e = sys_setns(fd, (int)ns[i].flag) < 0 ? errno : 0;
        close(fd);
        if (e)
            return fail(err, e, "join the namespace '%s'", path);
    }
    return 0;
}

/* Where we are in a chroot ourselves, the container's root is not its mount namespace's (see rootfs.c), but that of its first
 * process, which only /proc tells. */
static int find_chroot(int *ret, struct error *err)
{
    char text[512], path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", CHILD_TARGET);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = info < 0 ? -1 : read(info, text, sizeof text - 1);
    close(info);
    text[n > 0 ? n : 0] = 0;
    const char *pid = strstr(text, "Pid:");
    snprintf(path, sizeof path, "/proc/%d/root", pid ? atoi(pid + 4) : 0);
    *ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? fail(err, errno, "open the container's root") : 0;
}

static int join_container(struct child *c, struct error *err)
{
    int all = SYS_CLONE_NEWNS | SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC | SYS_CLONE_NEWNET |
              SYS_CLONE_NEWCGROUP;
    int chrooted = -1;
    int e = sys_is_mount("/") ? 0 : find_chroot(&chrooted, err);
    if (e)
        return e;
    if (sys_setns(CHILD_TARGET, all) < 0)
        return errno == ESRCH ? fail_plain(err, ESRCH, "the container has ended")
                              : fail(err, errno, "join the container's namespaces");
    close(CHILD_TARGET);
    if (chrooted >= 0 && (fchdir(chrooted) < 0 || chroot(".") < 0))
        return fail(err, errno, "enter the container's root");
    c->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return c->root < 0 ? fail(err, errno, "open the container's root") : 0;
}

static int make_root(struct child *c, struct error *err)
{
    int e = child_open_sources(c, err);
    if (!e)
        e = child_mount_root(c, err);
    if (!e)
        e = child_mount_all(c, err);
    if (!e && c->recipe->flags & RECIPE_OWN_DEV)
        e = child_make_devices(c, err);
    if (!e && c->recipe->flags & RECIPE_TERMINAL)
        e = child_open_terminal(c, err);
    if (!e)
        e = child_protect_paths(c, err);
    return e ? e : child_enter_root(c, err);
}

static int join_root(struct child *c, struct error *err)
{
    int e = join_container(c, err);
    if (!e && c->recipe->flags & RECIPE_TERMINAL)
        e = child_open_terminal(c, err);
    return e;
}

/* The directory must be one inside the root: a descriptor of the host's that leaked would make one outside a
 * working directory (CVE-2024-21626). */
static int check_cwd(const char *cwd, struct error *err)
{
    char where[PATH_MAX];
    if (!getcwd(where, sizeof where) || *where != '/')
        return fail_plain(err, EPERM, "the working directory '%s' is outside the container", cwd);
    return 0;
}

static int enter_cwd(struct child *c, bool again, struct error *err)
{
    const char *cwd = recipe_text(c->recipe, c->recipe->cwd);
    if (chdir(cwd) == 0)
        return check_cwd(cwd, err);
    if (!again && (errno == EACCES || errno == EPERM))
        return 1; /* for the user to try: a network file system may refuse root */
    return fail(err, errno, "enter the working directory '%s'", cwd);
}

static int prepare(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    bool exec = r->flags & RECIPE_EXEC;
    int e = child_set_up_process(c, err);
    if (!e)
        e = join_cgroups(r, err);
    if (!e && r->unshare_cgroup && unshare(SYS_CLONE_NEWCGROUP) < 0)
        e = fail(err, errno, "make a cgroup namespace");
    if (!e && !exec)
        e = join_namespaces(r, err);
    if (!e && !exec)
        e = child_write_sysctls(c, err);
    if (!e)
        e = exec ? join_root(c, err) : make_root(c, err);
    if (!e)
        e = child_find_user(c, err);
    if (!e && !exec) {
        int fd = root_make(c->root, recipe_text(r, r->cwd), false);
        if (fd >= 0)
            close(fd); /* where it cannot be made, entering it says why */
    }
    int later = e ? e : enter_cwd(c, false, err);
    e = later < 0 ? later : child_set_rlimits(c, err);
    if (!e)
        e = child_drop_ids(c, err);
    if (!e && later)
        e = enter_cwd(c, true, err);
    return e ? e : child_find_program(c, err);
}

static int exit_code(int code)
{
    return code == -ENOENT ? CONTAINER_EXIT_NOT_FOUND : CONTAINER_EXIT_CANNOT_EXECUTE;
}

static int execute(struct child *c, struct error *err)
{
    int e = child_seal(c, err);
    if (e < 0)
        return e;
    execve(c->program, c->argv, c->envp);
    e = -errno;
    c->exit_code = exit_code(e);
    if (e == -ENOENT)
        return fail_plain(err, e, "command '%s': the interpreter or loader it names is not there",
                          c->program);
    if (e == -ENOEXEC)
        return fail_plain(
            err, e,
            "command '%s' is no program that this machine can execute (a script needs "
            "a first line that begins with #!)",
            c->program);
    return fail(err, e, "execute '%s'", c->program);
}

_Noreturn void child_run(const struct recipe *r)
{
    struct child c = {.recipe = r, .root = -1, .terminal = -1, .exit_code = CONTAINER_EXIT_FAILED};
    struct error err = {0};
    /* before anything is shared with the container: none of its processes may look into us */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (r->flags & RECIPE_DIE_WITH_PARENT)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    reset_signals();
    setsid();
    leave_keyring();
    umask(0);
    int e = prepare(&c, &err);
    if (!e) {
        char go;
        child_send(MESSAGE_READY, 0, "", c.terminal);
        if (c.terminal >= 0)
            close(c.terminal);
        ssize_t n;
        while ((n = read(CHILD_CONTROL, &go, 1)) < 0 && errno == EINTR)
            ;
        if (n != 1)
            _exit(CONTAINER_EXIT_FAILED);
        e = execute(&c, &err);
    }
    child_send(MESSAGE_FAILED, e, err.message, -1);
    _exit(c.exit_code);
}
