/* SPDX-License-Identifier: Apache-2.0 */
/* The containers that the files process knows, as the supervisor told it: what their trees are made of, where their streams go. A
 * container at rest is one block of some hundred bytes: its tree is built when it is asked for, and dropped when nobody has for a while;
 * lists of layers are shared by all that have the same.
 *
 * A container is a number: a place in the table and a count of how often the place was taken, so that a number is good for one container
 * only. One lock guards the table; the log's state of a container is logs.c's. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct error;
struct files_log;
struct identity;
struct vfs;
struct wire_files;

struct files_container {
    uint64_t number;
    struct list link; /* of trees that are built, the longest unused first */
    struct vfs *vfs;  /* NULL while it is not */
    int64_t used_ns;
    struct files_log *log; /* logs.c's */
    struct identity *who;  /* NULL: root */
    unsigned users;
    bool busy; /* a thread uses the tree */
    bool removed;
    uint16_t stack_count;
    struct files_stack *stacks[]; /* one a mount; then come its strings */
};

/* Checks that what is named is there: -errno with what is not. */
int table_add(const struct wire_files *files, uint64_t *ret_number, struct error *err);
/* It is unknown from now on. Waits, for a second at most, for a thread that works for it. */
void table_remove(uint64_t number);
/* Removes all but these. */
void table_keep(const uint64_t *numbers, size_t count);
/* NULL where it is unknown. */
struct files_container *table_hold(uint64_t number);
void table_release(struct files_container *c);

/* The tree, for the caller alone until table_tree_done(). */
int table_tree(struct files_container *c, struct vfs **ret, struct error *err);
void table_tree_done(struct files_container *c);
/* Drops the trees that nobody has used for a while; whether there are others. */
bool table_rest(void);
