/* SPDX-License-Identifier: Apache-2.0 */
/* The recipe's layout: one block, offsets from its beginning, little more than what system calls want. Written by build.c,
 * checked once by recipe_open(), read by the child. A string is an offset, 0 where absent; the block's last byte is NUL, so
 * that every offset inside it is a terminated string. Numbers are the machine's own: a recipe never leaves the machine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECIPE_MAGIC = 0x50434552, RECIPE_VERSION = 1 };

typedef uint32_t recipe_string;

struct recipe_list {
    uint32_t at, count;
};

enum recipe_flag {
    RECIPE_EXEC = 1 << 0,
    RECIPE_TERMINAL = 1 << 1,
    RECIPE_NO_NEW_PRIVILEGES = 1 << 2,
    RECIPE_DIE_WITH_PARENT = 1 << 3,
    RECIPE_ROOT_READONLY = 1 << 4,
    RECIPE_HAS_OOM_SCORE = 1 << 5,
    RECIPE_HAS_CAPS = 1 << 6,
    RECIPE_HAS_SECCOMP = 1 << 7,
    RECIPE_OWN_DEV = 1 << 8, /* /dev is a file system of the container's: fill it */
    RECIPE_HAS_SCHEDULER = 1 << 9,
    RECIPE_HAS_PERSONALITY = 1 << 10,
    RECIPE_CGROUP2 = 1 << 11, /* join[0] is the directory to be cloned into */
    RECIPE_ROOT_VOLATILE = 1 << 12,
};

struct recipe_capabilities {
    uint64_t bounding, effective, permitted, inheritable, ambient;
};

struct recipe_rlimit {
    uint32_t resource;
    recipe_string name;
    uint64_t soft, hard;
};

struct recipe_pair {
    recipe_string key, value; /* value 0: a flag */
};

enum recipe_mount_kind { RECIPE_MOUNT_FS, RECIPE_MOUNT_BIND, RECIPE_MOUNT_CGROUP };

struct recipe_mount {
    uint32_t kind;
    recipe_string destination, source, type;
    struct recipe_list parameters;           /* struct recipe_pair, for fsconfig */
    uint32_t attr_set, attr_clear;           /* MOUNT_ATTR_*, of the mount alone */
    uint32_t recursive_set, recursive_clear; /* and of all below it */
    uint32_t propagation;                    /* MS_SHARED ..., with MS_REC; 0: as kind has it */
    uint32_t recursive;                      /* rbind */
};

struct recipe_device {
    recipe_string path;
    uint32_t mode; /* with S_IFCHR, S_IFBLK or S_IFIFO */
    uint32_t major, minor, uid, gid;
};

struct recipe_namespace { /* to be joined by path */
    uint32_t flag;        /* CLONE_NEW* */
    recipe_string path;
};

struct recipe_scheduler {
    uint32_t policy;
    int32_t nice;
    uint64_t flags;
    uint32_t priority, reserved;
    uint64_t runtime, deadline, period;
};

struct recipe {
    uint32_t magic, version, size, flags;
    uint32_t clone_flags; /* namespaces that are new, but the cgroup's */
    uint32_t unshare_cgroup;
    uint32_t uid, gid, umask;
    recipe_string user; /* to be looked up; 0: uid and gid stand */
    int32_t oom_score_adj;
    int32_t io_priority; /* as ioprio_set wants it; -1: none */
    uint32_t personality, root_propagation, seccomp_flags;
    uint32_t console_size; /* rows << 16 | columns; 0: not told */
    recipe_string cwd, hostname, domainname, apparmor, selinux;
    recipe_string upper, work, root;      /* root: the directory, where lower is empty */
    struct recipe_list args, env, groups; /* strings, strings, uint32_t */
    struct recipe_list lower;             /* strings */
    struct recipe_list namespaces, rlimits, mounts, devices, sysctls, cgroup_views;
    struct recipe_list masked, readonly_, join; /* strings */
    struct recipe_list seccomp;                 /* struct sock_filter, 8 bytes each */
    struct recipe_capabilities caps;
    struct recipe_scheduler scheduler;
};

static inline const void *recipe_items(const struct recipe *r, struct recipe_list l)
{
    return (const char *)r + l.at;
}

/* NULL where absent. */
static inline const char *recipe_text(const struct recipe *r, recipe_string s)
{
    return s ? (const char *)r + s : NULL;
}

static inline const char *recipe_text_at(const struct recipe *r, struct recipe_list l, size_t i)
{
    return (const char *)r + ((const uint32_t *)recipe_items(r, l))[i];
}
