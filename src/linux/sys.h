/* SPDX-License-Identifier: Apache-2.0 */
/* System calls and numbers that musl (and Debian 12's glibc) lack, as the kernel's uapi headers have them. Numbers from 424 on are the same on
 * all architectures. Calls return -1 and errno, as libc's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Mounts (linux/mount.h) */
enum {
    SYS_OPEN_TREE_CLONE = 1,
    SYS_OPEN_TREE_CLOEXEC = 02000000,
    SYS_AT_RECURSIVE = 0x8000,
    SYS_AT_EMPTY_PATH = 0x1000,
    SYS_MOVE_MOUNT_F_EMPTY_PATH = 0x4,
    SYS_MOVE_MOUNT_T_EMPTY_PATH = 0x40,
    SYS_FSOPEN_CLOEXEC = 1,
    SYS_FSMOUNT_CLOEXEC = 1,
    SYS_FSCONFIG_SET_FLAG = 0,
    SYS_FSCONFIG_SET_STRING = 1,
    SYS_FSCONFIG_CMD_CREATE = 6,
    SYS_ATTR_RDONLY = 0x1,
    SYS_ATTR_NOSUID = 0x2,
    SYS_ATTR_NODEV = 0x4,
    SYS_ATTR_NOEXEC = 0x8,
    SYS_ATTR_ATIME = 0x70, /* mask; 0 is relatime */
    SYS_ATTR_NOATIME = 0x10,
    SYS_ATTR_STRICTATIME = 0x20,
    SYS_ATTR_NODIRATIME = 0x80,
    SYS_ATTR_NOSYMFOLLOW = 0x200000,
};

struct sys_mount_attr {
    uint64_t set, clear, propagation, userns_fd;
};

int sys_open_tree(int dir, const char *path, unsigned flags);
int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int sys_fsopen(const char *type, unsigned flags);
int sys_fsconfig(int fd, unsigned command, const char *key, const char *value, int aux);
int sys_fsmount(int fd, unsigned flags, unsigned attributes);
int sys_mount_setattr(int dir, const char *path, unsigned flags, const struct sys_mount_attr *attr);
int sys_pivot_root(const char *new_root, const char *put_old);

/* Paths (linux/openat2.h) */
enum {
    SYS_RESOLVE_NO_MAGICLINKS = 0x02,
    SYS_RESOLVE_NO_SYMLINKS = 0x04,
    SYS_RESOLVE_IN_ROOT = 0x10,
};
/* openat2, O_CLOEXEC added, tried again while a rename elsewhere races with "..". */
int sys_open_resolve(int dir, const char *path, int flags, mode_t mode, uint64_t resolve);

/* Whether path is where a file system is mounted (statx): "/" is not in a chroot to a plain directory. */
bool sys_is_mount(const char *path);

/* Processes (linux/sched.h, pidfd.h) */
#define SYS_CLONE_CLEAR_SIGHAND UINT64_C(0x100000000)
#define SYS_CLONE_INTO_CGROUP   UINT64_C(0x200000000)
enum {
    SYS_CLONE_PIDFD = 0x1000,
    SYS_CLONE_NEWTIME = 0x80,
    SYS_CLONE_NEWNS = 0x00020000,
    SYS_CLONE_NEWCGROUP = 0x02000000,
    SYS_CLONE_NEWUTS = 0x04000000,
    SYS_CLONE_NEWIPC = 0x08000000,
    SYS_CLONE_NEWUSER = 0x10000000,
    SYS_CLONE_NEWPID = 0x20000000,
    SYS_CLONE_NEWNET = 0x40000000,
};
/* fork() with clone3's flags: the child returns 0 on a copy of the stack. cgroup: with CLONE_INTO_CGROUP. */
pid_t sys_clone3(uint64_t flags, int *ret_pidfd, int cgroup);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_send_signal(int pidfd, int signal);
int sys_setns(int fd, int flags);
enum { SYS_CLOSE_RANGE_CLOEXEC = 4 };
int sys_close_range(unsigned first, unsigned last, unsigned flags);

/* Credentials (linux/capability.h, prctl.h, seccomp.h) */
/* The calling thread's sets. */
struct sys_caps {
    uint64_t effective, permitted, inheritable;
};
int sys_capget(struct sys_caps *ret);
int sys_capset(const struct sys_caps *caps);
enum { SYS_CAP_SETPCAP = 8, SYS_CAP_SYS_ADMIN = 21, SYS_CAP_LAST = 40 };
/* filter: count struct sock_filter, 8 bytes each. */
int sys_seccomp_filter(unsigned flags, const void *filter, unsigned short count);
int sys_ioprio_set(int class_and_priority);
struct sys_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
int sys_sched_setattr(const struct sys_sched_attr *attr);
