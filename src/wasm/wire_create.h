/* SPDX-License-Identifier: Apache-2.0 */
/* The CREATE request: what a worker needs of a container, distilled from its spec. Strings are the caller's when written, and lie in
 * the frame when read. */
#pragma once

#include "wasm/compiled.h"
#include "wasm/wire.h"

struct wire_mount {
    const char *destination;
    char **layers; /* host directories, topmost first, without the upper one; or one file */
    const char *upper, *work; /* "" for none */
    char **opaque;            /* as opaque.h has them */
    bool read_only;
};

struct wire_create {
    const char *sandbox_id, *id;
    const void *record;
    size_t record_len;
    struct compiled_key module;
    char **args, **env;
    const char *in, *out, *err; /* addresses */
    uint64_t memory_limit;
    bool start;                /* START follows at once, in the same request */
    struct wire_mount *mounts; /* the first is the rootfs */
    size_t mount_count;
};

int wire_put_create(struct buffer *out, uint32_t tag, const struct wire_create *c);
/* -EPROTO where the frame is no such request. The lists and mounts are malloced: wire_create_done. */
int wire_get_create(struct wire_reader *r, struct wire_create *c);
void wire_create_done(struct wire_create *c);
