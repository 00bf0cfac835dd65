/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI spec and CRI's descriptions say about how much a container, or a pod, may use. Errors name the field. */
#pragma once

#include "wasm/wire_create.h"

struct arena;
struct error;
struct oci_spec;
struct Runtime__V1__PodSandboxConfig;

#define ANNOTATION_CPU_TIME  "warren.wasm/cpu-time-limit"
#define ANNOTATION_WALL_TIME "warren.wasm/wall-time-limit"

/* Memory (default_memory where the spec says nothing), CPU and time. The time limits are annotations; RLIMIT_CPU counts too, and the
 * lesser of both. */
int limits_of_spec(const struct oci_spec *spec, uint64_t default_memory, struct wire_limits *ret,
                   struct error *err);
/* linux.resources of the pod's description; NULL: it has none. */
int limits_of_pod(const struct Runtime__V1__PodSandboxConfig *config, struct wire_cpu *ret,
                  struct error *err);
/* OCI LinuxResources, JSON. What it does not say is 0. */
int limits_of_update(const void *json, size_t len, struct wire_limits *ret, struct error *err);
