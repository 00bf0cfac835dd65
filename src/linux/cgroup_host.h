/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cgroup.h share. */
#pragma once

#include <limits.h>

#include "linux/cgroup.h"

struct cgroup_hierarchy {
    unsigned controllers; /* bits of enum cgroup_controller */
    char *base;           /* the directory that paths are below */
    char *name;           /* "cpu,cpuacct": its directory below /sys/fs/cgroup */
};

struct oci_device_rule;

struct cgroup_host {
    int version;
    char *parent;
    struct cgroup_hierarchy hierarchies[CGROUP_CONTROLLERS]; /* v2: one, with all controllers */
    size_t count;
};

/* NULL where the machine has it not. */
const struct cgroup_hierarchy *cgroup_find(const struct cgroup_host *h, enum cgroup_controller c);
/* The group's directory in y, or a file in it. -ENAMETOOLONG. */
int cgroup_file(const struct cgroup *g, const struct cgroup_hierarchy *y, const char *file,
                char path[PATH_MAX]);
bool cgroup_is_in(const struct cgroup *g, const struct cgroup_hierarchy *y);
/* Writes text to a file of the controller's; err says what was to be set where. */
int cgroup_set(const struct cgroup *g, enum cgroup_controller c, const char *file, const char *text,
               struct error *err);
int cgroup_setf(const struct cgroup *g, enum cgroup_controller c, struct error *err,
                const char *file, const char *format, ...) __attribute__((format(printf, 5, 6)));
bool cgroup_has_file(const struct cgroup *g, enum cgroup_controller c, const char *file);

/* cgroup_limits.c */
/* The hierarchies (by controller) that r has a limit in. */
unsigned cgroup_controllers_of(const struct oci_resources *r);
int cgroup_limit(const struct cgroup *g, const struct oci_resources *r, struct error *err);
/* cgroup_devices.c */
int cgroup_limit_devices(const struct cgroup *g, const struct oci_resources *r, struct error *err);
/* cgroup_bpf.c: v2 */
int cgroup_attach_device_program(const struct cgroup *g, const struct oci_device_rule *rules,
                                 size_t n, struct error *err);
/* cgroup_processes.c */
int cgroup_move(const struct cgroup *g, const struct cgroup_hierarchy *y, struct error *err);
