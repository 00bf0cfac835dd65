/* SPDX-License-Identifier: Apache-2.0 */
/* Memory file systems of containers: mounted in DIR/t/CONTAINER/N by the supervisor, and directories like others to the files process.
 * Loop's thread. */
#pragma once

#include <stdbool.h>

struct error;
struct oci_mount;
struct tmpfs;

/* dir is made 0700. What is mounted there already belongs to containers that an earlier supervisor made. */
int tmpfs_new(struct tmpfs **ret, const char *dir, struct error *err);
void tmpfs_free(struct tmpfs *t);

/* Mounts the n-th of the container, with the mount's options size, nr_inodes, mode, uid and gid; *ret_path malloced. */
int tmpfs_mount(struct tmpfs *t, const char *container, unsigned n, const struct oci_mount *m,
                char **ret_path, struct error *err);
/* Unmounts all of the container's; quick where it has none. */
void tmpfs_remove(struct tmpfs *t, const char *container);
/* Unmounts those of containers that keep() does not know. */
void tmpfs_sweep(struct tmpfs *t, bool (*keep)(void *arg, const char *container), void *arg);
