/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec.h"

#include <errno.h>

#include "base/base.h"
#include "engine/capability.h"
#include "engine/spec_mounts.h"
#include "oci/spec.h"

#define OCI_VERSION  "1.2.0"
#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

typedef Runtime__V1__LinuxContainerSecurityContext Security;
typedef Runtime__V1__NamespaceOption NamespaceOption;

/* What docker masks (moby's documentation of --security-opt systempaths) where CRI gives no list of
 * its own. */
static char *const masked_paths[] = {
    (char *)"/proc/acpi",
    (char *)"/proc/asound",
    (char *)"/proc/interrupts",
    (char *)"/proc/kcore",
    (char *)"/proc/keys",
    (char *)"/proc/latency_stats",
    (char *)"/proc/timer_list",
    (char *)"/proc/timer_stats",
    (char *)"/proc/sched_debug",
    (char *)"/proc/scsi",
    (char *)"/sys/firmware",
    (char *)"/sys/devices/virtual/powercap",
    NULL,
};
static char *const readonly_paths[] = {
    (char *)"/proc/bus",           (char *)"/proc/fs",
    (char *)"/proc/irq",           (char *)"/proc/sys",
    (char *)"/proc/sysrq-trigger", NULL,
};

static const Security *security_of(const struct spec_input *in)
{
    static const Security none = RUNTIME__V1__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
    const Runtime__V1__LinuxContainerConfig *l = in->container->linux;
    return l && l->security_context ? l->security_context : &none;
}

/* The container's own namespace options, else the pod's, else none: all zero is a pod's own
 * namespaces. */
static const NamespaceOption *namespaces_of(const struct spec_input *in)
{
    static const NamespaceOption none = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    const Security *s = security_of(in);
    if (s->namespace_options)
        return s->namespace_options;
    const Runtime__V1__LinuxPodSandboxConfig *pod = in->pod->linux;
    if (pod && pod->security_context && pod->security_context->namespace_options)
        return pod->security_context->namespace_options;
    return &none;
}

/* Process */

static void append(char **v, size_t *n, char *const *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        v[(*n)++] = from[i];
}

static int build_args(struct arena *a, const struct spec_input *in, struct oci_process *p,
                      struct error *err)
{
    const Runtime__V1__ContainerConfig *c = in->container;
    size_t entrypoint = strv_len(in->image->entrypoint), cmd = strv_len(in->image->cmd), n = 0;
    p->args = arena_array(a, char *, c->n_command + c->n_args + entrypoint + cmd + 1);
    if (c->n_command)
        append(p->args, &n, c->command, c->n_command);
    else
        append(p->args, &n, in->image->entrypoint, entrypoint);
    if (c->n_args)
        append(p->args, &n, c->args, c->n_args);
    else if (!c->n_command)
        append(p->args, &n, in->image->cmd, cmd);
    if (!n)
        return fail_plain(err, EINVAL,
                          "the container has no command, and its image no entrypoint or cmd");
    return 0;
}

/* Sets NAME=VALUE, in place where NAME is there already. */
static void env_set(char **env, size_t *n, char *entry)
{
    size_t name = strcspn(entry, "=");
    for (size_t i = 0; i < *n; i++)
        if (strncmp(env[i], entry, name) == 0 && env[i][name] == '=') {
            env[i] = entry;
            return;
        }
    env[(*n)++] = entry;
}

static int build_env(struct arena *a, const struct spec_input *in, struct oci_process *p,
                     struct error *err)
{
    enum { OWN_MAX = 4 };
    const Runtime__V1__ContainerConfig *c = in->container;
    size_t from_image = strv_len(in->image->env), n = 0;
    p->env = arena_array(a, char *, from_image + c->n_envs + OWN_MAX + 1);
    if (!in->wasm)
        env_set(p->env, &n, (char *)PATH_DEFAULT);
    if (!in->wasm && *in->pod->hostname)
        env_set(p->env, &n, arena_printf(a, "HOSTNAME=%s", in->pod->hostname));
    if (c->tty)
        env_set(p->env, &n, (char *)"TERM=xterm");
    for (size_t i = 0; i < from_image; i++)
        env_set(p->env, &n, in->image->env[i]);
    for (size_t i = 0; i < c->n_envs; i++) {
        const Runtime__V1__KeyValue *e = c->envs[i];
        if (!*e->key || strchr(e->key, '=') || memchr(e->value.data, 0, e->value.len))
            return fail_plain(err, EINVAL,
                              "envs[%zu]: '%s' is no variable's name, or its value has a NUL", i,
                              e->key);
        env_set(p->env, &n,
                arena_printf(a, "%s=%.*s", e->key, (int)e->value.len, (char *)e->value.data));
    }
    return 0;
}

/* user.username carries "USER[:GROUP]", names or numbers; who starts the container resolves it in
 * its rootfs. */
static int build_user(struct arena *a, const struct spec_input *in, struct oci_process *p,
                      struct error *err)
{
    const Security *s = security_of(in);
    if (s->run_as_user && (s->run_as_user->value < 0 || s->run_as_user->value > UINT32_MAX - 1))
        return fail_plain(err, EINVAL, "linux.security_context.run_as_user: %lld is no user id",
                          (long long)s->run_as_user->value);
    if (s->run_as_group && (s->run_as_group->value < 0 || s->run_as_group->value > UINT32_MAX - 1))
        return fail_plain(err, EINVAL, "linux.security_context.run_as_group: %lld is no group id",
                          (long long)s->run_as_group->value);
    if (s->run_as_group && !s->run_as_user && !*s->run_as_username)
        return fail_plain(
            err, EINVAL,
            "linux.security_context.run_as_group: needs run_as_user or run_as_username");
    char *user = NULL;
    if (s->run_as_user)
        user = arena_printf(a, "%lld", (long long)s->run_as_user->value);
    else if (*s->run_as_username)
        user = s->run_as_username;
    else if (!str_empty(in->image->user))
        user = in->image->user;
    if (user && s->run_as_group)
        user = arena_printf(a, "%.*s:%lld", (int)strcspn(user, ":"), user,
                            (long long)s->run_as_group->value);
    p->user.username = user;
    p->user.additional_gids = arena_array(a, uint32_t, s->n_supplemental_groups + 1);
    for (size_t i = 0; i < s->n_supplemental_groups; i++) {
        int64_t gid = s->supplemental_groups[i];
        if (gid < 0 || gid > UINT32_MAX - 1)
            return fail_plain(err, EINVAL,
                              "linux.security_context.supplemental_groups: %lld is no group id",
                              (long long)gid);
        p->user.additional_gids[p->user.additional_gids_count++] = (uint32_t)gid;
    }
    return 0;
}

static int build_capabilities(struct arena *a, const struct spec_input *in, struct oci_process *p,
                              struct error *err)
{
    static const Runtime__V1__Capability none = RUNTIME__V1__CAPABILITY__INIT;
    const Security *s = security_of(in);
    const Runtime__V1__Capability *c = s->capabilities ? s->capabilities : &none;
    if (c->n_add_ambient_capabilities)
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.security_context.capabilities.add_ambient_capabilities is not supported yet");
    char **list;
    int r = capability_list(a, s->privileged, c->add_capabilities, c->n_add_capabilities,
                            c->drop_capabilities, c->n_drop_capabilities, &list, err);
    if (r < 0)
        return r;
    p->capabilities = arena_new(a, struct oci_capabilities);
    p->capabilities->bounding = p->capabilities->effective = p->capabilities->permitted = list;
    return 0;
}

static const Runtime__V1__LinuxContainerResources *resources_of(const struct spec_input *in)
{
    return in->container->linux ? in->container->linux->resources : NULL;
}

static int build_process(struct arena *a, const struct spec_input *in, struct oci_process **ret,
                         struct error *err)
{
    struct oci_process *p = *ret = arena_new(a, struct oci_process);
    const Security *s = security_of(in);
    p->terminal = in->container->tty;
    p->no_new_privileges = s->no_new_privs;
    p->cwd = *in->container->working_dir          ? in->container->working_dir
             : !str_empty(in->image->working_dir) ? in->image->working_dir
                                                  : (char *)"/";
    if (*p->cwd != '/')
        return fail_plain(err, EINVAL, "working_dir: '%s' is not absolute", p->cwd);
    int r = build_args(a, in, p, err);
    if (r == 0)
        r = build_env(a, in, p, err);
    if (r == 0)
        r = build_user(a, in, p, err);
    if (r < 0 || in->wasm)
        return r;
    if (resources_of(in)) {
        int64_t adjust = resources_of(in)->oom_score_adj;
        if (adjust < -1000 || adjust > 1000)
            return fail_plain(err, EINVAL,
                              "linux.resources.oom_score_adj: %lld is not between -1000 and 1000",
                              (long long)adjust);
        p->oom_score_adj = arena_new(a, int32_t);
        *p->oom_score_adj = (int32_t)adjust;
    }
    return build_capabilities(a, in, p, err);
}

/* Resources */

static uint64_t *unsigned_box(struct arena *a, int64_t value)
{
    uint64_t *box = arena_new(a, uint64_t);
    *box = (uint64_t)value;
    return box;
}

static int64_t *box(struct arena *a, int64_t value)
{
    int64_t *b = arena_new(a, int64_t);
    *b = value;
    return b;
}

static int check_resources(const Runtime__V1__LinuxContainerResources *r, struct error *err)
{
    const struct {
        const char *name;
        int64_t value, min;
    } fields[] = {
        {"cpu_shares", r->cpu_shares, 0},
        {"cpu_period", r->cpu_period, 0},
        {"cpu_quota", r->cpu_quota, -1},
        {"memory_limit_in_bytes", r->memory_limit_in_bytes, -1},
        {"memory_swap_limit_in_bytes", r->memory_swap_limit_in_bytes, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i].value < fields[i].min)
            return fail_plain(err, EINVAL, "linux.resources.%s: %lld is less than %lld",
                              fields[i].name, (long long)fields[i].value, (long long)fields[i].min);
    if (r->memory_limit_in_bytes > 0 && r->memory_limit_in_bytes < 64 << 10)
        return fail_plain(err, EINVAL,
                          "linux.resources.memory_limit_in_bytes: %lld is less than 65536",
                          (long long)r->memory_limit_in_bytes);
    if (r->memory_swap_limit_in_bytes > r->memory_limit_in_bytes && r->memory_limit_in_bytes > 0)
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.resources.memory_swap_limit_in_bytes: containers get no swap; leave it "
            "out or set it to the memory limit");
    return 0;
}

static int build_resources(struct arena *a, const Runtime__V1__LinuxContainerResources *from,
                           struct oci_resources *to, struct error *err)
{
    if (!from)
        return 0;
    int r = check_resources(from, err);
    if (r < 0)
        return r;
    if (from->cpu_shares || from->cpu_quota || from->cpu_period || *from->cpuset_cpus ||
        *from->cpuset_mems) {
        to->cpu = arena_new(a, struct oci_cpu);
        to->cpu->shares = from->cpu_shares ? unsigned_box(a, from->cpu_shares) : NULL;
        to->cpu->quota = from->cpu_quota ? box(a, from->cpu_quota) : NULL;
        to->cpu->period = from->cpu_period ? unsigned_box(a, from->cpu_period) : NULL;
        to->cpu->cpus = *from->cpuset_cpus ? from->cpuset_cpus : NULL;
        to->cpu->mems = *from->cpuset_mems ? from->cpuset_mems : NULL;
    }
    if (from->memory_limit_in_bytes) {
        to->memory = arena_new(a, struct oci_memory);
        to->memory->limit = box(a, from->memory_limit_in_bytes);
        to->memory->swap = box(a, from->memory_limit_in_bytes);
    }
    to->hugepage_limits = arena_array(a, struct oci_hugepage_limit, from->n_hugepage_limits + 1);
    for (size_t i = 0; i < from->n_hugepage_limits; i++)
        if (from->hugepage_limits[i]->limit)
            to->hugepage_limits[to->hugepage_limits_count++] = (struct oci_hugepage_limit){
                from->hugepage_limits[i]->page_size, from->hugepage_limits[i]->limit};
    to->unified = arena_array(a, struct oci_pair, from->n_unified + 1);
    for (size_t i = 0; i < from->n_unified; i++)
        to->unified[to->unified_count++] =
            (struct oci_pair){from->unified[i]->key, from->unified[i]->value};
    return 0;
}

int spec_build_resources(const Runtime__V1__LinuxContainerResources *r, struct buffer *out,
                         struct error *err)
{
    auto(arena) struct arena a = {0};
    struct oci_resources resources = {0};
    int e = build_resources(&a, r, &resources, err);
    return e < 0 ? e : oci_resources_print(&resources, out, err);
}

/* The rest */

/* Namespaces that a spec does not name are the holder's: it lives in the pod's own, or in the
 * host's. */
static int build_namespaces(struct arena *a, const struct spec_input *in, struct oci_linux *l,
                            struct error *err)
{
    const NamespaceOption *o = namespaces_of(in);
    if (o->pid == RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.security_context.namespace_options.pid: TARGET is not supported yet");
    if (o->userns_options && o->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__POD &&
        o->userns_options->n_uids)
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.security_context.namespace_options.userns_options: user namespaces are not "
            "supported yet");
    l->namespaces = arena_array(a, struct oci_namespace, 3);
    l->namespaces[l->namespaces_count++].type = (char *)"mount";
    l->namespaces[l->namespaces_count++].type = (char *)"cgroup";
    if (o->pid == RUNTIME__V1__NAMESPACE_MODE__CONTAINER)
        l->namespaces[l->namespaces_count++].type = (char *)"pid";
    return 0;
}

static char **paths(struct arena *a, const struct spec_input *in, char *const *from, size_t n,
                    char *const *defaults)
{
    if (security_of(in)->privileged)
        return NULL;
    if (!n)
        return (char **)defaults;
    char **v = arena_array(a, char *, n + 1);
    memcpy(v, from, n * sizeof *v);
    return v;
}

static const char *seccomp(const struct spec_input *in, struct error *err)
{
    const Security *s = security_of(in);
    if (s->privileged)
        return "unconfined";
    if (!s->seccomp)
        return "default";
    switch (s->seccomp->profile_type) {
    case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
        return "default";
    case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
        return "unconfined";
    default:
        fail_plain(err, EOPNOTSUPP,
                   "linux.security_context.seccomp: profiles of one's own (Localhost) are not "
                   "supported yet");
        return NULL;
    }
}

/* Keys that begin with "warren." are the engine's, but those by which users tell the wasm technique something. */
static bool is_for_wasm(const struct spec_input *in, const char *key)
{
    return in->wasm && str_after(key, "warren.wasm/");
}

static int build_annotations(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                             struct error *err)
{
    enum { OWN_MAX = 8 };
    const Runtime__V1__ContainerConfig *c = in->container;
    spec->annotations =
        arena_array(a, struct oci_pair, c->n_annotations + in->pod->n_annotations + OWN_MAX);
    for (size_t i = 0; i < c->n_annotations; i++)
        if (!str_after(c->annotations[i]->key, "warren.") ||
            is_for_wasm(in, c->annotations[i]->key))
            spec->annotations[spec->annotations_count++] =
                (struct oci_pair){c->annotations[i]->key, c->annotations[i]->value};
    for (size_t i = 0; i < in->pod->n_annotations; i++) {
        const Runtime__V1__PodSandboxConfig__AnnotationsEntry *e = in->pod->annotations[i];
        if (is_for_wasm(in, e->key) && !oci_annotation(spec, e->key))
            spec->annotations[spec->annotations_count++] = (struct oci_pair){e->key, e->value};
    }
    const char *profile = in->wasm ? NULL : seccomp(in, err);
    if (!in->wasm && !profile)
        return -EOPNOTSUPP;
    const struct oci_pair own[] = {
        {(char *)"io.kubernetes.cri.container-type", (char *)"container"},
        {(char *)"io.kubernetes.cri.sandbox-id", (char *)in->pod_id},
        {(char *)"io.kubernetes.cri.container-name", c->metadata ? c->metadata->name : (char *)""},
        {(char *)"warren.seccomp", (char *)profile},
    };
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (own[i].value)
            spec->annotations[spec->annotations_count++] = own[i];
    return 0;
}

/* Of a wasm pod that is not to use the host's network: what its module may listen in. */
static void say_network(struct arena *a, const struct spec_input *in, struct oci_linux *l)
{
    if (namespaces_of(in)->network == RUNTIME__V1__NAMESPACE_MODE__NODE)
        return;
    l->namespaces = arena_array(a, struct oci_namespace, 1);
    l->namespaces[l->namespaces_count++].type = (char *)"network";
}

static int build_linux(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                       struct error *err)
{
    const Security *s = security_of(in);
    struct oci_linux *l = spec->linux_ = arena_new(a, struct oci_linux);
    l->resources = arena_new(a, struct oci_resources);
    int r = build_resources(a, resources_of(in), l->resources, err);
    if (r == 0 && in->wasm)
        say_network(a, in, l);
    if (r < 0 || in->wasm)
        return r;
    const char *parent = in->pod->linux ? in->pod->linux->cgroup_parent : "";
    if (str_ends(parent, ".slice"))
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.cgroup_parent: '%s' is systemd's form; set the kubelet's cgroupDriver to "
            "cgroupfs",
            parent);
    l->cgroups_path = *parent ? arena_printf(a, "%s/%s", parent, in->container_id)
                              : arena_printf(a, "/warren/%s/%s", in->pod_id, in->container_id);
    l->masked_paths = paths(a, in, s->masked_paths, s->n_masked_paths, masked_paths);
    l->readonly_paths = paths(a, in, s->readonly_paths, s->n_readonly_paths, readonly_paths);
    r = build_namespaces(a, in, l, err);
    return r < 0 ? r : spec_devices(a, in, spec, err);
}

int spec_build(const struct spec_input *in, struct buffer *out, struct error *err)
{
    auto(arena) struct arena a = {0};
    struct oci_spec spec = {.oci_version = (char *)OCI_VERSION};
    spec.root = arena_new(&a, struct oci_root);
    spec.root->path = (char *)"rootfs";
    spec.root->readonly = security_of(in)->readonly_rootfs;
    int r = build_process(&a, in, &spec.process, err);
    if (r == 0)
        r = build_linux(&a, in, &spec, err);
    if (r == 0)
        r = spec_mounts(&a, in, &spec, err);
    if (r == 0)
        r = build_annotations(&a, in, &spec, err);
    return r < 0 ? r : oci_spec_print(&spec, out, err);
}

int spec_build_exec(const struct spec_input *in, char *const *argv, bool terminal,
                    struct buffer *out, struct error *err)
{
    auto(arena) struct arena a = {0};
    struct oci_process *process;
    if (!argv[0])
        return fail_plain(err, EINVAL, "the command of an exec is empty");
    int r = build_process(&a, in, &process, err);
    if (r < 0)
        return r;
    process->args = (char **)argv;
    process->terminal = terminal;
    return oci_process_print(process, out, err);
}
