/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a container for a foreign sandboxer: BUNDLES/SANDBOX/CONTAINER with config.json, the mounted rootfs and the
 * FIFOs that stand for a log. It is also the engine's memory of what it runs there: BUNDLES/SANDBOX/address is the sandbox's
 * task address, the file "log" in a bundle the container's log address. All block, but for the names: call them on the pool. */
#pragma once

#include "sandbox/peer.h"

char *foreign_sandbox_dir(const char *bundles, const char *sandbox_id); /* malloced or NULL */
char *foreign_bundle_dir(const char *bundles, const char *sandbox_id, const char *id);

/* Writes config.json (root.path is rootfs), mounts the rootfs, makes the FIFOs of log addresses. A failure leaves nothing. */
int foreign_bundle_make(const char *dir, const struct peer_container *c, struct error *err);
/* Unmounts and removes; what is not there is no error. */
int foreign_bundle_remove(const char *dir, struct error *err);
/* The same with all bundles in it. */
int foreign_sandbox_dir_remove(const char *dir, struct error *err);
/* Names of the directories in dir, malloced; an empty list where dir is not there. */
int foreign_list(const char *dir, char ***ret, struct error *err);
/* A small text file; "" where it is not there. malloced. */
int foreign_read(const char *dir, const char *name, char **ret, struct error *err);

/* What a foreign side is given for an address: itself, or the FIFO in dir that stands for a log. malloced or NULL. */
char *foreign_stdio(const char *dir, const char *address, const char *fifo);
bool foreign_is_log(const char *address);
