/* SPDX-License-Identifier: Apache-2.0 */
/* What a foreign engine says about a container in files: the bundle directory with its config.json. */
#pragma once

#include "sandbox/server.h"

struct bundle {
    const char *spec; /* config.json, in the arena */
    size_t spec_len;
    const char
        *sandbox_id; /* where an annotation, or containerd's file "sandbox", names it; else "" */
    bool pause;      /* it says that it is a pod's pause container */
    const char
        *rootfs; /* absolute: the spec's root.path, seen from the bundle; "" where it has none */
};

/* Parks (reads files on the pool). -EINVAL, -ENOENT. */
int bundle_read(const char *path, struct arena *arena, struct bundle *ret, struct error *err);
