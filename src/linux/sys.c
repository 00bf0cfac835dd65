/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* musl 1.2.3 names some of these and Debian 12's glibc all but one; the numbers are the kernel's */
enum {
    NR_PIDFD_SEND_SIGNAL = 424,
    NR_OPEN_TREE = 428,
    NR_MOVE_MOUNT = 429,
    NR_FSOPEN = 430,
    NR_FSCONFIG = 431,
    NR_FSMOUNT = 432,
    NR_PIDFD_OPEN = 434,
    NR_CLONE3 = 435,
    NR_CLOSE_RANGE = 436,
    NR_OPENAT2 = 437,
    NR_MOUNT_SETATTR = 442,
};

int sys_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(NR_OPEN_TREE, dir, path, flags);
}

int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
    return (int)syscall(NR_MOVE_MOUNT, from, from_path, to, to_path, flags);
}

int sys_fsopen(const char *type, unsigned flags)
{
    return (int)syscall(NR_FSOPEN, type, flags);
}

int sys_fsconfig(int fd, unsigned command, const char *key, const char *value, int aux)
{
    return (int)syscall(NR_FSCONFIG, fd, command, key, value, aux);
}

int sys_fsmount(int fd, unsigned flags, unsigned attributes)
{
    return (int)syscall(NR_FSMOUNT, fd, flags, attributes);
}

int sys_mount_setattr(int dir, const char *path, unsigned flags, const struct sys_mount_attr *attr)
{
    return (int)syscall(NR_MOUNT_SETATTR, dir, path, flags, attr, sizeof *attr);
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_open_resolve(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {(unsigned)(flags | O_CLOEXEC), flags & O_CREAT ? mode : 0, resolve};
    for (int attempt = 0;; attempt++) {
        long fd = syscall(NR_OPENAT2, dir, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN || attempt == 128)
            return (int)fd;
    }
}

bool sys_is_mount(const char *path)
{
    enum { ATTR_MOUNT_ROOT = 0x2000 };
    struct {
        uint32_t mask, block_size;
        uint64_t attributes, rest[30];
    } st;
    return syscall(SYS_statx, AT_FDCWD, path, 0, 0, &st) < 0 || st.attributes & ATTR_MOUNT_ROOT;
}

pid_t sys_clone3(uint64_t flags, int *ret_pidfd, int cgroup)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } args = {
        .flags = flags,
        .pidfd = (uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup,
    };
    if (!(flags & SYS_CLONE_INTO_CGROUP))
        args.cgroup = 0;
    return (pid_t)syscall(NR_CLONE3, &args, sizeof args);
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
    return (int)syscall(NR_PIDFD_OPEN, pid, flags);
}

int sys_pidfd_send_signal(int pidfd, int signal)
{
    return (int)syscall(NR_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0);
}

int sys_setns(int fd, int flags)
{
    return (int)syscall(SYS_setns, fd, flags);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(NR_CLOSE_RANGE, first, last, flags);
}

enum { CAPABILITY_VERSION_3 = 0x20080522 };

struct cap_header {
    uint32_t version;
    int pid;
};

struct cap_data {
    uint32_t effective, permitted, inheritable;
};

int sys_capget(struct sys_caps *ret)
{
    struct cap_header header = {CAPABILITY_VERSION_3, 0};
    struct cap_data data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    ret->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    ret->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    ret->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

int sys_capset(const struct sys_caps *caps)
{
    struct cap_header header = {CAPABILITY_VERSION_3, 0};
    struct cap_data data[2] = {
        {(uint32_t)caps->effective, (uint32_t)caps->permitted, (uint32_t)caps->inheritable},
        {(uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
         (uint32_t)(caps->inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}

int sys_seccomp_filter(unsigned flags, const void *filter, unsigned short count)
{
    enum { SET_MODE_FILTER = 1 };
    struct {
        unsigned short count;
        const void *filter;
    } program = {count, filter};
    return (int)syscall(SYS_seccomp, SET_MODE_FILTER, flags, &program);
}

int sys_ioprio_set(int class_and_priority)
{
    enum { WHO_PROCESS = 1 };
    return (int)syscall(SYS_ioprio_set, WHO_PROCESS, 0, class_and_priority);
}

int sys_sched_setattr(const struct sys_sched_attr *attr)
{
    return (int)syscall(SYS_sched_setattr, 0, attr, 0);
}
