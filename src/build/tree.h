/* SPDX-License-Identifier: Apache-2.0 */
/* Directories on top of each other, seen as overlayfs shows them: an image's layers, or a build's context alone. Read-only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/cleanup.h"

struct error;

struct tree {
    int *roots; /* topmost first; owned */
    size_t count;
};

/* Puts a directory on top; takes the descriptor over, also where it fails. 0 or -ENOMEM. */
int tree_push(struct tree *t, int root);
/* A tree of the same directories. 0 or -errno. */
int tree_copy(const struct tree *from, struct tree *to);
void tree_done(struct tree *t);
CLEANUP_DONE(tree, struct tree);

struct tree_node {
    char *path; /* where it really is, without symlinks; "" is the root. Malloced */
    int root;   /* the directory that has it (of the tree), -1 where nothing is there */
    struct stat st;
};
void tree_node_done(struct tree_node *n);
CLEANUP_DONE(tree_node, struct tree_node);

/* Finds a path (".." stays within the root), symlinks resolved as a process in the image would; the last only where follow. What
 * is not there has root -1 and the path where it would be. -ENOTDIR, -ELOOP. */
int tree_find(const struct tree *t, const char *path, bool follow, struct tree_node *ret,
              struct error *err);
/* The names in a directory that tree_find() found, sorted, malloced. */
int tree_list(const struct tree *t, const char *path, char ***ret, struct error *err);
/* Opens a found node. The descriptor or -errno. */
int tree_open(const struct tree_node *n, int flags);
/* A found symlink's target, malloced; NULL where it cannot be read. */
char *tree_read_link(const struct tree_node *n);
