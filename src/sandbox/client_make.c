/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "sandbox/client.h"
#include "sandbox/foreign.h"

/* Sandboxes */

int remote_sandbox_create(struct peer *p, const char *id, const void *config, size_t config_len,
                          const char *netns_path, struct error *err)
{
    struct remote *c = remote_of(p);
    CONTROLLER_REQUEST(CreateRequest, CREATE_REQUEST);
    Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
    options.value.data = (uint8_t *)config;
    options.value.len = config_len;
    q.sandbox_id = (char *)id;
    q.netns_path = (char *)str_or_empty(netns_path);
    q.options = &options;
    int r = remote_probe(c, err);
    if (r == 0)
        r = remote_command(p, CONTROLLER, "Create", &q, err);
    return r < 0 || c->kind != REMOTE_FOREIGN ? r : foreign_sandbox_created(c, id, err);
}

int remote_sandbox_start(struct peer *p, const char *id, pid_t *ret_pid, struct error *err)
{
    struct remote *c = remote_of(p);
    auto(arena) struct arena arena = {0};
    CONTROLLER_REQUEST(StartRequest, START_REQUEST);
    Containerd__Services__Sandbox__V1__ControllerStartResponse *answer;
    struct remote_call call = {.service = CONTROLLER, .method = "Start", .request = &q};
    q.sandbox_id = (char *)id;
    int r = remote_probe(c, err);
    if (r == 0)
        r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r < 0)
        return r;
    *ret_pid = (pid_t)answer->pid;
    return c->kind == REMOTE_FOREIGN
               ? foreign_sandbox_started(c, id, answer->address, *ret_pid, err)
               : 0;
}

/* Warren's own way: one exchange. */
static int run_at_once(struct remote *c, const char *id, const void *config, size_t config_len,
                       const char *netns_path, pid_t *ret_pid, struct error *err)
{
    auto(arena) struct arena arena = {0};
    EXTENSION_REQUEST(RunRequest, RUN_REQUEST);
    Warren__Sandbox__V1__RunResponse *answer;
    struct remote_call call = {.service = EXTENSION, .method = "Run", .request = &q};
    q.sandbox_id = (char *)id;
    q.netns_path = (char *)str_or_empty(netns_path);
    q.config.data = (uint8_t *)config;
    q.config.len = config_len;
    call.large = protobuf_c_message_get_packed_size(&q.base) > REMOTE_SMALL;
    int r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r == 0)
        *ret_pid = (pid_t)answer->pid;
    return r;
}

int remote_sandbox_run(struct peer *p, const char *id, const void *config, size_t config_len,
                       const char *netns_path, pid_t *ret_pid, struct error *err)
{
    struct remote *c = remote_of(p);
    int r = remote_probe(c, err);
    if (r < 0)
        return r;
    if (c->kind == REMOTE_WARREN)
        return run_at_once(c, id, config, config_len, netns_path, ret_pid, err);
    r = remote_sandbox_create(p, id, config, config_len, netns_path, err);
    return r < 0 ? r : remote_sandbox_start(p, id, ret_pid, err);
}

/* Containers */

static Containerd__Types__Mount **mounts_of(struct arena *a, const struct peer_container *c)
{
    Containerd__Types__Mount **list =
        arena_array(a, Containerd__Types__Mount *, c->rootfs_count + 1);
    for (size_t i = 0; i < c->rootfs_count; i++) {
        list[i] = arena_new(a, Containerd__Types__Mount);
        containerd__types__mount__init(list[i]);
        list[i]->type = (char *)str_or_empty(c->rootfs[i].type);
        list[i]->source = (char *)str_or_empty(c->rootfs[i].source);
        list[i]->target = (char *)str_or_empty(c->rootfs[i].target);
        list[i]->options = c->rootfs[i].options;
        list[i]->n_options = strv_len(c->rootfs[i].options);
    }
    return list;
}

static int create_container(struct remote *c, const struct peer_container *container, bool run,
                            pid_t *ret_pid, struct error *err)
{
    auto(arena) struct arena arena = {0};
    TASK_REQUEST(CreateTaskRequest, CREATE_TASK_REQUEST);
    Warren__Sandbox__V1__CreateOptions options = WARREN__SANDBOX__V1__CREATE_OPTIONS__INIT;
    Containerd__Task__V2__CreateTaskResponse *answer;
    struct remote_call call = {
        .service = TASK, .method = "Create", .request = &q, .id = container->id};
    options.sandbox_id = (char *)container->sandbox_id;
    options.spec.data = (uint8_t *)container->spec;
    options.spec.len = container->spec_len;
    options.start = run;
    q.id = (char *)container->id;
    q.rootfs = mounts_of(&arena, container);
    q.n_rootfs = container->rootfs_count;
    q.stdin = (char *)str_or_empty(container->stdin_);
    q.stdout = (char *)str_or_empty(container->stdout_);
    q.stderr = (char *)str_or_empty(container->stderr_);
    q.terminal = container->terminal;
    q.options = wire_any(&arena, "warren.sandbox.v1.CreateOptions", &options.base);
    int r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r == 0)
        *ret_pid = (pid_t)answer->pid;
    return r;
}

static int create_exec(struct remote *c, const struct peer_container *exec, pid_t *ret_pid,
                       struct error *err)
{
    TASK_REQUEST(ExecProcessRequest, EXEC_PROCESS_REQUEST);
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    spec.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
    spec.value.data = (uint8_t *)exec->spec;
    spec.value.len = exec->spec_len;
    q.id = (char *)exec->id;
    q.exec_id = (char *)exec->exec_id;
    q.stdin = (char *)str_or_empty(exec->stdin_);
    q.stdout = (char *)str_or_empty(exec->stdout_);
    q.stderr = (char *)str_or_empty(exec->stderr_);
    q.terminal = exec->terminal;
    q.spec = &spec;
    *ret_pid = 0; /* Exec does not tell; Start will */
    return remote_task_command(&c->peer, exec->id, "Exec", &q, err);
}

int remote_create(struct peer *p, const struct peer_container *container, pid_t *ret_pid,
                  struct error *err)
{
    struct remote *c = remote_of(p);
    int r = remote_probe(c, err);
    if (r < 0)
        return r;
    if (c->kind == REMOTE_FOREIGN)
        return foreign_create(c, container, ret_pid, err);
    return str_empty(container->exec_id) ? create_container(c, container, false, ret_pid, err)
                                         : create_exec(c, container, ret_pid, err);
}

int remote_start(struct peer *p, const char *id, const char *exec_id, pid_t *ret_pid,
                 struct error *err)
{
    struct remote *c = remote_of(p);
    auto(arena) struct arena arena = {0};
    TASK_REQUEST(StartRequest, START_REQUEST);
    Containerd__Task__V2__StartResponse *answer;
    struct remote_call call = {.service = TASK, .method = "Start", .request = &q, .id = id};
    q.id = (char *)id;
    q.exec_id = (char *)str_or_empty(exec_id);
    int r = remote_probe(c, err);
    if (r == 0)
        r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r < 0)
        return r;
    *ret_pid = (pid_t)answer->pid;
    if (c->kind == REMOTE_FOREIGN)
        foreign_started(c, id, exec_id, *ret_pid);
    return 0;
}

int remote_run(struct peer *p, const struct peer_container *container, pid_t *ret_pid,
               struct error *err)
{
    struct remote *c = remote_of(p);
    pid_t pid = 0;
    int r = remote_probe(c, err);
    if (r < 0)
        return r;
    if (c->kind == REMOTE_WARREN)
        return create_container(c, container, true, ret_pid, err);
    r = foreign_create(c, container, ret_pid, err);
    if (r == 0)
        r = remote_start(p, container->id, "", &pid, err);
    if (r == 0 && pid)
        *ret_pid = pid;
    return r;
}
