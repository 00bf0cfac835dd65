/* SPDX-License-Identifier: Apache-2.0 */
/* containerd.task.v2.Task over the table; served as containerd.task.v3.Task as well, the same messages in another package.
 * Making containers is in task_create.c. */
#include "task_v2.pb-c.h"

#include <unistd.h>

#include "base/str.h"
#include "sandbox/task_create.h"
#include "sandbox/wire.h"

#define REQUEST(name)  const Containerd__Task__V2__##name *q = request
#define RESPONSE(name) Containerd__Task__V2__##name *p = response
#define HANDLER(name)                                                                              \
    static int name(struct rpc_call *call, const void *request, void *response, struct error *err)

static Containerd__V1__Types__Status status_of(enum sandbox_state state)
{
    switch (state) {
    case SANDBOX_CREATED:
        return CONTAINERD__V1__TYPES__STATUS__CREATED;
    case SANDBOX_RUNNING:
        return CONTAINERD__V1__TYPES__STATUS__RUNNING;
    case SANDBOX_PAUSED:
        return CONTAINERD__V1__TYPES__STATUS__PAUSED;
    case SANDBOX_STOPPED:
        return CONTAINERD__V1__TYPES__STATUS__STOPPED;
    case SANDBOX_UNKNOWN:
        break;
    }
    return CONTAINERD__V1__TYPES__STATUS__UNKNOWN;
}

HANDLER(state)
{
    REQUEST(StateRequest);
    RESPONSE(StateResponse);
    struct arena *a = rpc_arena(call);
    auto(process_unref) struct process *process = NULL;
    int r = sandboxer_hold_process(rpc_context(call), q->id, q->exec_id, &process, err);
    if (r < 0)
        return r;
    p->id = q->id;
    p->exec_id = q->exec_id;
    p->bundle = arena_strdup(a, process->bundle);
    p->pid = (uint32_t)process->pid;
    p->status = status_of(process->state);
    p->stdin = arena_strdup(a, process->stdin_);
    p->stdout = arena_strdup(a, process->stdout_);
    p->stderr = arena_strdup(a, process->stderr_);
    p->terminal = process->terminal;
    p->exit_status = process->exit_status;
    p->exited_at = wire_time(a, process->exited_ns);
    return 0;
}

HANDLER(create)
{
    REQUEST(CreateTaskRequest);
    RESPONSE(CreateTaskResponse);
    pid_t pid;
    int r = task_create(rpc_context(call), q, rpc_arena(call), &pid, err);
    if (r == 0)
        p->pid = (uint32_t)pid;
    return r;
}

HANDLER(exec)
{
    (void)response;
    REQUEST(ExecProcessRequest);
    return task_exec(rpc_context(call), q, rpc_arena(call), err);
}

HANDLER(start)
{
    REQUEST(StartRequest);
    RESPONSE(StartResponse);
    pid_t pid;
    int r = process_start(rpc_context(call), q->id, q->exec_id, &pid, err);
    if (r == 0)
        p->pid = (uint32_t)pid;
    return r;
}

HANDLER(delete)
{
    REQUEST(DeleteRequest);
    RESPONSE(DeleteResponse);
    auto(process_unref) struct process *process = NULL;
    int r = process_delete(rpc_context(call), q->id, q->exec_id, &process, err);
    if (r < 0)
        return r;
    p->pid = (uint32_t)process->pid;
    p->exit_status = process->exit_status;
    p->exited_at = wire_time(rpc_arena(call), process->exited_ns);
    return 0;
}

HANDLER(pids)
{
    REQUEST(PidsRequest);
    RESPONSE(PidsResponse);
    struct arena *a = rpc_arena(call);
    auto(buffer) struct buffer found = {0};
    int r = process_pids(rpc_context(call), q->id, &found, err);
    if (r < 0)
        return r;
    const pid_t *list = (const pid_t *)(const void *)found.data;
    size_t n = found.len / sizeof *list;
    p->processes = arena_array(a, Containerd__V1__Types__ProcessInfo *, n + 1);
    for (size_t i = 0; i < n; i++) {
        p->processes[i] = arena_new(a, Containerd__V1__Types__ProcessInfo);
        containerd__v1__types__process_info__init(p->processes[i]);
        p->processes[i]->pid = (uint32_t)list[i];
    }
    p->n_processes = n;
    return 0;
}

HANDLER(pause_task)
{
    (void)response;
    REQUEST(PauseRequest);
    return process_pause(rpc_context(call), q->id, err);
}

HANDLER(resume_task)
{
    (void)response;
    REQUEST(ResumeRequest);
    return process_resume(rpc_context(call), q->id, err);
}

HANDLER(checkpoint)
{
    (void)request;
    (void)response;
    return sandboxer_unsupported(rpc_context(call), "checkpoint a container", err);
}

HANDLER(kill_task)
{
    (void)response;
    REQUEST(KillRequest);
    return process_kill(rpc_context(call), q->id, q->exec_id, (int)q->signal, q->all, err);
}

HANDLER(resize)
{
    (void)response;
    REQUEST(ResizePtyRequest);
    return process_resize(rpc_context(call), q->id, q->exec_id, q->width, q->height, err);
}

HANDLER(close_io)
{
    (void)response;
    REQUEST(CloseIORequest);
    return q->stdin ? process_close_stdin(rpc_context(call), q->id, q->exec_id, err) : 0;
}

HANDLER(update)
{
    (void)response;
    REQUEST(UpdateTaskRequest);
    const Google__Protobuf__Any *resources = q->resources;
    return process_update(rpc_context(call), q->id, resources ? resources->value.data : NULL,
                          resources ? resources->value.len : 0, err);
}

HANDLER(wait_task)
{
    REQUEST(WaitRequest);
    RESPONSE(WaitResponse);
    struct wait wait = wire_wait(call);
    auto(process_unref) struct process *process = NULL;
    int r = process_wait(rpc_context(call), q->id, q->exec_id, &wait, &process, err);
    if (r < 0)
        return r;
    p->exit_status = process->exit_status;
    p->exited_at = wire_time(rpc_arena(call), process->exited_ns);
    return 0;
}

HANDLER(stats)
{
    REQUEST(StatsRequest);
    RESPONSE(StatsResponse);
    struct process_stats one;
    int r = process_get_stats(rpc_context(call), q->id, &one, err);
    if (r == 0)
        p->stats = wire_stats(rpc_arena(call), &one);
    return r;
}

HANDLER(connect_task)
{
    REQUEST(ConnectRequest);
    RESPONSE(ConnectResponse);
    auto(process_unref) struct process *process = NULL;
    int r = sandboxer_hold_process(rpc_context(call), q->id, "", &process, err);
    if (r < 0)
        return r;
    p->shim_pid = (uint32_t)getpid();
    p->task_pid = (uint32_t)process->pid;
    p->version = (char *)"2";
    return 0;
}

/* Meant for a shim that serves one pod: this program serves others. */
HANDLER(shut_down)
{
    (void)call;
    (void)request;
    (void)response;
    (void)err;
    return 0;
}

static const struct rpc_method methods[] = {
    {.name = "State", .handler = state},        {.name = "Create", .handler = create},
    {.name = "Start", .handler = start},        {.name = "Delete", .handler = delete},
    {.name = "Pids", .handler = pids},          {.name = "Pause", .handler = pause_task},
    {.name = "Resume", .handler = resume_task}, {.name = "Checkpoint", .handler = checkpoint},
    {.name = "Kill", .handler = kill_task},     {.name = "Exec", .handler = exec},
    {.name = "ResizePty", .handler = resize},   {.name = "CloseIO", .handler = close_io},
    {.name = "Update", .handler = update},      {.name = "Wait", .handler = wait_task},
    {.name = "Stats", .handler = stats},        {.name = "Connect", .handler = connect_task},
    {.name = "Shutdown", .handler = shut_down},
};

const struct rpc_service sandbox_task_service = {
    .descriptor = &containerd__task__v2__task__descriptor,
    .methods = methods,
    .method_count = ARRAY_SIZE(methods),
};
