/* SPDX-License-Identifier: Apache-2.0 */
/* What pods and containers have in the file system:
 *
 *     DATA/state.{db,log}
 *     DATA/containers/ID/{upper,work}           a container's writable layer (not for wasm: made at
 * the first write) DATA/empty                                a lower directory without anything
 *     EXEC/pods/ID/{hostname,hosts,resolv.conf} mounted into a Linux pod's containers
 *     EXEC/exec/                                FIFOs of execs under way; emptied at open */
#pragma once

#include "engine/record.h"

int files_init(struct engine *e, struct error *err);
/* Nothing for techniques that have no /etc. */
int files_make_pod(struct engine *e, const struct pod_record *p,
                   const Runtime__V1__PodSandboxConfig *config, struct error *err);
void files_remove_pod(struct engine *e, const char *id);
/* NULL where it has none; else malloced. */
char *files_etc_dir(struct engine *e, const struct pod_record *p);

/* The rootfs as an overlay described, its directories made; in arena. */
int files_rootfs(struct engine *e, const struct container_record *c, const struct image *image,
                 bool read_only, struct arena *arena, struct mount_request **ret,
                 struct error *err);
/* [parks] rm -rf on the pool. */
void files_remove_container(struct engine *e, const char *id);
/* log_directory and log_path joined: *ret is NULL where either is empty, else malloced. */
int files_log_path(const char *directory, const char *path, char **ret, struct error *err);
/* "log+cri://PATH", "" for NULL; in arena. */
const char *files_log_address(const char *path, struct arena *arena);
