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

/* Whose rights the files are used with: process.user of the spec. */
struct wire_user {
    const char
        *name; /* "USER[:GROUP]", to be looked up in the container's tree; "": uid and gid stand */
    uint32_t uid, gid;
    uint32_t *groups;
    size_t group_count;
};

struct wire_files {
    const char *in, *out, *err; /* addresses */
    struct wire_user user;
    struct wire_mount *mounts; /* the first is the rootfs */
    size_t mount_count;
};

/* The FILES_EXEC request: streams of an exec, and the module that it may name. Strings as above. */
struct wire_files_exec {
    uint64_t of;                /* the container's number */
    const char *in, *out, *err; /* addresses */
    const char *cwd, *path;     /* of the module, in the container's tree */
};
int wire_put_files_exec(struct buffer *out, uint32_t tag, const struct wire_files_exec *f);
int wire_get_files_exec(struct wire_reader *r, struct wire_files_exec *f);

int wire_put_files(struct buffer *out, uint32_t tag, const struct wire_files *f);
/* -EPROTO where the frame is no such request. The lists, mounts and groups are malloced: wire_files_done. */
int wire_get_files(struct wire_reader *r, struct wire_files *f);
void wire_files_done(struct wire_files *f);
