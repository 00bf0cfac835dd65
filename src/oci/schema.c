/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/schema.h"

#include "oci/spec.h"

#define F(member) offsetof(struct S, member)
#define STR(name, m)                                                                               \
    {                                                                                              \
        name, OCI_STRING, 0, F(m), 0, NULL                                                         \
    }
#define STR_ALWAYS(name, m)                                                                        \
    {                                                                                              \
        name, OCI_STRING, OCI_ALWAYS, F(m), 0, NULL                                                \
    }
#define NUM(name, kind, m)                                                                         \
    {                                                                                              \
        name, kind, 0, F(m), 0, NULL                                                               \
    }
#define NUM_ALWAYS(name, kind, m)                                                                  \
    {                                                                                              \
        name, kind, OCI_ALWAYS, F(m), 0, NULL                                                      \
    }
#define OPT(name, kind, m)                                                                         \
    {                                                                                              \
        name, kind, OCI_OPTIONAL, F(m), 0, NULL                                                    \
    }
#define STRINGS(name, m)                                                                           \
    {                                                                                              \
        name, OCI_STRINGS, 0, F(m), 0, NULL                                                        \
    }
#define EMBED(name, m, t)                                                                          \
    {                                                                                              \
        name, OCI_STRUCT, 0, F(m), 0, &t                                                           \
    }
#define PTR(name, m, t)                                                                            \
    {                                                                                              \
        name, OCI_POINTER, 0, F(m), 0, &t                                                          \
    }
#define LIST(name, m, t)                                                                           \
    {                                                                                              \
        name, OCI_LIST, 0, F(m), F(m##_count), &t                                                  \
    }
#define MAP(name, m, t)                                                                            \
    {                                                                                              \
        name, OCI_MAP, 0, F(m), F(m##_count), &t                                                   \
    }
#define PAIRS(name, m)                                                                             \
    {                                                                                              \
        name, OCI_PAIRS, 0, F(m), F(m##_count), NULL                                               \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, OCI_STRING, 0, 0, 0, NULL                                                            \
    }
#define TYPE(fields)                                                                               \
    {                                                                                              \
        sizeof(struct S), fields                                                                   \
    }

#define S oci_id_mapping
static const struct oci_field id_mapping_fields[] = {
    NUM_ALWAYS("containerID", OCI_U32, container_id),
    NUM_ALWAYS("hostID", OCI_U32, host_id),
    NUM_ALWAYS("size", OCI_U32, size),
    END,
};
static const struct oci_type id_mapping_type = TYPE(id_mapping_fields);
#undef S

#define S oci_console_size
static const struct oci_field console_size_fields[] = {
    NUM_ALWAYS("height", OCI_U32, height),
    NUM_ALWAYS("width", OCI_U32, width),
    END,
};
static const struct oci_type console_size_type = TYPE(console_size_fields);
#undef S

#define S oci_user
static const struct oci_field user_fields[] = {
    NUM_ALWAYS("uid", OCI_U32, uid),
    NUM_ALWAYS("gid", OCI_U32, gid),
    OPT("umask", OCI_U32, umask),
    {"additionalGids", OCI_NUMBERS, 0, F(additional_gids), F(additional_gids_count), NULL},
    STR("username", username),
    END,
};
static const struct oci_type user_type = TYPE(user_fields);
#undef S

#define S oci_capabilities
static const struct oci_field capabilities_fields[] = {
    STRINGS("bounding", bounding),       STRINGS("effective", effective),
    STRINGS("inheritable", inheritable), STRINGS("permitted", permitted),
    STRINGS("ambient", ambient),         END,
};
static const struct oci_type capabilities_type = TYPE(capabilities_fields);
#undef S

#define S oci_rlimit
static const struct oci_field rlimit_fields[] = {
    STR_ALWAYS("type", type),
    NUM_ALWAYS("hard", OCI_U64, hard),
    NUM_ALWAYS("soft", OCI_U64, soft),
    END,
};
static const struct oci_type rlimit_type = TYPE(rlimit_fields);
#undef S

#define S oci_scheduler
static const struct oci_field scheduler_fields[] = {
    STR_ALWAYS("policy", policy),       NUM("nice", OCI_I32, nice),
    NUM("priority", OCI_I32, priority), STRINGS("flags", flags),
    NUM("runtime", OCI_U64, runtime),   NUM("deadline", OCI_U64, deadline),
    NUM("period", OCI_U64, period),     END,
};
static const struct oci_type scheduler_type = TYPE(scheduler_fields);
#undef S

#define S oci_io_priority
static const struct oci_field io_priority_fields[] = {
    STR_ALWAYS("class", class_),
    NUM_ALWAYS("priority", OCI_I32, priority),
    END,
};
static const struct oci_type io_priority_type = TYPE(io_priority_fields);
#undef S

#define S oci_cpu_affinity
static const struct oci_field cpu_affinity_fields[] = {
    STR("initial", initial),
    STR("final", final),
    END,
};
static const struct oci_type cpu_affinity_type = TYPE(cpu_affinity_fields);
#undef S

#define S oci_process
static const struct oci_field process_fields[] = {
    NUM("terminal", OCI_BOOL, terminal),
    PTR("consoleSize", console_size, console_size_type),
    EMBED("user", user, user_type),
    STRINGS("args", args),
    STRINGS("env", env),
    STR_ALWAYS("cwd", cwd),
    PTR("capabilities", capabilities, capabilities_type),
    LIST("rlimits", rlimits, rlimit_type),
    NUM("noNewPrivileges", OCI_BOOL, no_new_privileges),
    STR("apparmorProfile", apparmor_profile),
    STR("selinuxLabel", selinux_label),
    OPT("oomScoreAdj", OCI_I32, oom_score_adj),
    PTR("scheduler", scheduler, scheduler_type),
    PTR("ioPriority", io_priority, io_priority_type),
    PTR("execCPUAffinity", exec_cpu_affinity, cpu_affinity_type),
    END,
};
const struct oci_type oci_process_type = TYPE(process_fields);
#undef S

#define S oci_root
static const struct oci_field root_fields[] = {
    STR_ALWAYS("path", path),
    NUM("readonly", OCI_BOOL, readonly),
    END,
};
static const struct oci_type root_type = TYPE(root_fields);
#undef S

#define S oci_mount
static const struct oci_field mount_fields[] = {
    STR_ALWAYS("destination", destination),
    STR("type", type),
    STR("source", source),
    STRINGS("options", options),
    LIST("uidMappings", uid_mappings, id_mapping_type),
    LIST("gidMappings", gid_mappings, id_mapping_type),
    END,
};
static const struct oci_type mount_type = TYPE(mount_fields);
#undef S

#define S oci_hook
static const struct oci_field hook_fields[] = {
    STR_ALWAYS("path", path),
    STRINGS("args", args),
    STRINGS("env", env),
    OPT("timeout", OCI_I32, timeout),
    END,
};
static const struct oci_type hook_type = TYPE(hook_fields);
#undef S

#define S oci_hooks
static const struct oci_field hooks_fields[] = {
    LIST("prestart", prestart, hook_type),
    LIST("createRuntime", create_runtime, hook_type),
    LIST("createContainer", create_container, hook_type),
    LIST("startContainer", start_container, hook_type),
    LIST("poststart", poststart, hook_type),
    LIST("poststop", poststop, hook_type),
    END,
};
static const struct oci_type hooks_type = TYPE(hooks_fields);
#undef S

#define S oci_namespace
static const struct oci_field namespace_fields[] = {
    STR_ALWAYS("type", type),
    STR("path", path),
    END,
};
static const struct oci_type namespace_type = TYPE(namespace_fields);
#undef S

#define S oci_device
static const struct oci_field device_fields[] = {
    STR_ALWAYS("path", path),
    STR_ALWAYS("type", type),
    NUM("major", OCI_I64, major),
    NUM("minor", OCI_I64, minor),
    OPT("fileMode", OCI_U32, file_mode),
    OPT("uid", OCI_U32, uid),
    OPT("gid", OCI_U32, gid),
    END,
};
static const struct oci_type device_type = TYPE(device_fields);
#undef S

#define S oci_device_rule
static const struct oci_field device_rule_fields[] = {
    NUM_ALWAYS("allow", OCI_BOOL, allow), STR("type", type),     OPT("major", OCI_I64, major),
    OPT("minor", OCI_I64, minor),         STR("access", access), END,
};
static const struct oci_type device_rule_type = TYPE(device_rule_fields);
#undef S

#define S oci_memory
static const struct oci_field memory_fields[] = {
    OPT("limit", OCI_I64, limit),
    OPT("reservation", OCI_I64, reservation),
    OPT("swap", OCI_I64, swap),
    OPT("kernel", OCI_I64, kernel),
    OPT("kernelTCP", OCI_I64, kernel_tcp),
    OPT("swappiness", OCI_U64, swappiness),
    OPT("disableOOMKiller", OCI_BOOL, disable_oom_killer),
    OPT("useHierarchy", OCI_BOOL, use_hierarchy),
    OPT("checkBeforeUpdate", OCI_BOOL, check_before_update),
    END,
};
static const struct oci_type memory_type = TYPE(memory_fields);
#undef S

#define S oci_cpu
static const struct oci_field cpu_fields[] = {
    OPT("shares", OCI_U64, shares),
    OPT("quota", OCI_I64, quota),
    OPT("burst", OCI_U64, burst),
    OPT("period", OCI_U64, period),
    OPT("realtimeRuntime", OCI_I64, realtime_runtime),
    OPT("realtimePeriod", OCI_U64, realtime_period),
    STR("cpus", cpus),
    STR("mems", mems),
    OPT("idle", OCI_I64, idle),
    END,
};
static const struct oci_type cpu_type = TYPE(cpu_fields);
#undef S

#define S oci_pids
static const struct oci_field pids_fields[] = {OPT("limit", OCI_I64, limit), END};
static const struct oci_type pids_type = TYPE(pids_fields);
#undef S

#define S oci_weight_device
static const struct oci_field weight_device_fields[] = {
    NUM_ALWAYS("major", OCI_I64, major),
    NUM_ALWAYS("minor", OCI_I64, minor),
    OPT("weight", OCI_U16, weight),
    OPT("leafWeight", OCI_U16, leaf_weight),
    END,
};
static const struct oci_type weight_device_type = TYPE(weight_device_fields);
#undef S

#define S oci_throttle_device
static const struct oci_field throttle_device_fields[] = {
    NUM_ALWAYS("major", OCI_I64, major),
    NUM_ALWAYS("minor", OCI_I64, minor),
    NUM_ALWAYS("rate", OCI_U64, rate),
    END,
};
static const struct oci_type throttle_device_type = TYPE(throttle_device_fields);
#undef S

#define S oci_block_io
static const struct oci_field block_io_fields[] = {
    OPT("weight", OCI_U16, weight),
    OPT("leafWeight", OCI_U16, leaf_weight),
    LIST("weightDevice", weight_device, weight_device_type),
    LIST("throttleReadBpsDevice", read_bps, throttle_device_type),
    LIST("throttleWriteBpsDevice", write_bps, throttle_device_type),
    LIST("throttleReadIOPSDevice", read_iops, throttle_device_type),
    LIST("throttleWriteIOPSDevice", write_iops, throttle_device_type),
    END,
};
static const struct oci_type block_io_type = TYPE(block_io_fields);
#undef S

#define S oci_hugepage_limit
static const struct oci_field hugepage_limit_fields[] = {
    STR_ALWAYS("pageSize", page_size),
    NUM_ALWAYS("limit", OCI_U64, limit),
    END,
};
static const struct oci_type hugepage_limit_type = TYPE(hugepage_limit_fields);
#undef S

#define S oci_interface_priority
static const struct oci_field interface_priority_fields[] = {
    STR_ALWAYS("name", name),
    NUM_ALWAYS("priority", OCI_U32, priority),
    END,
};
static const struct oci_type interface_priority_type = TYPE(interface_priority_fields);
#undef S

#define S oci_network
static const struct oci_field network_fields[] = {
    OPT("classID", OCI_U32, class_id),
    LIST("priorities", priorities, interface_priority_type),
    END,
};
static const struct oci_type network_type = TYPE(network_fields);
#undef S

#define S oci_rdma
static const struct oci_field rdma_fields[] = {
    OPT("hcaHandles", OCI_U32, hca_handles),
    OPT("hcaObjects", OCI_U32, hca_objects),
    END,
};
static const struct oci_type rdma_type = TYPE(rdma_fields);
#undef S

#define S oci_resources
static const struct oci_field resources_fields[] = {
    LIST("devices", devices, device_rule_type),
    PTR("memory", memory, memory_type),
    PTR("cpu", cpu, cpu_type),
    PTR("pids", pids, pids_type),
    PTR("blockIO", block_io, block_io_type),
    LIST("hugepageLimits", hugepage_limits, hugepage_limit_type),
    PTR("network", network, network_type),
    MAP("rdma", rdma, rdma_type),
    PAIRS("unified", unified),
    END,
};
const struct oci_type oci_resources_type = TYPE(resources_fields);
#undef S

#define S oci_seccomp_arg
static const struct oci_field seccomp_arg_fields[] = {
    NUM_ALWAYS("index", OCI_U32, index),
    NUM_ALWAYS("value", OCI_U64, value),
    NUM("valueTwo", OCI_U64, value_two),
    STR_ALWAYS("op", op),
    END,
};
static const struct oci_type seccomp_arg_type = TYPE(seccomp_arg_fields);
#undef S

#define S oci_seccomp_syscall
static const struct oci_field seccomp_syscall_fields[] = {
    STRINGS("names", names),
    STR_ALWAYS("action", action),
    OPT("errnoRet", OCI_U32, errno_ret),
    LIST("args", args, seccomp_arg_type),
    END,
};
static const struct oci_type seccomp_syscall_type = TYPE(seccomp_syscall_fields);
#undef S

#define S oci_seccomp
static const struct oci_field seccomp_fields[] = {
    STR_ALWAYS("defaultAction", default_action),
    OPT("defaultErrnoRet", OCI_U32, default_errno_ret),
    STRINGS("architectures", architectures),
    STRINGS("flags", flags),
    STR("listenerPath", listener_path),
    STR("listenerMetadata", listener_metadata),
    LIST("syscalls", syscalls, seccomp_syscall_type),
    END,
};
static const struct oci_type seccomp_type = TYPE(seccomp_fields);
#undef S

#define S oci_time_offset
static const struct oci_field time_offset_fields[] = {
    NUM("secs", OCI_I64, secs),
    NUM("nanosecs", OCI_U32, nanosecs),
    END,
};
static const struct oci_type time_offset_type = TYPE(time_offset_fields);
#undef S

#define S oci_net_device
static const struct oci_field net_device_fields[] = {STR("name", name), END};
static const struct oci_type net_device_type = TYPE(net_device_fields);
#undef S

#define S oci_memory_policy
static const struct oci_field memory_policy_fields[] = {
    STR("mode", mode),
    STR("nodes", nodes),
    STRINGS("flags", flags),
    END,
};
static const struct oci_type memory_policy_type = TYPE(memory_policy_fields);
#undef S

#define S oci_personality
static const struct oci_field personality_fields[] = {
    STR_ALWAYS("domain", domain),
    STRINGS("flags", flags),
    END,
};
static const struct oci_type personality_type = TYPE(personality_fields);
#undef S

#define S oci_intel_rdt
static const struct oci_field intel_rdt_fields[] = {
    STR("closID", clos_id),
    STRINGS("schemata", schemata),
    STR("l3CacheSchema", l3_cache_schema),
    STR("memBwSchema", mem_bw_schema),
    NUM("enableMonitoring", OCI_BOOL, enable_monitoring),
    END,
};
static const struct oci_type intel_rdt_type = TYPE(intel_rdt_fields);
#undef S

#define S oci_linux
static const struct oci_field linux_fields[] = {
    LIST("uidMappings", uid_mappings, id_mapping_type),
    LIST("gidMappings", gid_mappings, id_mapping_type),
    PAIRS("sysctl", sysctl),
    PTR("resources", resources, oci_resources_type),
    STR("cgroupsPath", cgroups_path),
    LIST("namespaces", namespaces, namespace_type),
    LIST("devices", devices, device_type),
    MAP("netDevices", net_devices, net_device_type),
    PTR("seccomp", seccomp, seccomp_type),
    STR("rootfsPropagation", rootfs_propagation),
    STRINGS("maskedPaths", masked_paths),
    STRINGS("readonlyPaths", readonly_paths),
    STR("mountLabel", mount_label),
    PTR("intelRdt", intel_rdt, intel_rdt_type),
    PTR("memoryPolicy", memory_policy, memory_policy_type),
    PTR("personality", personality, personality_type),
    MAP("timeOffsets", time_offsets, time_offset_type),
    END,
};
static const struct oci_type linux_type = TYPE(linux_fields);
#undef S

#define S oci_spec
static const struct oci_field spec_fields[] = {
    STR_ALWAYS("ociVersion", oci_version), PTR("process", process, oci_process_type),
    PTR("root", root, root_type),          STR("hostname", hostname),
    STR("domainname", domainname),         LIST("mounts", mounts, mount_type),
    PTR("hooks", hooks, hooks_type),       PAIRS("annotations", annotations),
    PTR("linux", linux_, linux_type),      END,
};
const struct oci_type oci_spec_type = TYPE(spec_fields);
#undef S
