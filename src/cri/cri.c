/* SPDX-License-Identifier: Apache-2.0 */
#include "cri/cri.h"

#include "base/base.h"
#include "cri/services.h"

/* Left out of the tables and so UNIMPLEMENTED by name: Exec, Attach and PortForward (they need the
 * streaming server; ExecSync works), checkpoints, metrics, UpdateRuntimeConfig,
 * UpdatePodSandboxResources. */
static const struct rpc_method runtime_methods[] = {
    {"Version", cri_version, false},
    {"Status", cri_status, false},
    {"RuntimeConfig", cri_runtime_config, false},
    {"RunPodSandbox", cri_run_pod_sandbox, false},
    {"StopPodSandbox", cri_stop_pod_sandbox, false},
    {"RemovePodSandbox", cri_remove_pod_sandbox, false},
    {"PodSandboxStatus", cri_pod_sandbox_status, false},
    {"ListPodSandbox", cri_list_pod_sandbox, false},
    {"StreamPodSandboxes", cri_stream_pod_sandboxes, true},
    {"CreateContainer", cri_create_container, false},
    {"StartContainer", cri_start_container, false},
    {"StopContainer", cri_stop_container, false},
    {"RemoveContainer", cri_remove_container, false},
    {"ListContainers", cri_list_containers, false},
    {"StreamContainers", cri_stream_containers, true},
    {"ContainerStatus", cri_container_status_call, false},
    {"UpdateContainerResources", cri_update_container_resources, false},
    {"ReopenContainerLog", cri_reopen_container_log, false},
    {"ExecSync", cri_exec_sync, false},
    {"ContainerStats", cri_container_stats, false},
    {"ListContainerStats", cri_list_container_stats, false},
    {"StreamContainerStats", cri_stream_container_stats, true},
    {"PodSandboxStats", cri_pod_sandbox_stats, false},
    {"ListPodSandboxStats", cri_list_pod_sandbox_stats, false},
    {"StreamPodSandboxStats", cri_stream_pod_sandbox_stats, true},
    {"GetContainerEvents", cri_get_container_events, true},
};

static const struct rpc_method image_methods[] = {
    {"ListImages", cri_list_images, false},    {"StreamImages", cri_stream_images, true},
    {"ImageStatus", cri_image_status, false},  {"RemoveImage", cri_remove_image, false},
    {"ImageFsInfo", cri_image_fs_info, false}, {"PullImage", cri_pull_image, false},
};

static struct rpc_service runtime_service = {
    .descriptor = &runtime__v1__runtime_service__descriptor,
    .methods = runtime_methods,
    .method_count = ARRAY_SIZE(runtime_methods),
};

static struct rpc_service image_service = {
    .descriptor = &runtime__v1__image_service__descriptor,
    .methods = image_methods,
    .method_count = ARRAY_SIZE(image_methods),
};

int cri_serve(struct rpc_server *server, struct cri *cri, struct error *err)
{
    runtime_service.context = image_service.context = cri;
    int r = rpc_server_add(server, &runtime_service, err);
    return r < 0 ? r : rpc_server_add(server, &image_service, err);
}
