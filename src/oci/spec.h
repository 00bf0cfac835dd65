/* SPDX-License-Identifier: Apache-2.0 */
/* oci: the OCI runtime spec for Linux (runtime-spec 1.3) as C structs, read from and written to
 * JSON.
 *
 * Model: plain data in an arena. What the spec lets be absent is told from zero: strings, structs
 * and optional numbers are pointers, NULL where absent; bool and numbers that are no pointers are
 * false and 0. A list of strings is NULL-terminated, and NULL where absent; other lists are NAME
 * and NAME_count. Maps keep the order of the JSON. Members that are not known (other platforms',
 * later versions') are ignored, as the spec asks (section "Extensibility"). Reading checks types
 * and ranges and says the place ("linux.resources.memory.limit: expected an integer, found a
 * string"); what values mean is checked by who uses them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"

struct error;

enum {
    OCI_JSON_MAX = 4 << 20, /* bytes of a spec */
    OCI_DEPTH_MAX = 32,     /* nesting */
    OCI_LIST_MAX = 65536,   /* items of one list or map */
};

struct oci_pair {
    char *key, *value;
};

struct oci_id_mapping {
    uint32_t container_id, host_id, size;
};

struct oci_console_size {
    uint32_t height, width;
};

struct oci_user {
    uint32_t uid, gid;
    uint32_t *umask;
    uint32_t *additional_gids;
    size_t additional_gids_count;
    char *username; /* the spec's for Windows; the runner resolves it inside the rootfs, see
                       container.h */
};

struct oci_capabilities {
    char **bounding, **effective, **inheritable, **permitted, **ambient;
};

struct oci_rlimit {
    char *type; /* RLIMIT_NOFILE */
    uint64_t hard, soft;
};

struct oci_scheduler {
    char *policy; /* SCHED_OTHER ... */
    int32_t nice, priority;
    char **flags; /* SCHED_FLAG_... */
    uint64_t runtime, deadline, period;
};

struct oci_io_priority {
    char *class_; /* IOPRIO_CLASS_BE */
    int32_t priority;
};

struct oci_cpu_affinity {
    char *initial, *final; /* lists of CPUs, "0-3,7" */
};

struct oci_process {
    bool terminal, no_new_privileges;
    struct oci_console_size *console_size;
    struct oci_user user;
    char **args, **env;
    char *cwd;
    struct oci_capabilities *capabilities;
    struct oci_rlimit *rlimits;
    size_t rlimits_count;
    char *apparmor_profile, *selinux_label;
    int32_t *oom_score_adj;
    struct oci_scheduler *scheduler;
    struct oci_io_priority *io_priority;
    struct oci_cpu_affinity *exec_cpu_affinity;
};

struct oci_root {
    char *path;
    bool readonly;
};

struct oci_mount {
    char *destination, *type, *source;
    char **options;
    struct oci_id_mapping *uid_mappings, *gid_mappings;
    size_t uid_mappings_count, gid_mappings_count;
};

struct oci_hook {
    char *path;
    char **args, **env;
    int32_t *timeout; /* seconds */
};

struct oci_hooks {
    struct oci_hook *prestart, *create_runtime, *create_container, *start_container, *poststart,
        *poststop;
    size_t prestart_count, create_runtime_count, create_container_count, start_container_count,
        poststart_count, poststop_count;
};

struct oci_namespace {
    char *type; /* pid network mount ipc uts user cgroup time */
    char *path; /* NULL: a new one */
};

struct oci_device {
    char *path, *type; /* c b u p */
    int64_t major, minor;
    uint32_t *file_mode, *uid, *gid;
};

struct oci_device_rule {
    bool allow;
    char *type, *access;    /* type: a c b; NULL is a */
    int64_t *major, *minor; /* NULL or -1: all */
};

struct oci_memory {
    int64_t *limit, *reservation, *swap, *kernel, *kernel_tcp; /* bytes; -1: unlimited */
    uint64_t *swappiness;
    bool *disable_oom_killer, *use_hierarchy, *check_before_update;
};

struct oci_cpu {
    uint64_t *shares;
    int64_t *quota; /* microseconds a period; <= 0: unlimited */
    uint64_t *burst, *period, *realtime_period;
    int64_t *realtime_runtime, *idle;
    char *cpus, *mems;
};

struct oci_pids {
    int64_t *limit; /* <= 0: unlimited */
};

struct oci_weight_device {
    int64_t major, minor;
    uint16_t *weight, *leaf_weight;
};

struct oci_throttle_device {
    int64_t major, minor;
    uint64_t rate;
};

struct oci_block_io {
    uint16_t *weight, *leaf_weight;
    struct oci_weight_device *weight_device;
    struct oci_throttle_device *read_bps, *write_bps, *read_iops, *write_iops;
    size_t weight_device_count, read_bps_count, write_bps_count, read_iops_count, write_iops_count;
};

struct oci_hugepage_limit {
    char *page_size; /* 2MB */
    uint64_t limit;
};

struct oci_interface_priority {
    char *name;
    uint32_t priority;
};

struct oci_network {
    uint32_t *class_id;
    struct oci_interface_priority *priorities;
    size_t priorities_count;
};

struct oci_rdma {
    char *key; /* the device */
    uint32_t *hca_handles, *hca_objects;
};

struct oci_resources {
    struct oci_device_rule *devices;
    size_t devices_count;
    struct oci_memory *memory;
    struct oci_cpu *cpu;
    struct oci_pids *pids;
    struct oci_block_io *block_io;
    struct oci_hugepage_limit *hugepage_limits;
    size_t hugepage_limits_count;
    struct oci_network *network;
    struct oci_rdma *rdma;
    size_t rdma_count;
    struct oci_pair *unified;
    size_t unified_count;
};

struct oci_seccomp_arg {
    uint32_t index;
    uint64_t value, value_two;
    char *op; /* SCMP_CMP_EQ ... */
};

struct oci_seccomp_syscall {
    char **names;
    char *action;
    uint32_t *errno_ret;
    struct oci_seccomp_arg *args;
    size_t args_count;
};

struct oci_seccomp {
    char *default_action; /* SCMP_ACT_ERRNO ... */
    uint32_t *default_errno_ret;
    char **architectures, **flags;
    char *listener_path, *listener_metadata;
    struct oci_seccomp_syscall *syscalls;
    size_t syscalls_count;
};

struct oci_time_offset {
    char *key; /* monotonic, boottime */
    int64_t secs;
    uint32_t nanosecs;
};

struct oci_net_device {
    char *key; /* the host's name for it */
    char *name;
};

struct oci_memory_policy {
    char *mode, *nodes;
    char **flags;
};

struct oci_personality {
    char *domain; /* LINUX, LINUX32 */
    char **flags;
};

struct oci_intel_rdt {
    char *clos_id, *l3_cache_schema, *mem_bw_schema;
    char **schemata;
    bool enable_monitoring;
};

struct oci_linux {
    struct oci_id_mapping *uid_mappings, *gid_mappings;
    size_t uid_mappings_count, gid_mappings_count;
    struct oci_pair *sysctl;
    size_t sysctl_count;
    struct oci_resources *resources;
    char *cgroups_path;
    struct oci_namespace *namespaces;
    size_t namespaces_count;
    struct oci_device *devices;
    size_t devices_count;
    struct oci_net_device *net_devices;
    size_t net_devices_count;
    struct oci_seccomp *seccomp;
    char *rootfs_propagation, *mount_label;
    char **masked_paths, **readonly_paths;
    struct oci_intel_rdt *intel_rdt;
    struct oci_memory_policy *memory_policy;
    struct oci_personality *personality;
    struct oci_time_offset *time_offsets;
    size_t time_offsets_count;
};

struct oci_spec {
    char *oci_version;
    struct oci_process *process; /* NULL: created, never started (the spec allows it) */
    struct oci_root *root;
    char *hostname, *domainname;
    struct oci_mount *mounts;
    size_t mounts_count;
    struct oci_hooks *hooks;
    struct oci_pair *annotations;
    size_t annotations_count;
    struct oci_linux *linux_;
};

/* Reads a config.json. *ret and all it points to live in a. -EINVAL names the place; -E2BIG where
 * it is larger than OCI_JSON_MAX or OCI_LIST_MAX. */
int oci_spec_parse(const void *json, size_t len, struct arena *a, struct oci_spec **ret,
                   struct error *err);
/* Reads an OCI process alone, as an exec brings it. */
int oci_process_parse(const void *json, size_t len, struct arena *a, struct oci_process **ret,
                      struct error *err);
/* Reads a LinuxResources alone, as an update brings it. */
int oci_resources_parse(const void *json, size_t len, struct arena *a, struct oci_resources **ret,
                        struct error *err);

/* Appends the JSON, on one line; 0 or -ENOMEM. What was read and printed reads the same again. */
int oci_spec_print(const struct oci_spec *spec, struct buffer *out, struct error *err);
int oci_process_print(const struct oci_process *process, struct buffer *out, struct error *err);
int oci_resources_print(const struct oci_resources *resources, struct buffer *out,
                        struct error *err);

/* The annotation's value, NULL where it is not there. */
const char *oci_annotation(const struct oci_spec *spec, const char *key);
