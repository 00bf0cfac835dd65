/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/base.h"
#include "cri/list.h"

CRI_HANDLER(cri_run_pod_sandbox)
{
    const Runtime__V1__RunPodSandboxRequest *q = request;
    Runtime__V1__RunPodSandboxResponse *a = response;
    struct cri *cri = rpc_context(call);
    char id[ID_LEN + 1];
    if (!q->config)
        return fail_plain(err, EINVAL, "run a pod sandbox: config is missing");
    int r = engine_pod_run(cri->engine, q->config, q->runtime_handler, id, err);
    if (r < 0)
        return r;
    a->pod_sandbox_id = arena_strdup(rpc_arena(call), id);
    return 0;
}

CRI_HANDLER(cri_stop_pod_sandbox)
{
    const Runtime__V1__StopPodSandboxRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    return engine_pod_stop(cri->engine, q->pod_sandbox_id, err);
}

CRI_HANDLER(cri_remove_pod_sandbox)
{
    const Runtime__V1__RemovePodSandboxRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    return engine_pod_remove(cri->engine, q->pod_sandbox_id, err);
}

CRI_HANDLER(cri_pod_sandbox_status)
{
    const Runtime__V1__PodSandboxStatusRequest *q = request;
    Runtime__V1__PodSandboxStatusResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct pod *pod;
    int r = engine_pod_find(cri->engine, q->pod_sandbox_id, &pod, err);
    if (r < 0)
        return r;
    answer->status = cri_pod_status(a, pod);
    answer->timestamp = clock_wall_ns();
    answer->n_containers_statuses =
        cri_container_statuses(a, cri->engine, pod, &answer->containers_statuses);
    if (!q->verbose)
        return 0;
    answer->info = arena_array(a, Runtime__V1__PodSandboxStatusResponse__InfoEntry *, 1);
    answer->info[answer->n_info++] =
        cri_pair_new(a, &runtime__v1__pod_sandbox_status_response__info_entry__descriptor, "info",
                     arena_printf(a, "{\"pid\":%d,\"runtimeHandler\":\"%s\",\"containers\":%zu}",
                                  pod->pid, pod->handler, answer->n_containers_statuses));
    return 0;
}

/* Lists */

static const char *only_pod(struct engine *e, const void *filter)
{
    const Runtime__V1__PodSandboxFilter *f = filter;
    (void)e;
    return strlen(f->id) == ID_LEN ? f->id : NULL;
}

static void add_pod(struct cri_list *l, const struct pod *pod, struct arena *scratch)
{
    if (cri_pod_matches(scratch, pod, l->filter))
        cri_list_add(l, cri_pod_item(l->arena, pod));
}

CRI_ITEMS(Runtime__V1__ListPodSandboxResponse, items);
CRI_ITEMS(Runtime__V1__StreamPodSandboxesResponse, pod_sandboxes);
static const struct cri_listing pods = {
    .what = "pods",
    .streaming = "StreamPodSandboxes",
    .piece = &runtime__v1__stream_pod_sandboxes_response__descriptor,
    .only = only_pod,
    .pod = add_pod,
};

CRI_HANDLER(cri_list_pod_sandbox)
{
    const Runtime__V1__ListPodSandboxRequest *q = request;
    return cri_list_whole(call, &pods, q->filter, response, err);
}

CRI_HANDLER(cri_stream_pod_sandboxes)
{
    const Runtime__V1__StreamPodSandboxesRequest *q = request;
    (void)response;
    return cri_list_stream(call, &pods, q->filter, err);
}
