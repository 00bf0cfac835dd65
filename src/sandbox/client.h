/* SPDX-License-Identifier: Apache-2.0 */
/* Between the client's own files: client.c has its life and the plain calls, client_make.c those that make sandboxes and
 * containers. */
#pragma once

#include "sandbox.pb-c.h"
#include "sandbox/remote.h"
#include "sandbox/wire.h"
#include "task_v2.pb-c.h"
#include "warren_sandbox.pb-c.h"

#define CONTROLLER &containerd__services__sandbox__v1__controller__descriptor
#define TASK       &containerd__task__v2__task__descriptor
#define EXTENSION  &warren__sandbox__v1__extension__descriptor

#define CONTROLLER_REQUEST(name, NAME)                                                             \
    Containerd__Services__Sandbox__V1__Controller##name q =                                        \
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_##NAME##__INIT
#define TASK_REQUEST(name, NAME)                                                                   \
    Containerd__Task__V2__##name q = CONTAINERD__TASK__V2__##NAME##__INIT
#define EXTENSION_REQUEST(name, NAME)                                                              \
    Warren__Sandbox__V1__##name q = WARREN__SANDBOX__V1__##NAME##__INIT

static inline struct remote *remote_of(struct peer *p)
{
    return container_of(p, struct remote, peer);
}

/* Calls without an answer to look at. */
int remote_command(struct peer *p, const ProtobufCServiceDescriptor *service, const char *method,
                   const void *request, struct error *err);
int remote_task_command(struct peer *p, const char *id, const char *method, const void *request,
                        struct error *err);

/* client_make.c: struct peer_ops' */
int remote_sandbox_create(struct peer *p, const char *id, const void *config, size_t config_len,
                          const char *netns_path, struct error *err);
int remote_sandbox_start(struct peer *p, const char *id, pid_t *ret_pid, struct error *err);
int remote_sandbox_run(struct peer *p, const char *id, const void *config, size_t config_len,
                       const char *netns_path, pid_t *ret_pid, struct error *err);
int remote_create(struct peer *p, const struct peer_container *container, pid_t *ret_pid,
                  struct error *err);
int remote_start(struct peer *p, const char *id, const char *exec_id, pid_t *ret_pid,
                 struct error *err);
int remote_run(struct peer *p, const struct peer_container *container, pid_t *ret_pid,
               struct error *err);
