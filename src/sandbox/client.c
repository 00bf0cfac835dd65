/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sandbox/foreign.h"

/* Life */

void remote_hold(struct remote *c)
{
    c->users++;
}

void remote_release(struct remote *c)
{
    if (--c->users)
        return;
    foreign_free(c->foreign);
    rpc_client_free(c->grpc);
    rpc_client_free(c->ttrpc);
    free(c->instance);
    free(c->bundles);
    free(c->path);
    free(c);
}

static void peer_free(struct peer *p)
{
    struct remote *c = remote_of(p);
    c->freeing = true;
    c->observer = NULL;
    rpc_client_free(take_ptr(&c->grpc));
    rpc_client_free(take_ptr(&c->ttrpc));
    foreign_leave(c->foreign);
    co_queue_wake_all(&c->stop);
    remote_release(c);
}

/* Calls */

/* Warren's sandboxers serve all by ttrpc, at half of what a call costs by gRPC; its messages are smaller. */
static struct rpc_client *client_of(struct remote *c, const struct remote_call *call)
{
    if (call->service == TASK)
        return c->kind == REMOTE_FOREIGN ? foreign_task(c, call->id) : c->ttrpc;
    return c->kind == REMOTE_WARREN && !call->large ? c->ttrpc : c->grpc;
}

int remote_call(struct remote *c, const struct remote_call *call, struct arena *arena,
                void **ret_response, struct error *err)
{
    struct rpc_client *rpc = client_of(c, call);
    int64_t timeout = call->timeout_s ? call->timeout_s : REMOTE_CALL_S;
    int64_t deadline = timeout < 0 ? INT64_MAX : clock_mono_ns() + timeout * NSEC_PER_SEC;
    if (c->freeing)
        return fail_plain(err, ECANCELED, "the engine is leaving");
    if (!rpc)
        return fail_plain(err, ENOENT, "no such container: '%s'", call->id);
    auto(remote_held) struct remote *held = c;
    remote_hold(held);
    int r = rpc_client_call(rpc, call->service, NULL, call->method, call->request, arena,
                            ret_response, deadline, err);
    if (r < 0 && !c->freeing && rpc_is_transport_error(rpc))
        return fail_in(err, ENOTCONN, "the sandboxer at '%s' does not answer", c->path);
    return r;
}

/* Without an answer to look at. */
int remote_command(struct peer *p, const ProtobufCServiceDescriptor *service, const char *method,
                   const void *request, struct error *err)
{
    auto(arena) struct arena arena = {0};
    void *response;
    struct remote_call call = {.service = service, .method = method, .request = request};
    return remote_call(remote_of(p), &call, &arena, &response, err);
}

int remote_task_command(struct peer *p, const char *id, const char *method, const void *request,
                        struct error *err)
{
    auto(arena) struct arena arena = {0};
    void *response;
    struct remote_call call = {.service = TASK, .method = method, .request = request, .id = id};
    int r = remote_probe(remote_of(p), err);
    return r < 0 ? r : remote_call(remote_of(p), &call, &arena, &response, err);
}

int remote_probe(struct remote *c, struct error *err)
{
    auto(arena) struct arena arena = {0};
    EXTENSION_REQUEST(InfoRequest, INFO_REQUEST);
    struct remote_call call = {
        .service = EXTENSION, .method = "Info", .request = &q, .timeout_s = 10};
    Warren__Sandbox__V1__InfoResponse *info;
    if (c->kind != REMOTE_UNKNOWN)
        return 0;
    int r = remote_call(c, &call, &arena, (void **)&info, err);
    if (r == -EOPNOTSUPP) {
        c->kind = REMOTE_FOREIGN;
        return 0;
    }
    if (r == 0)
        c->kind = REMOTE_WARREN;
    return r;
}

/* Sandboxes */

static int sandbox_stop(struct peer *p, const char *id, uint32_t timeout_s, struct error *err)
{
    auto(arena) struct arena arena = {0};
    CONTROLLER_REQUEST(StopRequest, STOP_REQUEST);
    struct remote_call call = {.service = CONTROLLER,
                               .method = "Stop",
                               .request = &q,
                               .timeout_s = (int64_t)timeout_s + REMOTE_CALL_S};
    void *answer;
    q.sandbox_id = (char *)id;
    q.timeout_secs = timeout_s;
    return remote_call(remote_of(p), &call, &arena, &answer, err);
}

static int sandbox_shutdown(struct peer *p, const char *id, struct error *err)
{
    struct remote *c = remote_of(p);
    CONTROLLER_REQUEST(ShutdownRequest, SHUTDOWN_REQUEST);
    q.sandbox_id = (char *)id;
    int r = remote_probe(c, err);
    if (r == 0)
        r = remote_command(p, CONTROLLER, "Shutdown", &q, err);
    return r < 0 || c->kind != REMOTE_FOREIGN ? r : foreign_sandbox_removed(c, id, err);
}

/* Containers */

static int kill_process(struct peer *p, const char *id, const char *exec_id, int signal, bool all,
                        struct error *err)
{
    TASK_REQUEST(KillRequest, KILL_REQUEST);
    q.id = (char *)id;
    q.exec_id = (char *)str_or_empty(exec_id);
    q.signal = (uint32_t)signal;
    q.all = all;
    return remote_task_command(p, id, "Kill", &q, err);
}

static int remove_process(struct peer *p, const char *id, const char *exec_id,
                          uint32_t *exit_status, struct error *err)
{
    struct remote *c = remote_of(p);
    auto(arena) struct arena arena = {0};
    TASK_REQUEST(DeleteRequest, DELETE_REQUEST);
    Containerd__Task__V2__DeleteResponse *answer;
    struct remote_call call = {.service = TASK, .method = "Delete", .request = &q, .id = id};
    q.id = (char *)id;
    q.exec_id = (char *)str_or_empty(exec_id);
    int r = remote_probe(c, err);
    if (r == 0)
        r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r == 0 && exit_status)
        *exit_status = answer->exit_status;
    if ((r == 0 || r == -ENOENT) && c->kind == REMOTE_FOREIGN)
        foreign_removed(c, id, exec_id);
    return r;
}

static int pause_process(struct peer *p, const char *id, struct error *err)
{
    TASK_REQUEST(PauseRequest, PAUSE_REQUEST);
    q.id = (char *)id;
    return remote_task_command(p, id, "Pause", &q, err);
}

static int resume_process(struct peer *p, const char *id, struct error *err)
{
    TASK_REQUEST(ResumeRequest, RESUME_REQUEST);
    q.id = (char *)id;
    return remote_task_command(p, id, "Resume", &q, err);
}

static int update(struct peer *p, const char *id, const char *resources, struct error *err)
{
    TASK_REQUEST(UpdateTaskRequest, UPDATE_TASK_REQUEST);
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
    any.value.data = (uint8_t *)resources;
    any.value.len = strlen(resources);
    q.id = (char *)id;
    q.resources = &any;
    return remote_task_command(p, id, "Update", &q, err);
}

/* The extension's */

static int no_extension(struct remote *c, const char *what, struct error *err)
{
    int r = remote_probe(c, err);
    if (r < 0 || c->kind == REMOTE_WARREN)
        return r;
    return fail_plain(err, EOPNOTSUPP, "the sandboxer at '%s' is not Warren's and cannot %s",
                      c->path, what);
}

static int reopen_log(struct peer *p, const char *id, struct error *err)
{
    EXTENSION_REQUEST(ReopenLogRequest, REOPEN_LOG_REQUEST);
    q.container_id = (char *)id;
    int r = no_extension(remote_of(p), "reopen a log", err);
    return r < 0 ? r : remote_command(p, EXTENSION, "ReopenLog", &q, err);
}

static void copy_stats(struct peer_container_stats *to,
                       const Warren__Sandbox__V1__ContainerStats *from)
{
    to->id = from->id;
    to->sandbox_id = from->sandbox_id;
    to->stats = (struct process_stats){
        .timestamp = from->timestamp,
        .cpu_ns = from->cpu_ns,
        .memory_usage = from->memory_usage,
        .memory_working_set = from->memory_working_set,
        .memory_rss = from->memory_rss,
        .memory_limit = from->memory_limit,
        .page_faults = from->page_faults,
        .major_page_faults = from->major_page_faults,
        .pids = from->pids,
        .io_read_bytes = from->io_read_bytes,
        .io_write_bytes = from->io_write_bytes,
    };
}

static int stats(struct peer *p, char *const *sandbox_ids, char *const *container_ids,
                 struct arena *arena, struct peer_container_stats **ret, size_t *ret_count,
                 struct error *err)
{
    struct remote *c = remote_of(p);
    EXTENSION_REQUEST(StatsRequest, STATS_REQUEST);
    Warren__Sandbox__V1__StatsResponse *answer;
    struct remote_call call = {
        .service = EXTENSION, .method = "Stats", .request = &q, .large = true};
    q.sandbox_ids = (char **)sandbox_ids;
    q.n_sandbox_ids = strv_len(sandbox_ids);
    q.container_ids = (char **)container_ids;
    q.n_container_ids = strv_len(container_ids);
    *ret = NULL;
    *ret_count = 0;
    if ((sandbox_ids || container_ids) && !q.n_sandbox_ids && !q.n_container_ids)
        return 0; /* none is asked for, which on the wire would mean all */
    int r = no_extension(c, "measure many containers at once", err);
    if (r == 0)
        r = remote_call(c, &call, arena, (void **)&answer, err);
    if (r < 0)
        return r;
    *ret = arena_array(arena, struct peer_container_stats, answer->n_containers + 1);
    for (size_t i = 0; i < answer->n_containers; i++)
        copy_stats(&(*ret)[i], answer->containers[i]);
    *ret_count = answer->n_containers;
    return 0;
}

static int attach(struct peer *p, const char *id, const char *exec_id, bool in, bool out, bool err_,
                  char **ret_address, char **ret_token, struct error *err)
{
    struct remote *c = remote_of(p);
    auto(arena) struct arena arena = {0};
    EXTENSION_REQUEST(AttachRequest, ATTACH_REQUEST);
    Warren__Sandbox__V1__AttachResponse *answer;
    struct remote_call call = {.service = EXTENSION, .method = "Attach", .request = &q};
    q.container_id = (char *)id;
    q.exec_id = (char *)str_or_empty(exec_id);
    q.stdin = in;
    q.stdout = out;
    q.stderr = err_;
    int r = no_extension(c, "attach to a container", err);
    if (r == 0)
        r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r < 0)
        return r;
    autofree char *address = strdup(answer->address);
    autofree char *token = strdup(answer->token);
    if (!address || !token)
        return fail(err, ENOMEM, "attach to container '%s'", id);
    *ret_address = take_ptr(&address);
    *ret_token = take_ptr(&token);
    return 0;
}

/* The peer */

static void watch(struct peer *p, const struct peer_observer *observer, void *arg)
{
    struct remote *c = remote_of(p);
    c->observer = observer;
    c->observer_arg = arg;
    remote_hold(c);
    co_start(remote_follow, c);
}

static bool connected(struct peer *p)
{
    return remote_of(p)->connected;
}

static bool tells_all(struct peer *p)
{
    return remote_of(p)->kind == REMOTE_WARREN;
}

static const struct peer_ops ops = {
    .watch = watch,
    .sandbox_create = remote_sandbox_create,
    .sandbox_start = remote_sandbox_start,
    .sandbox_run = remote_sandbox_run,
    .sandbox_stop = sandbox_stop,
    .sandbox_shutdown = sandbox_shutdown,
    .create = remote_create,
    .start = remote_start,
    .run = remote_run,
    .kill = kill_process,
    .remove = remove_process,
    .pause = pause_process,
    .resume = resume_process,
    .update = update,
    .reopen_log = reopen_log,
    .stats = stats,
    .attach = attach,
    .connected = connected,
    .tells_all = tells_all,
    .free = peer_free,
};

int peer_connect(struct peer **ret, const char *address, const char *bundles, struct error *err)
{
    const char *path = str_after(address, "unix://") ? str_after(address, "unix://") : address;
    struct remote *c = calloc(1, sizeof *c);
    if (!c)
        return fail(err, ENOMEM, "connect to the sandboxer at '%s'", address);
    c->peer.ops = &ops;
    c->users = 1;
    co_queue_init(&c->stop);
    c->path = strdup(path);
    c->bundles = bundles ? strdup(bundles) : NULL;
    int r = !c->path || (bundles && !c->bundles) ? fail(err, ENOMEM, "copy a path") : 0;
    if (r == 0 && *path != '/')
        r = fail_plain(err, EINVAL, "unix:///PATH or /PATH is expected");
    if (r == 0)
        r = rpc_client_new(&c->grpc, RPC_GRPC, path, err);
    if (r == 0)
        r = rpc_client_new(&c->ttrpc, RPC_TTRPC, path, err);
    if (r < 0) {
        remote_release(c);
        return fail_in(err, r, "sandboxer address '%s'", address);
    }
    *ret = &c->peer;
    return 0;
}
