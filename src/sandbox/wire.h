/* SPDX-License-Identifier: Apache-2.0 */
/* Between the wires' messages and the table's values. What is returned lives in the arena. */
#pragma once

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "rpc/rpc.h"
#include "sandbox/server.h"
#include "types.pb-c.h"

/* NULL for 0: no time. */
Google__Protobuf__Timestamp *wire_time(struct arena *a, int64_t wall_ns);
int64_t wire_time_ns(const Google__Protobuf__Timestamp *t);

/* type_url is kept by reference, message is packed. */
Google__Protobuf__Any *wire_any(struct arena *a, const char *type_url,
                                const ProtobufCMessage *message);

/* Strings by reference into the messages. */
struct mount_request *wire_mounts(struct arena *a, Containerd__Types__Mount *const *mounts,
                                  size_t n);

/* containerd's name for the numbers of one or more containers: cgroup v2 metrics, whatever the host has. */
Google__Protobuf__Any *wire_stats(struct arena *a, const struct process_stats *stats);
void stats_add(struct process_stats *sum, const struct process_stats *one);

/* A wait that the call's client can end. */
struct wait wire_wait(struct rpc_call *call);

/* The services, for run.c. s outlives them; they hold no state of their own. */
extern const struct rpc_service sandbox_controller_service, sandbox_task_service,
    sandbox_extension_service;
