/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces, host name, sysctls, devices, masked and read-only paths; and what is refused. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/str.h"
#include "container/build.h"
#include "linux/sys.h"

static const struct name_value namespace_types[] = {
    {"pid", SYS_CLONE_NEWPID},       {"network", SYS_CLONE_NEWNET}, {"mount", SYS_CLONE_NEWNS},
    {"ipc", SYS_CLONE_NEWIPC},       {"uts", SYS_CLONE_NEWUTS},     {"user", SYS_CLONE_NEWUSER},
    {"cgroup", SYS_CLONE_NEWCGROUP}, {"time", SYS_CLONE_NEWTIME},
};

static int build_namespace(struct builder *b, const struct oci_namespace *ns, size_t i,
                           struct recipe_namespace *joined, size_t *count, unsigned *seen,
                           struct error *err)
{
    int64_t flag = name_find(namespace_types, ARRAY_SIZE(namespace_types), str_or_empty(ns->type));
    if (flag < 0)
        return fail_plain(err, EINVAL, "linux.namespaces[%zu].type: '%s' is none", i,
                          str_or_empty(ns->type));
    unsigned bit = (unsigned)flag;
    if (bit == SYS_CLONE_NEWUSER || bit == SYS_CLONE_NEWTIME)
        return fail_plain(err, EOPNOTSUPP,
                          "linux.namespaces[%zu]: %s namespaces are not supported yet", i,
                          ns->type);
    if (*seen & bit)
        return fail_plain(err, EINVAL, "linux.namespaces[%zu]: '%s' is there twice", i, ns->type);
    *seen |= bit;
    b->own |= bit;
    if (!str_empty(ns->path)) {
        if (bit == SYS_CLONE_NEWNS)
            return fail_plain(err, EOPNOTSUPP,
                              "linux.namespaces[%zu].path: a mount namespace cannot be joined", i);
        joined[*count].flag = bit;
        return builder_string(b, ns->path, &joined[(*count)++].path);
    }
    if (bit == SYS_CLONE_NEWCGROUP)
        b->recipe.unshare_cgroup = 1;
    else if (!(b->in->pod_namespaces & bit))
        b->recipe.clone_flags |= bit;
    return 0;
}

static int build_namespaces(struct builder *b, const struct oci_linux *l, struct error *err)
{
    struct recipe_namespace joined[ARRAY_SIZE(namespace_types)] = {0};
    size_t count = 0;
    unsigned seen = 0;
    b->own = b->in->pod_namespaces;
    for (size_t i = 0; i < l->namespaces_count; i++) {
        int e = build_namespace(b, &l->namespaces[i], i, joined, &count, &seen, err);
        if (e)
            return e;
    }
    if (!(b->recipe.clone_flags & SYS_CLONE_NEWNS))
        return fail_plain(err, EINVAL,
                          "linux.namespaces: a container needs a mount namespace of its own");
    return builder_items(b, joined, count, sizeof *joined, &b->recipe.namespaces);
}

static int refuse_unsupported(struct builder *b, const struct oci_spec *spec,
                              const struct oci_linux *l, struct error *err)
{
    const struct oci_hooks *h = spec->hooks;
    const struct {
        bool is_there;
        const char *name;
    } refused[] = {
        {l->uid_mappings_count, "linux.uidMappings"},
        {l->gid_mappings_count, "linux.gidMappings"},
        {l->time_offsets_count, "linux.timeOffsets"},
        {l->net_devices_count, "linux.netDevices"},
        {l->memory_policy, "linux.memoryPolicy"},
        {!str_empty(l->mount_label), "linux.mountLabel"},
        {h && h->prestart_count, "hooks.prestart"},
        {h && h->create_runtime_count, "hooks.createRuntime"},
        {h && h->create_container_count, "hooks.createContainer"},
        {h && h->start_container_count, "hooks.startContainer"},
        {h && h->poststart_count, "hooks.poststart"},
        {h && h->poststop_count, "hooks.poststop"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (refused[i].is_there)
            return fail_plain(err, EOPNOTSUPP, "%s: not supported yet", refused[i].name);
    if (l->intel_rdt)
        builder_warn(b, "linux.intelRdt: not supported, it has no effect");
    return 0;
}

/* The sysctls that a namespace has for itself (runtime-spec leaves it to the runtime; a global one
 * would change the host). */
static unsigned sysctl_namespace(const char *key)
{
    static const char *const ipc[] = {"kernel/msgmax", "kernel/msgmnb",         "kernel/msgmni",
                                      "kernel/sem",    "kernel/shmall",         "kernel/shmmax",
                                      "kernel/shmmni", "kernel/shm_rmid_forced"};
    for (size_t i = 0; i < ARRAY_SIZE(ipc); i++)
        if (str_eq(key, ipc[i]))
            return SYS_CLONE_NEWIPC;
    if (str_after(key, "fs/mqueue/"))
        return SYS_CLONE_NEWIPC;
    if (str_after(key, "net/"))
        return SYS_CLONE_NEWNET;
    return str_eq(key, "kernel/domainname") || str_eq(key, "kernel/hostname") ? SYS_CLONE_NEWUTS
                                                                              : 0;
}

static int build_sysctls(struct builder *b, const struct oci_linux *l, struct error *err)
{
    struct recipe_pair *list = arena_array(&b->arena, struct recipe_pair, l->sysctl_count);
    for (size_t i = 0; i < l->sysctl_count; i++) {
        const char *name = l->sysctl[i].key;
        char *key = arena_strdup(&b->arena, name);
        /* dots separate, and stand for themselves where slashes do (sysctl(8)) */
        if (key[strcspn(key, "./")] == '.')
            for (char *p = key; *p; p++)
                *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
        unsigned ns = sysctl_namespace(key);
        if (!ns || strstr(key, ".."))
            return fail_plain(err, EINVAL,
                              "linux.sysctl.%s: not a value that a container has of its own", name);
        if (!(b->own & ns))
            return fail_plain(
                err, EINVAL,
                "linux.sysctl.%s: it is the host's, as the container has no %s namespace "
                "of its own",
                name,
                ns == SYS_CLONE_NEWNET   ? "network"
                : ns == SYS_CLONE_NEWIPC ? "ipc"
                                         : "uts");
        char *path = arena_printf(&b->arena, "/proc/sys/%s", key);
        if (builder_string(b, path, &list[i].key) ||
            builder_string(b, l->sysctl[i].value, &list[i].value))
            return fail(err, ENOMEM, "build a recipe");
    }
    return builder_items(b, list, l->sysctl_count, sizeof *list, &b->recipe.sysctls);
}

static int build_names(struct builder *b, const struct oci_spec *spec, struct error *err)
{
    /* a pod's name is the pod's to set */
    bool own = b->recipe.clone_flags & SYS_CLONE_NEWUTS;
    if ((!str_empty(spec->hostname) || !str_empty(spec->domainname)) &&
        !(b->own & SYS_CLONE_NEWUTS))
        return fail_plain(err, EINVAL,
                          "hostname: it is the host's, as the container has no uts "
                          "namespace of its own");
    if (str_or_empty(spec->hostname)[0] && strlen(spec->hostname) > 64)
        return fail_plain(err, EINVAL, "hostname: longer than 64 bytes");
    if (own && (builder_string(b, str_empty(spec->hostname) ? NULL : spec->hostname,
                               &b->recipe.hostname) ||
                builder_string(b, str_empty(spec->domainname) ? NULL : spec->domainname,
                               &b->recipe.domainname)))
        return fail(err, ENOMEM, "build a recipe");
    return 0;
}

static int build_device(struct builder *b, const struct oci_device *from, size_t i,
                        struct recipe_device *to, struct error *err)
{
    static const struct name_value types[] = {
        {"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};
    int64_t type = name_find(types, ARRAY_SIZE(types), str_or_empty(from->type));
    if (type < 0)
        return fail_plain(err, EINVAL, "linux.devices[%zu].type: '%s' is none of c, b, u, p", i,
                          str_or_empty(from->type));
    if (str_empty(from->path) || *from->path != '/' || strlen(from->path) >= PATH_MAX)
        return fail_plain(err, EINVAL, "linux.devices[%zu].path: '%.64s' is not absolute", i,
                          str_or_empty(from->path));
    if (from->major < 0 || from->major > 0xfff || from->minor < 0 || from->minor > 0xfffff)
        return fail_plain(err, EINVAL, "linux.devices[%zu]: there is no device %lld:%lld", i,
                          (long long)from->major, (long long)from->minor);
    *to = (struct recipe_device){
        .mode = (uint32_t)type | ((from->file_mode ? *from->file_mode : 0666) & 07777),
        .major = (uint32_t)from->major,
        .minor = (uint32_t)from->minor,
        .uid = from->uid ? *from->uid : 0,
        .gid = from->gid ? *from->gid : 0,
    };
    int e = builder_string(b, from->path, &to->path);
    return e ? fail(err, e, "build a recipe") : 0;
}

static int build_devices(struct builder *b, const struct oci_linux *l, struct error *err)
{
    /* runtime-spec, config-linux.md, "Default Devices" */
    static const struct oci_device defaults[] = {
        {(char *)"/dev/null", (char *)"c", 1, 3, NULL, NULL, NULL},
        {(char *)"/dev/zero", (char *)"c", 1, 5, NULL, NULL, NULL},
        {(char *)"/dev/full", (char *)"c", 1, 7, NULL, NULL, NULL},
        {(char *)"/dev/random", (char *)"c", 1, 8, NULL, NULL, NULL},
        {(char *)"/dev/urandom", (char *)"c", 1, 9, NULL, NULL, NULL},
        {(char *)"/dev/tty", (char *)"c", 5, 0, NULL, NULL, NULL},
    };
    size_t n = l->devices_count;
    struct recipe_device *list =
        arena_array(&b->arena, struct recipe_device, n + ARRAY_SIZE(defaults));
    int e = 0;
    /* the spec's first, so that theirs stand where both have one */
    for (size_t i = 0; !e && i < n; i++)
        e = build_device(b, &l->devices[i], i, &list[i], err);
    for (size_t i = 0; !e && i < ARRAY_SIZE(defaults); i++)
        e = build_device(b, &defaults[i], 0, &list[n + i], err);
    return e ? e
             : builder_items(b, list, n + ARRAY_SIZE(defaults), sizeof *list, &b->recipe.devices);
}

static int build_personality(struct builder *b, const struct oci_linux *l, struct error *err)
{
    static const struct name_value domains[] = {{"LINUX", 0}, {"LINUX32", 8}};
    if (!l->personality)
        return 0;
    int64_t domain = name_find(domains, ARRAY_SIZE(domains), str_or_empty(l->personality->domain));
    if (domain < 0 || (l->personality->flags && l->personality->flags[0]))
        return fail_plain(err, EINVAL,
                          "linux.personality: '%s' is none of LINUX, LINUX32, without "
                          "flags",
                          str_or_empty(l->personality->domain));
    b->recipe.flags |= RECIPE_HAS_PERSONALITY;
    b->recipe.personality = (uint32_t)domain;
    return 0;
}

static int check_paths(char *const *v, const char *name, struct error *err)
{
    for (size_t i = 0; v && v[i]; i++)
        if (*v[i] != '/')
            return fail_plain(err, EINVAL, "%s[%zu]: '%.64s' is not absolute", name, i, v[i]);
    return 0;
}

int build_linux(struct builder *b, struct error *err)
{
    static const struct oci_linux none;
    static const struct name_value propagation[] = {
        {"", 0},
        {"private", MS_PRIVATE},
        {"rprivate", MS_PRIVATE | MS_REC},
        {"slave", MS_SLAVE},
        {"rslave", MS_SLAVE | MS_REC},
        {"shared", MS_SHARED},
        {"rshared", MS_SHARED | MS_REC},
        {"unbindable", MS_UNBINDABLE},
        {"runbindable", MS_UNBINDABLE | MS_REC},
    };
    const struct oci_spec *spec = b->in->spec;
    const struct oci_linux *l = spec->linux_ ? spec->linux_ : &none;
    int64_t flag =
        name_find(propagation, ARRAY_SIZE(propagation), str_or_empty(l->rootfs_propagation));
    if (flag < 0)
        return fail_plain(err, EINVAL, "linux.rootfsPropagation: '%s' is none",
                          l->rootfs_propagation);
    b->recipe.root_propagation = (uint32_t)flag;
    int e = refuse_unsupported(b, spec, l, err);
    if (!e)
        e = build_namespaces(b, l, err);
    if (!e)
        e = build_names(b, spec, err);
    if (!e)
        e = build_sysctls(b, l, err);
    if (!e)
        e = build_devices(b, l, err);
    if (!e)
        e = build_personality(b, l, err);
    if (!e)
        e = check_paths(l->masked_paths, "linux.maskedPaths", err);
    if (!e)
        e = check_paths(l->readonly_paths, "linux.readonlyPaths", err);
    if (!e && (builder_strings(b, l->masked_paths, &b->recipe.masked) ||
               builder_strings(b, l->readonly_paths, &b->recipe.readonly_)))
        e = fail(err, ENOMEM, "build a recipe");
    return e;
}
