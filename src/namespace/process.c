/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and execs: from the OCI spec to the recipe that the keeper runs. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "container/container.h"
#include "namespace/pod.h"
#include "oci/spec.h"

/* Units */

void unit_free(struct unit *u)
{
    if (!u)
        return;
    free(u->spec);
    free(u);
}
CLEANUP_FREE(unit, struct unit);

enum { UNIT_OWN_PID = 1, END_WAIT_S = 10 };

int unit_seal(const struct unit *u, const struct buffer *record, struct buffer *ret)
{
    int r = wire_put_bytes(ret, record->data, record->len);
    if (!r)
        r = wire_put_u32(ret, u->own_pid ? UNIT_OWN_PID : 0);
    return r ? r : wire_put_bytes(ret, u->spec, u->spec_len);
}

int unit_open(const void *data, size_t len, struct unit **ret, const void **ret_record,
              size_t *ret_record_len)
{
    struct wire_reader r = {.at = data, .end = (const uint8_t *)data + len};
    auto(unit) struct unit *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    *ret_record = wire_bytes(&r, ret_record_len);
    u->own_pid = wire_u32(&r) & UNIT_OWN_PID;
    const void *spec = wire_bytes(&r, &u->spec_len);
    if (r.bad)
        return -EPROTO;
    u->spec = malloc(u->spec_len + 1);
    if (!u->spec)
        return -ENOMEM;
    memcpy(u->spec, spec, u->spec_len);
    *ret = take_ptr(&u);
    return 0;
}

/* What later execs need of the spec is its seccomp and its namespaces alone. */
static int keep_spec(struct unit *u, const struct oci_spec *spec, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    struct oci_linux linux_ = {0};
    struct oci_spec kept = {.oci_version = spec->oci_version, .linux_ = &linux_};
    const char *seccomp = oci_annotation(spec, "warren.seccomp");
    struct oci_pair annotation = {(char *)"warren.seccomp", (char *)(uintptr_t)seccomp};
    if (seccomp) {
        kept.annotations = &annotation;
        kept.annotations_count = 1;
    }
    if (spec->linux_) {
        linux_.seccomp = spec->linux_->seccomp;
        linux_.namespaces = spec->linux_->namespaces;
        linux_.namespaces_count = spec->linux_->namespaces_count;
    }
    int r = oci_spec_print(&kept, &b, err);
    if (r < 0)
        return r;
    u->spec_len = b.len;
    u->spec = take_ptr(&b.data);
    return 0;
}

/* The spec */

struct plan { /* of a create under way */
    struct pod *pod;
    struct process *p;
    struct unit *unit;
    struct arena arena;
    struct buffer json, recipe, warnings;
    struct oci_spec *spec;
    uint32_t wire_flags;
};

static void plan_done(struct plan *plan)
{
    arena_done(&plan->arena);
    buffer_done(&plan->json);
    buffer_done(&plan->recipe);
    buffer_done(&plan->warnings);
}
CLEANUP_DONE(plan, struct plan);

/* A foreign engine leaves the spec in its bundle. */
static int read_spec(struct plan *plan, const void **ret, size_t *ret_len, struct error *err)
{
    const struct process *p = plan->p;
    *ret = p->spec;
    *ret_len = p->spec_len;
    if (p->spec_len || str_empty(p->bundle))
        return 0;
    autofree char *path = str_format("%s/config.json", p->bundle);
    if (!path)
        return fail(err, ENOMEM, "read the bundle");
    int r = file_read(AT_FDCWD, path, OCI_JSON_MAX, &plan->json, err);
    *ret = plan->json.data;
    *ret_len = plan->json.len;
    return r;
}

/* /proc/PID/ns/NAME of our own pod, as engines write that look at the sandbox's pid. */
static bool is_pods(const struct plan *plan, const char *path, const char *name)
{
    autofree char *own = str_format("/proc/%d/ns/%s", (int)plan->pod->sb->pid, name);
    return own && path && str_eq(path, own);
}

/* The keeper itself is in the host's pid namespace, so a pid namespace needs a decision: of its own, the pod's, or the host's. */
static void plan_pid(struct plan *plan)
{
    struct oci_linux *l = plan->spec->linux_;
    bool shared = plan->pod->config.namespaces & CLONE_NEWPID, listed = false;
    for (size_t i = 0; l && i < l->namespaces_count; i++) {
        struct oci_namespace *ns = &l->namespaces[i];
        if (!str_eq(ns->type, "pid"))
            continue;
        if (is_pods(plan, ns->path, "pid")) { /* that is: not listed */
            *ns = l->namespaces[--l->namespaces_count];
            break;
        }
        listed = true;
        plan->unit->own_pid = !ns->path;
    }
    if (plan->unit->own_pid)
        plan->wire_flags |= WIRE_PID_OWN;
    else if (shared && !listed)
        plan->wire_flags |= WIRE_PID_POD;
}

static int plan_rootfs(struct plan *plan, struct recipe_rootfs *ret, bool *ret_given,
                       struct error *err)
{
    const struct process *p = plan->p;
    *ret_given = p->rootfs_count > 0;
    if (p->rootfs_count > 1)
        return fail_plain(err, EINVAL, "a rootfs of %zu mounts; one is possible", p->rootfs_count);
    if (p->rootfs_count) {
        const struct mount_request *m = &p->rootfs[0];
        return recipe_rootfs_parse(m->type, m->source, m->options, &plan->arena, ret, err);
    }
    struct oci_root *root = plan->spec->root;
    if (root && root->path && *root->path != '/') {
        if (str_empty(p->bundle))
            return fail_plain(
                err, EINVAL,
                "root.path: '%s' is relative, and there is neither a rootfs nor a bundle",
                root->path);
        root->path = arena_printf(&plan->arena, "%s/%s", p->bundle, root->path);
    }
    return 0;
}

static int plan_container(struct plan *plan, struct error *err)
{
    struct unit *u = plan->unit;
    struct recipe_rootfs rootfs = {0};
    bool given;
    const void *json;
    size_t len;
    int r = read_spec(plan, &json, &len, err);
    if (!r)
        r = oci_spec_parse(json, len, &plan->arena, &plan->spec, err);
    if (r < 0)
        return r;
    plan_pid(plan);
    r = plan_rootfs(plan, &rootfs, &given, err);
    if (!r)
        r = keep_spec(u, plan->spec, err);
    if (!r)
        r = pod_container_cgroup(plan->pod, plan->p->id, &u->cgroup, err);
    if (r < 0)
        return r;
    const struct oci_linux *l = plan->spec->linux_;
    r = cgroup_make(&u->cgroup, l ? l->resources : NULL, err);
    if (r < 0)
        return r;
    u->own_cgroup = true;
    struct recipe_input in = {
        .spec = plan->spec,
        .rootfs = given ? &rootfs : NULL,
        .pod_namespaces = plan->pod->config.namespaces & ~(unsigned)(u->own_pid ? CLONE_NEWPID : 0),
        .cgroup = &u->cgroup,
        .die_with_parent = true,
    };
    return recipe_build(&in, &plan->recipe, &plan->warnings, err);
}

static int plan_exec(struct plan *plan, struct error *err)
{
    struct oci_process *process;
    const struct process *p = plan->p,
                         *first = sandboxer_find_process(p->sandbox->sandboxer, p->id, "");
    if (!first || !first->technique)
        return fail_plain(err, ENOENT, "there is no container '%s'", p->id);
    const struct unit *container = first->technique;
    plan->unit->cgroup = container->cgroup;
    int r = oci_process_parse(p->spec, p->spec_len, &plan->arena, &process, err);
    if (!r)
        r = oci_spec_parse(container->spec, container->spec_len, &plan->arena, &plan->spec, err);
    if (r < 0)
        return r;
    struct recipe_input in = {
        .spec = plan->spec,
        .cgroup = &plan->unit->cgroup,
        .die_with_parent = true,
        .pod_namespaces = plan->pod->config.namespaces,
    };
    return recipe_build_exec(process, &in, &plan->recipe, &plan->warnings, err);
}

/* Create */

static void tell_warnings(const struct plan *plan)
{
    if (plan->warnings.len)
        diag_warning("container '%s': %s", plan->p->id, buffer_text(&plan->warnings));
}

/* Where the kernel tells of the container, for the keeper: by what all of it is killed, and whether memory ran out. */
static void plan_paths(struct plan *plan, struct wire_create *c)
{
    static const char *const tellers[] = {"memory.oom_control", "memory.events"};
    char **paths;
    c->procs = c->oom = "";
    if (cgroup_join_paths(&plan->unit->cgroup, &plan->arena, &paths, NULL) < 0)
        return;
    for (; *paths; paths++) {
        const char *slash = strrchr(*paths, '/');
        int dir = slash ? (int)(slash - *paths) : 0;
        if (!*c->procs)
            c->procs = arena_printf(&plan->arena, "%.*s/cgroup.procs", dir, *paths);
        for (size_t i = 0; !*c->oom && i < ARRAY_SIZE(tellers); i++) {
            const char *path = arena_printf(&plan->arena, "%.*s/%s", dir, *paths, tellers[i]);
            if (access(path, F_OK) == 0)
                c->oom = path;
        }
    }
}

static int ask_create(struct plan *plan, const struct buffer *record, struct error *err)
{
    auto(buffer) struct buffer sealed = {0}, payload = {0}, answer = {0};
    struct process *p = plan->p;
    if (p->terminal)
        plan->wire_flags |= WIRE_TERMINAL;
    const char *in = p->stdin_;
    if (str_eq(in, "attach:") || str_eq(in, "attach:once")) {
        plan->wire_flags |= WIRE_STDIN_HELD | (str_eq(in, "attach:once") ? WIRE_STDIN_ONCE : 0);
        in = "";
    }
    if (*in && *in != '/')
        return fail_plain(err, EOPNOTSUPP, "stdin '%s' is neither a FIFO's path nor attach:", in);
    int r = unit_seal(plan->unit, record, &sealed);
    struct wire_create c = {
        .id = p->id,
        .exec_id = p->exec_id,
        .flags = plan->wire_flags,
        .record = sealed.data,
        .record_len = sealed.len,
        .stdin_ = in,
        .stdout_ = p->stdout_,
        .stderr_ = p->stderr_,
        .recipe = plan->recipe.data,
        .recipe_len = plan->recipe.len,
    };
    plan_paths(plan, &c);
    if (!r)
        r = wire_put_create(&payload, &c);
    if (r < 0)
        return fail(err, r, "tell the keeper of it");
    r = holder_call(plan->pod->holder, WIRE_CREATE, &payload, &answer, err);
    if (r < 0)
        return r;
    struct wire_reader reader = {.at = answer.data, .end = answer.data + answer.len};
    p->pid = (pid_t)wire_u32(&reader);
    return 0;
}

int namespace_create(void *t, struct process *p, const struct buffer *record, struct error *err)
{
    (void)t;
    auto(plan) struct plan plan = {.pod = p->sandbox->technique, .p = p};
    auto(unit) struct unit *u = plan.unit = calloc(1, sizeof *u);
    if (!u)
        return fail(err, ENOMEM, "hold a container");
    int r = *p->exec_id ? plan_exec(&plan, err) : plan_container(&plan, err);
    if (!r)
        r = ask_create(&plan, record, err);
    tell_warnings(&plan);
    if (r < 0) {
        if (u->own_cgroup)
            cgroup_remove_parked(&u->cgroup, NULL);
        return r;
    }
    p->technique = take_ptr(&u);
    return 0;
}

/* The rest is the keeper's */

static struct holder *holder_of(const struct process *p)
{
    const struct pod *pod = p->sandbox->technique;
    return pod ? pod->holder : NULL;
}

static int put_name(struct buffer *b, const struct process *p)
{
    int r = wire_put_str(b, p->id);
    return r ? r : wire_put_str(b, p->exec_id);
}

static int ask(const struct process *p, enum wire_type type, const uint32_t *numbers, size_t count,
               struct buffer *ret, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    int r = put_name(&b, p);
    for (size_t i = 0; !r && i < count; i++)
        r = wire_put_u32(&b, numbers[i]);
    return r < 0 ? fail(err, r, "ask the keeper") : holder_call(holder_of(p), type, &b, ret, err);
}

int namespace_start(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_START, NULL, 0, NULL, err);
}

int namespace_signal(void *t, struct process *p, int signal, bool all, struct error *err)
{
    const uint32_t numbers[] = {(uint32_t)signal, all};
    int r = ask(p, WIRE_SIGNAL, numbers, ARRAY_SIZE(numbers), NULL, err);
    /* what is frozen does not even die */
    if (!r && signal == SIGKILL && p->state == SANDBOX_PAUSED)
        r = namespace_resume(t, p, err);
    return r;
}

static int end(void *t, struct process *p, struct error *err)
{
    int64_t deadline = clock_mono_ns() + END_WAIT_S * NSEC_PER_SEC;
    int r = namespace_signal(t, p, SIGKILL, true, err);
    if (r < 0 && r != -ESRCH)
        return r;
    while (!p->exited_ns)
        if (!co_queue_wait(&p->exited, deadline))
            return fail_plain(err, ETIMEDOUT, "'%s' does not end %d s after SIGKILL", p->id,
                              END_WAIT_S);
    return 0;
}

int namespace_remove(void *t, struct process *p, struct error *err)
{
    struct unit *u = p->technique;
    const struct pod *pod = p->sandbox->technique;
    if (!u)
        return 0;
    int r = 0;
    if (pod && pod->holder) {
        if (!p->exited_ns) /* created and never started */
            r = end(t, p, err);
        if (!r)
            r = ask(p, WIRE_REMOVE, NULL, 0, NULL, err);
        if (r < 0 && r != -ENOENT && pod->holder) /* without its keeper it has ended */
            return r;
    }
    r = u->own_cgroup ? cgroup_remove_parked(&u->cgroup, err) : 0;
    if (r < 0)
        return r;
    p->technique = NULL;
    unit_free(u);
    return 0;
}

int namespace_resize(void *t, struct process *p, uint32_t columns, uint32_t rows, struct error *err)
{
    (void)t;
    const uint32_t numbers[] = {columns, rows};
    return ask(p, WIRE_RESIZE, numbers, ARRAY_SIZE(numbers), NULL, err);
}

int namespace_close_stdin(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_CLOSE_STDIN, NULL, 0, NULL, err);
}

int namespace_reopen_log(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_REOPEN_LOG, NULL, 0, NULL, err);
}

int namespace_attach(void *t, struct process *p, bool in, bool out, bool err_, char **ret_address,
                     char **ret_token, struct error *err)
{
    const struct namespaces *n = t;
    const uint32_t numbers[] = {in, out, err_};
    auto(buffer) struct buffer answer = {0};
    autofree char *name = NULL, *address = NULL;
    int r = holder_name(p->sandbox->id, &name, err);
    if (!r)
        r = ask(p, WIRE_ATTACH, numbers, ARRAY_SIZE(numbers), &answer, err);
    if (r < 0)
        return r;
    struct wire_reader reader = {.at = answer.data, .end = answer.data + answer.len};
    autofree char *token = strdup(wire_str(&reader));
    address = str_format("unix://%s/%s", n->dir, name);
    if (!token || !address)
        return fail(err, ENOMEM, "attach");
    *ret_address = take_ptr(&address);
    *ret_token = take_ptr(&token);
    return 0;
}
