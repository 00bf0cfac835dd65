/* SPDX-License-Identifier: Apache-2.0 */
/* From a record's packed configuration to what a sandboxer is told. */
#pragma once

#include "engine/record.h"

/* Unpacked; freed by auto(described_pod) and its like. NULL and *err where the record is damaged.
 */
Runtime__V1__PodSandboxConfig *describe_pod(const struct pod_record *p, struct error *err);
Runtime__V1__ContainerConfig *describe_config(const struct container_record *c, struct error *err);
static inline void cleanup_described_pod(Runtime__V1__PodSandboxConfig **p)
{
    runtime__v1__pod_sandbox_config__free_unpacked(*p, NULL);
}
static inline void cleanup_described_container(Runtime__V1__ContainerConfig **c)
{
    runtime__v1__container_config__free_unpacked(*c, NULL);
}

/* The container's OCI spec as text, malloced. */
int describe_container(struct engine *e, const struct container_record *c,
                       const Runtime__V1__PodSandboxConfig *pod,
                       const Runtime__V1__ContainerConfig *config, const struct image *image,
                       struct packed *ret, struct error *err);
/* The OCI process of an exec in it. */
int describe_exec(struct engine *e, const struct container_record *c, char *const *argv,
                  struct packed *ret, struct error *err);
/* The signal that asks it to stop: its own, its image's, SIGTERM. */
int describe_stop_signal(struct engine *e, const struct container_record *c);
