/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups, v1 (one hierarchy a controller) and v2, behind one interface. Used where glibc is: by sandboxers and
 * warren-runtime. Blocking calls, of tens of microseconds; removal retries for some milliseconds.
 *
 * A group is MOUNT/<parent>/POD/CONTAINER, where parent is "warren" unless the configuration says otherwise; for a caller who is
 * not root MOUNT/<the caller's own group>/<parent>/... A group exists only in the hierarchies where it is of use; in others its
 * processes stay where they are.
 *
 * v1: entering a group by cgroup.procs takes a system-wide lock and about 10 ms; a thread that writes "0" to "tasks" itself
 * does not (cgroup_procs_write_start()). Hence cgroup_join_paths(): the child enters by itself.
 * v2: the child is cloned into the group (CLONE_INTO_CGROUP), or writes "0" to cgroup.procs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"

struct error;
struct oci_resources;

enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_DEVICES,
    CGROUP_FREEZER,
    CGROUP_BLKIO,
    CGROUP_PIDS,
    CGROUP_HUGETLB,
    CGROUP_SYSTEMD, /* name=systemd: so that a stop of our unit does not end containers */
    CGROUP_CONTROLLERS,
};

/* The machine's hierarchies, discovered once from /proc/self/mountinfo and /proc/self/cgroup. */
struct cgroup_host;
int cgroup_host_new(const char *parent, struct cgroup_host **ret, struct error *err);
void cgroup_host_free(struct cgroup_host *h);
CLEANUP_FREE(cgroup_host, struct cgroup_host);
int cgroup_host_version(const struct cgroup_host *h); /* 1 or 2 */

/* A group by name; nothing is made by naming it. Plain data, to be copied and forgotten. */
enum { CGROUP_PATH_MAX = 512 };
struct cgroup {
    const struct cgroup_host *host;
    char path[CGROUP_PATH_MAX]; /* "warren/POD/CONTAINER" */
};
/* container NULL: the pod's. Both are checked by str_check_id. */
int cgroup_name(const struct cgroup_host *h, const char *pod, const char *container,
                struct cgroup *ret, struct error *err);
/* By linux.cgroupsPath: an absolute one is from the mount's root, a relative one below the parent. -EINVAL where it has "..". */
int cgroup_name_path(const struct cgroup_host *h, const char *path, struct cgroup *ret,
                     struct error *err);

/* Makes the group and those above it, and sets its limits. r NULL: a group that holds groups and the keeper, without limits,
 * also in systemd's hierarchy. An existing one is set anew. What is absent in r is not set. Devices: the rules of r in order, then
 * those that every container may have (null, zero, full, random, urandom, tty, terminals; making any node); without rules nothing
 * is restricted. Swap is off where there is a memory limit and r does not say otherwise. On failure nothing of this group is
 * left. */
int cgroup_make(const struct cgroup *g, const struct oci_resources *r, struct error *err);
/* Changes what r has. */
int cgroup_update(const struct cgroup *g, const struct oci_resources *r, struct error *err);
/* Removes the group and what is below it; retries while processes are going. -EBUSY where some are left. No error where it
 * is not there. */
int cgroup_remove(const struct cgroup *g, struct error *err);

/* The files a process enters the group by writing "0" to, as an arena's NULL-terminated list. */
int cgroup_join_paths(const struct cgroup *g, struct arena *a, char ***ret, struct error *err);
/* Lets the calling thread (of a process of one thread) enter. */
int cgroup_join(const struct cgroup *g, struct error *err);
/* The group's directory in each hierarchy, controller list ("cpu,cpuacct") and path, for /sys/fs/cgroup inside a container; the number of entries. */
struct cgroup_view {
    const char *name,
        *path; /* name: its directory below /sys/fs/cgroup ("cpu,cpuacct"); "" on v2 */
};
int cgroup_views(const struct cgroup *g, struct arena *a, struct cgroup_view **ret,
                 size_t *ret_count, struct error *err);

/* Returns when all of the group is frozen (at most 5 s, then -ETIMEDOUT and it is thawed again) or thawed. */
int cgroup_freeze(const struct cgroup *g, bool frozen, struct error *err);
/* Signals all processes of the group and below. -ESRCH where there are none. */
int cgroup_kill(const struct cgroup *g, int signal, struct error *err);
/* Appends the pids of the group and below, as the caller's pid namespace has them. */
int cgroup_pids(const struct cgroup *g, struct buffer *pids, struct error *err);

struct cgroup_stats {
    uint64_t cpu_ns, cpu_user_ns, cpu_system_ns, throttled_periods, throttled_ns;
    uint64_t memory_usage, memory_working_set, memory_rss,
        memory_limit; /* bytes; limit UINT64_MAX: none */
    uint64_t page_faults, major_page_faults, oom_kills;
    uint64_t pids, io_read_bytes, io_write_bytes;
};
/* What a hierarchy does not tell is 0. -ENOENT where the group is not there. */
int cgroup_stats_read(const struct cgroup *g, struct cgroup_stats *ret, struct error *err);
