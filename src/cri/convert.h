/* SPDX-License-Identifier: Apache-2.0 */
/* From the engine's records to CRI's messages. Everything is allocated in the arena. */
#pragma once

#include "cri.pb-c.h"
#include "engine/engine.h"

typedef Runtime__V1__PodSandboxConfig PodConfig;
typedef Runtime__V1__ContainerConfig ContainerConfig;

/* Unpacks a record's config; an empty message where the bytes are none (they were checked when
 * stored). */
PodConfig *cri_pod_config(struct arena *a, const struct pod *pod);
ContainerConfig *cri_container_config(struct arena *a, const struct container *c);

Runtime__V1__PodSandbox *cri_pod_item(struct arena *a, const struct pod *pod);
Runtime__V1__PodSandboxStatus *cri_pod_status(struct arena *a, const struct pod *pod);
Runtime__V1__Container *cri_container_item(struct arena *a, struct engine *e,
                                           const struct container *c);
Runtime__V1__ContainerStatus *cri_container_status(struct arena *a, struct engine *e,
                                                   const struct container *c);
/* *ret: an array of count statuses of the pod's containers. */
size_t cri_container_statuses(struct arena *a, struct engine *e, const struct pod *pod,
                              Runtime__V1__ContainerStatus ***ret);

/* NULL filters match everything. Ids match by prefix, as containerd has it. */
bool cri_pod_matches(struct arena *a, const struct pod *pod,
                     const Runtime__V1__PodSandboxFilter *f);
bool cri_container_matches(struct arena *a, const struct container *c,
                           const Runtime__V1__ContainerFilter *f);

Runtime__V1__Image *cri_image(struct arena *a, const struct image *image);

/* A map<string,string>'s wire form: protobuf-c makes each map a type of its own, all laid out
 * alike. */
struct cri_pair {
    ProtobufCMessage base;
    char *key, *value;
};
/* Makes a map's entries those of another message's map, in place; returns them. */
void *cri_retype(void *entries, size_t n, const ProtobufCMessageDescriptor *type);
const char *cri_pair_get(void *const *pairs, size_t n, const char *key);
/* Whether labels has every pair of selector. */
bool cri_pairs_match(void *const *labels, size_t n_labels, void *const *selector,
                     size_t n_selector);
/* Adds a pair to an info map whose entries are of the given type. */
void *cri_pair_new(struct arena *a, const ProtobufCMessageDescriptor *type, const char *key,
                   const char *value);
