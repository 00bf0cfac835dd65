/* SPDX-License-Identifier: Apache-2.0 */
/* containerd.services.sandbox.v1.Controller over the table. */
#include <errno.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "sandbox.pb-c.h"
#include "sandbox/tasks.h"
#include "sandbox/wire.h"

#define REQUEST(name)  const Containerd__Services__Sandbox__V1__Controller##name *q = request
#define RESPONSE(name) Containerd__Services__Sandbox__V1__Controller##name *p = response

/* containerd joins a sandbox's address and version to a task client. It takes only PROTOCOL+unix://, and runs a shim of
 * its own where the version is below 3. Kuasar's engines read the same form, and know version 2 alone; they leave the
 * type of Create's options empty, which containerd never does. */
static uint32_t task_version(const struct sandbox *sb)
{
    return sb->task_v3 ? 3 : 2;
}

static int create(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    REQUEST(CreateRequest);
    RESPONSE(CreateResponse);
    struct sandbox_request sandbox = {
        .id = q->sandbox_id,
        .netns_path = q->netns_path,
        .config = q->options ? q->options->value.data : NULL,
        .config_len = q->options ? q->options->value.len : 0,
        .task_v3 = q->options && *q->options->type_url,
    };
    p->sandbox_id = q->sandbox_id;
    return sandboxer_create(rpc_context(call), &sandbox, err);
}

static int start(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    REQUEST(StartRequest);
    RESPONSE(StartResponse);
    struct sandboxer *s = rpc_context(call);
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_start(s, q->sandbox_id, &sb, err);
    if (r < 0)
        return r;
    p->sandbox_id = q->sandbox_id;
    p->pid = (uint32_t)sb->pid;
    p->created_at = wire_time(rpc_arena(call), sb->created_ns);
    p->address = s->address;
    p->version = task_version(sb);
    return 0;
}

static int platform(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)request;
    (void)err;
    RESPONSE(PlatformResponse);
    p->platform = arena_new(rpc_arena(call), Containerd__Types__Platform);
    containerd__types__platform__init(p->platform);
    p->platform->os = (char *)"linux";
#if defined(__x86_64__)
    p->platform->architecture = (char *)"amd64";
#elif defined(__aarch64__)
    p->platform->architecture = (char *)"arm64";
#else
#error "say what Go calls this architecture"
#endif
    return 0;
}

static int stop(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)response;
    REQUEST(StopRequest);
    return sandboxer_stop(rpc_context(call), q->sandbox_id, q->timeout_secs, err);
}

static int wait_exit(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    REQUEST(WaitRequest);
    RESPONSE(WaitResponse);
    struct wait wait = wire_wait(call);
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_wait(rpc_context(call), q->sandbox_id, &wait, &sb, err);
    if (r < 0)
        return r;
    p->exit_status = sb->exit_status;
    p->exited_at = wire_time(rpc_arena(call), sb->exited_ns);
    return 0;
}

static int status(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    REQUEST(StatusRequest);
    RESPONSE(StatusResponse);
    struct sandboxer *s = rpc_context(call);
    struct arena *a = rpc_arena(call);
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_hold_sandbox(s, q->sandbox_id, &sb, err);
    if (r < 0)
        return r;
    bool ready = sb->state == SANDBOX_RUNNING || sb->state == SANDBOX_PAUSED;
    p->sandbox_id = q->sandbox_id;
    p->pid = (uint32_t)sb->pid;
    p->state = (char *)(ready ? "SANDBOX_READY" : "SANDBOX_NOTREADY"); /* CRI's words */
    p->created_at = wire_time(a, sb->created_ns);
    p->exited_at = wire_time(a, sb->exited_ns);
    p->address = s->address;
    p->version = task_version(sb);
    return 0;
}

static int shut_down(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)response;
    REQUEST(ShutdownRequest);
    return sandboxer_shutdown(rpc_context(call), q->sandbox_id, err);
}

/* The containers' ids, since measuring parks. */
static char **container_ids(struct sandbox *sb, struct arena *a)
{
    size_t n = 0;
    struct process *p;
    list_each(p, &sb->processes, link) n++;
    char **ids = arena_array(a, char *, n + 1);
    n = 0;
    list_each(p, &sb->processes, link) if (!*p->exec_id && !p->making && !p->exited_ns) ids[n++] =
        arena_strdup(a, p->id);
    return ids;
}

static int metrics(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    REQUEST(MetricsRequest);
    RESPONSE(MetricsResponse);
    struct sandboxer *s = rpc_context(call);
    struct arena *a = rpc_arena(call);
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_hold_sandbox(s, q->sandbox_id, &sb, err);
    if (r < 0)
        return r;
    struct process_stats sum = {.timestamp = clock_wall_ns()}, one;
    for (char **id = container_ids(sb, a); *id; id++)
        if (process_get_stats(s, *id, &one, NULL) == 0) /* one that has just ended counts no more */
            stats_add(&sum, &one);
    p->metrics = arena_new(a, Containerd__Types__Metric);
    containerd__types__metric__init(p->metrics);
    p->metrics->timestamp = wire_time(a, sum.timestamp);
    p->metrics->id = q->sandbox_id;
    p->metrics->data = wire_stats(a, &sum);
    return 0;
}

static const Google__Protobuf__Any *extension(const Containerd__Types__Sandbox *sandbox,
                                              const char *name)
{
    for (size_t i = 0; sandbox && i < sandbox->n_extensions; i++)
        if (str_eq(sandbox->extensions[i]->key, name))
            return sandbox->extensions[i]->value;
    return NULL;
}

static int update_tasks(struct sandboxer *s, const char *id, const Google__Protobuf__Any *any,
                        struct error *err)
{
    auto(sandbox_unref) struct sandbox *sb = NULL;
    struct sandbox_tasks *tasks;
    int r = sandboxer_hold_sandbox(s, id, &sb, err);
    if (r == 0 && !any)
        r = fail_plain(err, EINVAL, "fields has extensions.tasks, but sandbox.extensions no tasks");
    if (r == 0)
        r = sandbox_tasks_parse(any->value.data, any->value.len, &tasks, err);
    if (r < 0)
        return r;
    sandbox_tasks_free(sb->tasks);
    sb->tasks = tasks;
    return 0;
}

static int update(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)response;
    REQUEST(UpdateRequest);
    for (size_t i = 0; i < q->n_fields; i++) {
        if (!str_eq(q->fields[i], "extensions.tasks")) {
            diag_warning("update of sandbox '%.130s': field '%.64s' has no effect here",
                         q->sandbox_id, q->fields[i]);
            continue;
        }
        int r = update_tasks(rpc_context(call), q->sandbox_id, extension(q->sandbox, "tasks"), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static const struct rpc_method methods[] = {
    {.name = "Create", .handler = create},      {.name = "Start", .handler = start},
    {.name = "Platform", .handler = platform},  {.name = "Stop", .handler = stop},
    {.name = "Wait", .handler = wait_exit},     {.name = "Status", .handler = status},
    {.name = "Shutdown", .handler = shut_down}, {.name = "Metrics", .handler = metrics},
    {.name = "Update", .handler = update},
};

const struct rpc_service sandbox_controller_service = {
    .descriptor = &containerd__services__sandbox__v1__controller__descriptor,
    .methods = methods,
    .method_count = ARRAY_SIZE(methods),
};
