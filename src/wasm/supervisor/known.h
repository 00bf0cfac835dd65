/* SPDX-License-Identifier: Apache-2.0 */
/* Which module a command is in a rootfs, from containers that had both before: many containers of one image are not each looked up
 * through all its layers. Overlayfs' own rule makes it possible: lower directories do not change while they are used. Loop's thread. */
#pragma once

#include <stdbool.h>

#include "wasm/supervisor/digests.h"
#include "wasm/wire_files.h"

struct known;

struct known *known_new(void); /* NULL where memory is out */
void known_free(struct known *k);

/* False where it is not known: then it is to be looked up. The rootfs is known by its layers; an upper directory that is there, and mounts
 * beside the rootfs, may hide what is below, and the module's file must be the one that it was. */
bool known_find(struct known *k, const struct wire_files *f, const char *cwd, const char *name,
                struct module_info *ret);
/* The look-up found the module open at fd. Memory out is no failure. */
void known_keep(struct known *k, const struct wire_files *f, const char *cwd, const char *name,
                int fd, const struct module_info *module);
