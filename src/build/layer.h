/* SPDX-License-Identifier: Apache-2.0 */
/* A layer being written: a tar of what an instruction puts into an image. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/map.h"
#include "build/tree.h"

struct archive;
struct archive_entry;
struct ignore;

struct
    layer_owner { /* what --chown and --chmod say; -1: as it is (0 for what comes from a context) */
    int64_t uid, gid, mode;
    bool context; /* the files' own owners mean nothing */
};

struct layer {
    struct archive *tar;
    int fd;
    const struct tree *below; /* the image as it was before: where parents' modes come from */
    struct map dirs;          /* directories that have an entry; keys owned */
    size_t entries;
};

/* Begins a layer in fd (borrowed, empty). below is borrowed. */
int layer_begin(struct layer *l, int fd, const struct tree *below, struct error *err);
/* Ends the tar and rewinds fd. */
int layer_end(struct layer *l, struct error *err);
void layer_done(struct layer *l);
CLEANUP_DONE(layer, struct layer);

/* An entry for a directory and those above it; existing ones keep what they have, new ones are made with owner. */
int layer_make_dirs(struct layer *l, const char *path, const struct layer_owner *owner,
                    struct error *err);
/* A node of another tree (a directory with all below it) as path. ignore may be NULL. */
int layer_copy(struct layer *l, const struct tree *from, const struct tree_node *node,
               const char *path, const struct layer_owner *owner, const struct ignore *ignore,
               struct error *err);
/* Unpacks a tar under path. *ret_is_tar is false, and nothing written, where fd holds none. */
int layer_unpack(struct layer *l, int fd, const char *path, const struct layer_owner *owner,
                 bool *ret_is_tar, struct error *err);
