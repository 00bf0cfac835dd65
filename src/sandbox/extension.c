/* SPDX-License-Identifier: Apache-2.0 */
/* warren.sandbox.v1.Extension over the table, but for Watch: watch.c. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "sandbox/watch.h"
#include "sandbox/wire.h"

static int info(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)request;
    (void)err;
    struct sandboxer *s = rpc_context(call);
    Warren__Sandbox__V1__InfoResponse *p = response;
    p->technique = (char *)s->technique->name;
    p->version = (char *)WARREN_VERSION;
    p->instance = s->instance;
    p->pid = (uint32_t)getpid();
    return 0;
}

static int run(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Sandbox__V1__RunRequest *q = request;
    Warren__Sandbox__V1__RunResponse *p = response;
    struct sandboxer *s = rpc_context(call);
    struct sandbox_request sandbox = {.id = q->sandbox_id,
                                      .netns_path = q->netns_path,
                                      .config = q->config.data,
                                      .config_len = q->config.len};
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_create(s, &sandbox, err);
    if (r < 0)
        return r;
    r = sandboxer_start(s, q->sandbox_id, &sb, err);
    if (r < 0)
        sandboxer_shutdown(s, q->sandbox_id, NULL);
    else
        p->pid = (uint32_t)sb->pid;
    return r;
}

/* Stats */

struct ids { /* copies, since measuring parks */
    struct arena *arena;
    char **list;
    size_t n, max;
};

static void add_id(struct ids *ids, const char *id)
{
    ids->list[ids->n++] = arena_strdup(ids->arena, id);
}

static void add_sandbox(struct ids *ids, const struct sandbox *sb)
{
    struct process *p;
    if (sb)
        list_each(p, &sb->processes, link) if (ids->n < ids->max && !*p->exec_id && !p->making &&
                                               !p->exited_ns) add_id(ids, p->id);
}

static void collect(struct sandboxer *s, const Warren__Sandbox__V1__StatsRequest *q,
                    struct ids *ids)
{
    struct sandbox *sb;
    ids->max = s->processes.count + q->n_container_ids;
    ids->list = arena_array(ids->arena, char *, ids->max + 1);
    for (size_t i = 0; i < q->n_container_ids; i++)
        add_id(ids, q->container_ids[i]);
    for (size_t i = 0; i < q->n_sandbox_ids; i++)
        add_sandbox(ids, sandboxer_find_sandbox(s, q->sandbox_ids[i]));
    if (!q->n_container_ids && !q->n_sandbox_ids)
        list_each(sb, &s->all, table) add_sandbox(ids, sb);
}

static int measure(struct sandboxer *s, const char *id, struct arena *a,
                   Warren__Sandbox__V1__ContainerStats **ret, struct error *err)
{
    struct process_stats one = {0};
    auto(process_unref) struct process *p = NULL;
    int r = sandboxer_hold_process(s, id, "", &p, err);
    if (r == 0)
        r = process_get_stats(s, id, &one, err);
    if (r < 0)
        return r;
    Warren__Sandbox__V1__ContainerStats *m = arena_new(a, Warren__Sandbox__V1__ContainerStats);
    warren__sandbox__v1__container_stats__init(m);
    m->id = (char *)id;
    m->sandbox_id = arena_strdup(a, p->sandbox->id);
    m->timestamp = one.timestamp;
    m->cpu_ns = one.cpu_ns;
    m->memory_usage = one.memory_usage;
    m->memory_working_set = one.memory_working_set;
    m->memory_rss = one.memory_rss;
    m->memory_limit = one.memory_limit;
    m->page_faults = one.page_faults;
    m->major_page_faults = one.major_page_faults;
    m->pids = one.pids;
    m->io_read_bytes = one.io_read_bytes;
    m->io_write_bytes = one.io_write_bytes;
    *ret = m;
    return 0;
}

/* Those that are not there (any more) are left out; a failure is answered only where nothing else is. */
static int stats(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    struct sandboxer *s = rpc_context(call);
    Warren__Sandbox__V1__StatsResponse *p = response;
    struct ids ids = {.arena = rpc_arena(call)};
    int failed = 0;
    collect(s, request, &ids);
    p->containers = arena_array(ids.arena, Warren__Sandbox__V1__ContainerStats *, ids.n + 1);
    for (size_t i = 0; i < ids.n && !rpc_cancelled(call); i++) {
        int r = measure(s, ids.list[i], ids.arena, &p->containers[p->n_containers], err);
        if (r == 0)
            p->n_containers++;
        else if (r != -ENOENT)
            failed = r;
    }
    return p->n_containers ? 0 : failed;
}

/* The rest */

static int reopen_log(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)response;
    const Warren__Sandbox__V1__ReopenLogRequest *q = request;
    return process_reopen_log(rpc_context(call), q->container_id, err);
}

static int attach(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Sandbox__V1__AttachRequest *q = request;
    Warren__Sandbox__V1__AttachResponse *p = response;
    autofree char *address = NULL, *token = NULL;
    int r = process_attach(rpc_context(call), q->container_id, q->exec_id, q->stdin, q->stdout,
                           q->stderr, &address, &token, err);
    if (r < 0)
        return r;
    p->address = arena_strdup(rpc_arena(call), address);
    p->token = arena_strdup(rpc_arena(call), token);
    return 0;
}

static const struct rpc_method methods[] = {
    {.name = "Info", .handler = info},
    {.name = "Run", .handler = run},
    {.name = "Watch", .handler = sandbox_watch, .streaming = true},
    {.name = "Stats", .handler = stats},
    {.name = "ReopenLog", .handler = reopen_log},
    {.name = "Attach", .handler = attach},
};

const struct rpc_service sandbox_extension_service = {
    .descriptor = &warren__sandbox__v1__extension__descriptor,
    .methods = methods,
    .method_count = ARRAY_SIZE(methods),
};
