/* SPDX-License-Identifier: Apache-2.0 */
/* A container in one block: how its mounts and addresses are kept, and made a tree. Any thread. */
#pragma once

struct error;
struct files_container;
struct vfs;
struct wire_files;

/* -errno with what is not there; nobody has the container yet. */
int pack_new(const struct wire_files *files, struct files_container **ret, struct error *err);
/* NULL is allowed. */
void pack_free(struct files_container *c);
int pack_tree(const struct files_container *c, struct vfs **ret, struct error *err);
/* Of stream 0 input, 1 output, 2 error output; malloced, "" for none, NULL where memory is out. */
char *pack_address(const struct files_container *c, unsigned stream);
