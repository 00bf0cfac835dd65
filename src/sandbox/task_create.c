/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/task_create.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "sandbox/bundle.h"
#include "sandbox/tasks.h"
#include "sandbox/wire.h"
#include "warren_sandbox.pb-c.h"

#define OPTIONS_TYPE "warren.sandbox.v1.CreateOptions"

/* A type's name may come with a host before it. */
static bool is_type(const Google__Protobuf__Any *any, const char *name)
{
    if (!any)
        return false;
    const char *slash = strrchr(any->type_url, '/');
    return str_eq(slash ? slash + 1 : any->type_url, name);
}

static int from_options(const Google__Protobuf__Any *any, struct arena *arena,
                        struct process_request *ret, struct error *err)
{
    const Warren__Sandbox__V1__CreateOptions *options = rpc_unpack(
        &warren__sandbox__v1__create_options__descriptor, arena, any->value.data, any->value.len);
    if (!options)
        return fail_plain(err, EINVAL, "options: no valid " OPTIONS_TYPE);
    ret->sandbox_id = options->sandbox_id;
    ret->spec = options->spec.data;
    ret->spec_len = options->spec.len;
    ret->start = options->start;
    return 0;
}

static struct mount_request *copy_mounts(struct arena *a, const struct mount_request *from,
                                         size_t n)
{
    struct mount_request *list = arena_array(a, struct mount_request, n + 1);
    for (size_t i = 0; i < n; i++) {
        size_t options = strv_len(from[i].options);
        list[i] = (struct mount_request){.type = arena_strdup(a, from[i].type),
                                         .source = arena_strdup(a, from[i].source),
                                         .target = arena_strdup(a, from[i].target)};
        list[i].options = arena_array(a, char *, options + 1);
        for (size_t j = 0; j < options; j++)
            list[i].options[j] = arena_strdup(a, from[i].options[j]);
    }
    return list;
}

/* Copies: another Update may come while the container is made. */
static bool from_extension(struct sandboxer *s, const char *id, struct arena *arena,
                           struct process_request *ret)
{
    struct sandbox *sb;
    list_each(sb, &s->all, table)
    {
        const struct task_entry *e = sandbox_tasks_find(sb->tasks, id);
        if (!e)
            continue;
        ret->sandbox_id = arena_strdup(arena, sb->id);
        ret->spec = arena_strdup(arena, e->spec);
        ret->spec_len = strlen(e->spec);
        if (!ret->rootfs_count) {
            ret->rootfs = copy_mounts(arena, e->rootfs, e->rootfs_count);
            ret->rootfs_count = e->rootfs_count;
        }
        return true;
    }
    return false;
}

/* A rootfs that is a directory of the bundle: the technique reads no bundle. */
static void use_bundle_rootfs(const struct bundle *bundle, struct arena *arena,
                              struct process_request *ret)
{
    if (ret->rootfs_count || !*bundle->rootfs)
        return;
    struct mount_request *m = arena_new(arena, struct mount_request);
    *m = (struct mount_request){
        .type = (char *)"bind", .source = (char *)bundle->rootfs, .target = (char *)""};
    m->options = arena_array(arena, char *, 3);
    m->options[0] = (char *)"rbind";
    m->options[1] = (char *)"rw";
    ret->rootfs = m;
    ret->rootfs_count = 1;
}

static int from_bundle(struct arena *arena, struct process_request *ret, struct error *err)
{
    struct bundle bundle;
    int r = bundle_read(ret->bundle, arena, &bundle, err);
    if (r < 0)
        return r;
    if (bundle.pause)
        return fail_plain(err, EINVAL,
                          "this is a pod's pause container, and a pod is made by the Sandbox API "
                          "here: configure containerd's runtime with this sandboxer");
    if (!ret->sandbox_id)
        ret->sandbox_id = bundle.sandbox_id;
    if (!*ret->sandbox_id)
        return fail_plain(err, EINVAL,
                          "nothing says which sandbox it belongs to: neither options of type "
                          "%s, nor the tasks extension, nor the annotation "
                          "io.kubernetes.cri.sandbox-id in '%s/config.json'",
                          OPTIONS_TYPE, ret->bundle);
    if (!ret->spec_len) {
        ret->spec = bundle.spec;
        ret->spec_len = bundle.spec_len;
    }
    use_bundle_rootfs(&bundle, arena, ret);
    return 0;
}

static int describe(struct sandboxer *s, const Containerd__Task__V2__CreateTaskRequest *q,
                    struct arena *arena, struct process_request *ret, struct error *err)
{
    if (is_type(q->options, OPTIONS_TYPE))
        return from_options(q->options, arena, ret, err);
    bool known = from_extension(s, q->id, arena, ret);
    if (known && ret->spec_len && (ret->rootfs_count || !*ret->bundle))
        return 0;
    return from_bundle(arena, ret, err);
}

int task_create(struct sandboxer *s, const Containerd__Task__V2__CreateTaskRequest *q,
                struct arena *arena, pid_t *ret_pid, struct error *err)
{
    struct process_request request = {
        .id = q->id,
        .exec_id = "",
        .stdin_ = q->stdin,
        .stdout_ = q->stdout,
        .stderr_ = q->stderr,
        .terminal = q->terminal,
        .bundle = q->bundle,
        .rootfs = wire_mounts(arena, q->rootfs, q->n_rootfs),
        .rootfs_count = q->n_rootfs,
    };
    if (*q->checkpoint)
        return sandboxer_unsupported(s, "create a container from a checkpoint", err);
    int r = str_check_id("container id", q->id, err);
    if (r == 0)
        r = describe(s, q, arena, &request, err);
    if (r < 0)
        return fail_in(err, r, "create container '%.130s'", q->id);
    return process_create(s, &request, ret_pid, err);
}

static void exec_from_extension(struct sandboxer *s, const char *id, const char *exec_id,
                                struct arena *arena, struct process_request *ret)
{
    struct sandbox *sb;
    list_each(sb, &s->all, table)
    {
        const struct task_entry *e = sandbox_tasks_find(sb->tasks, id);
        const struct task_process *p = e ? task_entry_find(e, exec_id) : NULL;
        if (!p)
            continue;
        ret->spec = arena_strdup(arena, p->spec);
        ret->spec_len = strlen(p->spec);
        return;
    }
}

int task_exec(struct sandboxer *s, const Containerd__Task__V2__ExecProcessRequest *q,
              struct arena *arena, struct error *err)
{
    struct process_request request = {
        .id = q->id,
        .exec_id = q->exec_id,
        .stdin_ = q->stdin,
        .stdout_ = q->stdout,
        .stderr_ = q->stderr,
        .terminal = q->terminal,
        .bundle = "",
        .spec = q->spec ? q->spec->value.data : NULL,
        .spec_len = q->spec ? q->spec->value.len : 0,
    };
    pid_t pid;
    int r = str_check_id("exec id", q->exec_id, err);
    if (r < 0)
        return r;
    if (!request.spec_len)
        exec_from_extension(s, q->id, q->exec_id, arena, &request);
    if (!request.spec_len)
        return fail_plain(err, EINVAL, "exec '%s' in container '%.130s': no process to run",
                          q->exec_id, q->id);
    return process_create(s, &request, &pid, err);
}
