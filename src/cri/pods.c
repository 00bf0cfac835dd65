/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "cri/services.h"

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

/* The pods that match, in the order of their creation. */
static size_t matching(struct cri *cri, struct arena *a,
                       const Runtime__V1__PodSandboxFilter *filter, Runtime__V1__PodSandbox ***ret)
{
    size_t n = 0;
    struct pod *pod;
    *ret = arena_array(a, Runtime__V1__PodSandbox *, engine_pod_count(cri->engine) + 1);
    list_each(pod, engine_pods(cri->engine),
              in_engine) if (cri_pod_matches(a, pod, filter))(*ret)[n++] = cri_pod_item(a, pod);
    return n;
}

CRI_HANDLER(cri_list_pod_sandbox)
{
    const Runtime__V1__ListPodSandboxRequest *q = request;
    Runtime__V1__ListPodSandboxResponse *answer = response;
    answer->n_items = matching(rpc_context(call), rpc_arena(call), q->filter, &answer->items);
    return cri_check_list(response, answer->n_items, "StreamPodSandboxes", err);
}

CRI_HANDLER(cri_stream_pod_sandboxes)
{
    const Runtime__V1__StreamPodSandboxesRequest *q = request;
    (void)response;
    Runtime__V1__PodSandbox **items;
    size_t n = matching(rpc_context(call), rpc_arena(call), q->filter, &items);
    for (size_t sent = 0; sent < n;) {
        Runtime__V1__StreamPodSandboxesResponse part =
            RUNTIME__V1__STREAM_POD_SANDBOXES_RESPONSE__INIT;
        part.pod_sandboxes = items + sent;
        part.n_pod_sandboxes = n - sent < CRI_STREAM_ITEMS ? n - sent : CRI_STREAM_ITEMS;
        int r = rpc_send(call, &part, err);
        if (r < 0)
            return r;
        sent += part.n_pod_sandboxes;
    }
    return 0;
}
