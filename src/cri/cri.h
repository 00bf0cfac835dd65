/* SPDX-License-Identifier: Apache-2.0 */
/* cri: Kubernetes' Container Runtime Interface v1 (k8s.io/cri-api, runtime/v1) over the engine:
 * RuntimeService and ImageService. Holds no state of its own: every answer is made of the engine's
 * records in the call's arena.
 *
 * What is not done yet answers UNIMPLEMENTED with a sentence that names what to use instead. A
 * plain list that would pass the 16 MiB which clients accept fails with RESOURCE_EXHAUSTED and
 * names the streaming call. Loop's thread only. */
#pragma once

#include "engine/engine.h"
#include "rpc/rpc.h"

struct cri {
    struct engine *engine;
    const char *state_dir; /* shown by verbose status */
};

/* Adds both services to server. cri is kept by reference. */
int cri_serve(struct rpc_server *server, struct cri *cri, struct error *err);
