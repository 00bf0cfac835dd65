/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's side: clones the child and talks with it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/child.h"
#include "container/container.h"
#include "linux/sys.h"

/* Puts fd to where no standard stream is. */
static int move_up(int fd)
{
    enum { ABOVE = 16 };
    return fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
}

/* 0, 1, 2 as io says, CHILD_CONTROL, CHILD_TARGET, and nothing else open. */
static int arrange_descriptors(const struct container_io *io, bool terminal, int control)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    int from[5] = {null, null, null, control, io->target >= 0 ? io->target : null};
    const int streams[3] = {io->in, io->out, io->err};
    for (int i = 0; i < 3 && !terminal; i++)
        if (streams[i] >= 0)
            from[i] = streams[i];
    for (int i = 0; i < 5; i++) {
        from[i] = move_up(from[i]);
        if (from[i] < 0)
            return -errno;
    }
    for (int i = 0; i < 5; i++)
        if (dup3(from[i], i, i < 3 ? 0 : O_CLOEXEC) < 0)
            return -errno;
    return sys_close_range(5, ~0U, 0) < 0 ? -errno : 0;
}

_Noreturn static void child(const struct recipe *r, const struct container_io *io, int control)
{
    int e = arrange_descriptors(io, r->flags & RECIPE_TERMINAL, control);
    if (e < 0) {
        struct message m = {.kind = MESSAGE_FAILED, .code = e};
        int n = snprintf(m.text, sizeof m.text, "arrange the standard streams: %s", strerror(-e));
        send(control, &m, offsetof(struct message, text) + (size_t)(n > 0 ? n : 0), MSG_NOSIGNAL);
        _exit(CONTAINER_EXIT_FAILED);
    }
    child_run(r);
}

/* The pid namespace for our next child: that of an exec's container, or one joined by path. *ret_saved is what
 * it was, -1 where nothing was changed. */
static int enter_pid_namespace(const struct recipe *r, const struct container_io *io,
                               int *ret_saved, struct error *err)
{
    autoclose int joined = -1;
    const struct recipe_namespace *ns = recipe_items(r, r->namespaces);
    for (uint32_t i = 0; i < r->namespaces.count; i++) {
        if (ns[i].flag != SYS_CLONE_NEWPID)
            continue;
        joined = open(recipe_text(r, ns[i].path), O_RDONLY | O_CLOEXEC);
        if (joined < 0)
            return fail(err, errno, "open the pid namespace '%s'", recipe_text(r, ns[i].path));
    }
    int to = r->flags & RECIPE_EXEC ? io->target : joined;
    if (to < 0)
        return 0;
    autoclose int saved = open("/proc/self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
    if (saved < 0)
        return fail(err, errno, "open '/proc/self/ns/pid_for_children'");
    if (sys_setns(to, SYS_CLONE_NEWPID) < 0)
        return errno == ESRCH ? fail_plain(err, ESRCH, "the container has ended")
                              : fail(err, errno, "join the container's pid namespace");
    *ret_saved = take_fd(&saved);
    return 0;
}

int container_clone(const struct recipe *r, const struct container_io *io,
                    struct container_child *ret, struct error *err)
{
    autoclose int control = -1, theirs = -1, group = -1, pid_namespace = -1;
    if (r->flags & RECIPE_EXEC && io->target < 0)
        return fail_plain(err, EINVAL, "an exec needs its container's first process");
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return fail(err, errno, "make a socket to the container's first process");
    control = ends[0];
    theirs = ends[1];
    uint64_t flags = r->clone_flags | SYS_CLONE_PIDFD | SYS_CLONE_CLEAR_SIGHAND;
    if (r->flags & RECIPE_CGROUP2 && r->join.count) {
        const char *path = recipe_text_at(r, r->join, 0);
        group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group < 0)
            return fail(err, errno, "open the cgroup '%s'", path);
        flags |= SYS_CLONE_INTO_CGROUP;
    }
    int e = enter_pid_namespace(r, io, &pid_namespace, err);
    if (e < 0)
        return e;
    int pidfd = -1;
    pid_t pid = sys_clone3(flags, &pidfd, group);
    if (pid == 0)
        child(r, io, theirs);
    int code = pid < 0 ? -errno : 0;
    if (pid_namespace >= 0 && sys_setns(pid_namespace, SYS_CLONE_NEWPID) < 0 && !code) {
        code = fail(err, errno, "return to our own pid namespace");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(pidfd);
        return code;
    }
    if (code < 0)
        return fail(err, code, "clone the container's first process");
    *ret = (struct container_child){.pid = pid, .pidfd = pidfd, .control = take_fd(&control)};
    return 0;
}

void container_child_done(struct container_child *c)
{
    close_fd(&c->pidfd);
    close_fd(&c->control);
}

static int passed_descriptor(struct msghdr *h)
{
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

enum container_event container_receive(struct container_child *c, int *ret_terminal,
                                       struct error *err)
{
    struct message m;
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&m, sizeof m};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n;
    do
        n = recvmsg(c->control, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return CONTAINER_NOTHING;
    if (n < (ssize_t)offsetof(struct message, text)) {
        if (c->gone_on)
            return CONTAINER_STARTED;
        fail_plain(err, ECHILD, "the container's first process ended before it was ready");
        return CONTAINER_ENDED;
    }
    int fd = passed_descriptor(&h);
    if (m.kind == MESSAGE_READY) {
        *ret_terminal = fd;
        return CONTAINER_READY;
    }
    close_fd(&fd);
    fail_plain(err, m.code, "%.*s", (int)((size_t)n - offsetof(struct message, text)), m.text);
    return m.kind == MESSAGE_WARNING ? CONTAINER_WARNING : CONTAINER_FAILED;
}

int container_go(struct container_child *c, struct error *err)
{
    if (send(c->control, "g", 1, MSG_NOSIGNAL) < 0)
        return fail(err, errno == EPIPE ? ESRCH : errno, "start the container's first process");
    c->gone_on = true;
    return 0;
}
