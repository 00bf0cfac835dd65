/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the two services, by subject; cri.c has the tables. */
#pragma once

#include "cri/convert.h"
#include "cri/cri.h"

#define CRI_HANDLER(name)                                                                          \
    int name(struct rpc_call *call, const void *request, void *response, struct error *err)

/* pods.c */
CRI_HANDLER(cri_run_pod_sandbox);
CRI_HANDLER(cri_stop_pod_sandbox);
CRI_HANDLER(cri_remove_pod_sandbox);
CRI_HANDLER(cri_pod_sandbox_status);
CRI_HANDLER(cri_list_pod_sandbox);
CRI_HANDLER(cri_stream_pod_sandboxes);

/* containers.c */
CRI_HANDLER(cri_create_container);
CRI_HANDLER(cri_start_container);
CRI_HANDLER(cri_stop_container);
CRI_HANDLER(cri_remove_container);
CRI_HANDLER(cri_list_containers);
CRI_HANDLER(cri_stream_containers);
CRI_HANDLER(cri_container_status_call);
CRI_HANDLER(cri_update_container_resources);
CRI_HANDLER(cri_reopen_container_log);
CRI_HANDLER(cri_exec_sync);

/* stats.c */
CRI_HANDLER(cri_container_stats);
CRI_HANDLER(cri_list_container_stats);
CRI_HANDLER(cri_stream_container_stats);
CRI_HANDLER(cri_pod_sandbox_stats);
CRI_HANDLER(cri_list_pod_sandbox_stats);
CRI_HANDLER(cri_stream_pod_sandbox_stats);

/* runtime.c */
CRI_HANDLER(cri_version);
CRI_HANDLER(cri_status);
CRI_HANDLER(cri_runtime_config);

/* events.c */
CRI_HANDLER(cri_get_container_events);

/* images.c */
CRI_HANDLER(cri_list_images);
CRI_HANDLER(cri_stream_images);
CRI_HANDLER(cri_image_status);
CRI_HANDLER(cri_remove_image);
CRI_HANDLER(cri_image_fs_info);
CRI_HANDLER(cri_pull_image);

/* How many items a message of a streaming list carries. */
enum { CRI_STREAM_ITEMS = 500 };
