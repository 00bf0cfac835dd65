/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of compiled modules, HEX.PROFILE.cwasm each: bounded in bytes, the least recently used go first. A module that is handed out is
 * an open descriptor, which removal does not touch. What is here is run as native code, so the directory is ours alone. Loop's thread. */
#pragma once

#include "wasm/compiled.h"

struct error;
struct shelf;

/* Makes dir (0700) where it is missing, and removes what dead compilers left and what is no compiled file of its name. limit: bytes;
 * the newest stays even where it is larger. */
int shelf_open(struct shelf **ret, const char *dir, uint64_t limit, struct error *err);
void shelf_free(struct shelf *s);

/* A descriptor for reading, or -ENOENT. */
int shelf_get(struct shelf *s, const struct compiled_key *key);
/* A worker has it and uses it again. */
void shelf_use(struct shelf *s, const struct compiled_key *key);
void shelf_remove(struct shelf *s, const struct compiled_key *key);

/* An empty file for writing, which shelf_put() makes the compiled form of key, and shelf_drop() removes; one at a time for a key. */
int shelf_begin(struct shelf *s, const struct compiled_key *key, struct error *err);
int shelf_put(struct shelf *s, const struct compiled_key *key, struct error *err);
void shelf_drop(struct shelf *s, const struct compiled_key *key);
