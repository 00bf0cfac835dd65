/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "cri/list.h"

CRI_HANDLER(cri_create_container)
{
    const Runtime__V1__CreateContainerRequest *q = request;
    Runtime__V1__CreateContainerResponse *answer = response;
    struct cri *cri = rpc_context(call);
    char id[ID_LEN + 1];
    if (!q->config)
        return fail_plain(err, EINVAL, "create a container: config is missing");
    int r = engine_container_create(cri->engine, q->pod_sandbox_id, q->config, id, err);
    if (r < 0)
        return r;
    answer->container_id = arena_strdup(rpc_arena(call), id);
    return 0;
}

CRI_HANDLER(cri_start_container)
{
    const Runtime__V1__StartContainerRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    return engine_container_start(cri->engine, q->container_id, err);
}

CRI_HANDLER(cri_stop_container)
{
    const Runtime__V1__StopContainerRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    if (q->timeout < 0)
        return fail_plain(err, EINVAL, "stop container '%s': timeout %lld is below 0",
                          q->container_id, (long long)q->timeout);
    return engine_container_stop(cri->engine, q->container_id, q->timeout, err);
}

CRI_HANDLER(cri_remove_container)
{
    const Runtime__V1__RemoveContainerRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    return engine_container_remove(cri->engine, q->container_id, err);
}

/* Lists */

const char *cri_only_pod_of(struct engine *e, const char *id, const char *pod_id)
{
    struct container *c;
    if (strlen(pod_id) == ID_LEN)
        return pod_id;
    if (strlen(id) != ID_LEN)
        return NULL;
    return engine_container_find(e, id, &c, NULL) < 0 ? id : c->pod->id;
}

static const char *only_pod(struct engine *e, const void *filter)
{
    const Runtime__V1__ContainerFilter *f = filter;
    return cri_only_pod_of(e, f->id, f->pod_sandbox_id);
}

static void add_containers(struct cri_list *l, const struct pod *pod, struct arena *scratch)
{
    struct container *c;
    list_each(c, &pod->containers, in_pod) if (cri_container_matches(scratch, c, l->filter))
        cri_list_add(l, cri_container_item(l->arena, l->engine, c));
}

CRI_ITEMS(Runtime__V1__ListContainersResponse, containers);
CRI_ITEMS(Runtime__V1__StreamContainersResponse, containers);
static const struct cri_listing containers = {
    .what = "containers",
    .streaming = "StreamContainers",
    .piece = &runtime__v1__stream_containers_response__descriptor,
    .only = only_pod,
    .pod = add_containers,
};

CRI_HANDLER(cri_list_containers)
{
    const Runtime__V1__ListContainersRequest *q = request;
    return cri_list_whole(call, &containers, q->filter, response, err);
}

CRI_HANDLER(cri_stream_containers)
{
    const Runtime__V1__StreamContainersRequest *q = request;
    (void)response;
    return cri_list_stream(call, &containers, q->filter, err);
}

CRI_HANDLER(cri_container_status_call)
{
    const Runtime__V1__ContainerStatusRequest *q = request;
    Runtime__V1__ContainerStatusResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct container *c;
    int r = engine_container_find(cri->engine, q->container_id, &c, err);
    if (r < 0)
        return r;
    answer->status = cri_container_status(a, cri->engine, c);
    if (!q->verbose)
        return 0;
    answer->info = arena_array(a, Runtime__V1__ContainerStatusResponse__InfoEntry *, 1);
    answer->info[answer->n_info++] =
        cri_pair_new(a, &runtime__v1__container_status_response__info_entry__descriptor, "info",
                     arena_printf(a, "{\"sandboxID\":\"%s\",\"pid\":%d}", c->pod->id, c->pid));
    return 0;
}

CRI_HANDLER(cri_update_container_resources)
{
    const Runtime__V1__UpdateContainerResourcesRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    if (!q->linux)
        return fail_plain(err, EINVAL, "update container '%s': linux resources are missing",
                          q->container_id);
    return engine_container_update(cri->engine, q->container_id, q->linux, err);
}

CRI_HANDLER(cri_reopen_container_log)
{
    const Runtime__V1__ReopenContainerLogRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    return engine_container_reopen_log(cri->engine, q->container_id, err);
}

CRI_HANDLER(cri_exec_sync)
{
    const Runtime__V1__ExecSyncRequest *q = request;
    Runtime__V1__ExecSyncResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    if (!q->n_cmd)
        return fail_plain(err, EINVAL, "exec in container '%s': cmd is empty", q->container_id);
    if (q->timeout < 0)
        return fail_plain(err, EINVAL, "exec in container '%s': timeout %lld is below 0",
                          q->container_id, (long long)q->timeout);
    char **argv = arena_array(a, char *, q->n_cmd + 1);
    memcpy(argv, q->cmd, q->n_cmd * sizeof *argv);
    struct exec_result result = {0};
    int r = engine_exec_sync(cri->engine, q->container_id, argv, q->timeout, &result, err);
    if (r == 0) {
        answer->stdout.data = arena_copy(a, result.out.data, result.out.len);
        answer->stdout.len = result.out.len;
        answer->stderr.data = arena_copy(a, result.err.data, result.err.len);
        answer->stderr.len = result.err.len;
        answer->exit_code = result.exit_code;
    }
    buffer_done(&result.out);
    buffer_done(&result.err);
    return r;
}
