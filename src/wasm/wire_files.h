/* SPDX-License-Identifier: Apache-2.0 */
/* The FILES_ADD request: what the files process may open for a container. Strings are the caller's when written, and lie in the frame
 * when read. */
#pragma once

#include "wasm/wire.h"

struct wire_mount {
    const char *destination;
    char **layers; /* host directories, topmost first, without the upper one; or one file */
    const char *upper, *work; /* "" for none */
    char **opaque;            /* as opaque.h has them */
    bool read_only;
};

struct wire_files {
    const char *in, *out, *err; /* addresses */
    struct wire_mount *mounts;  /* the first is the rootfs */
    size_t mount_count;
};

int wire_put_files(struct buffer *out, uint32_t tag, const struct wire_files *f);
/* -EPROTO where the frame is no such request. The lists and mounts are malloced: wire_files_done. */
int wire_get_files(struct wire_reader *r, struct wire_files *f);
void wire_files_done(struct wire_files *f);
