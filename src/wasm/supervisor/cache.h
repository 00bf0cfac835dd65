/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled modules, one file a digest and profile, made once by a short-lived process. Loop's thread; functions park. name is for messages. */
#pragma once

#include "wasm/compiled.h"
#include "wasm/supervisor/digests.h"

struct error;
struct cache;
struct program;

/* dir (made 0700) holds the files, limit bytes of them; program, which must stay, compiles. */
int cache_new(struct cache **ret, const char *dir, uint64_t limit, const struct program *program,
              struct error *err);
void cache_free(struct cache *c);

/* What the module open at fd is. -ENOEXEC where it is none. */
int cache_look(struct cache *c, int fd, const char *name, struct module_info *ret,
               struct error *err);
/* A worker that has it loaded is given a container of it. */
void cache_use(struct cache *c, const struct compiled_key *key);

/* A descriptor (O_CLOEXEC) of the compiled form of the module open at fd, whose digest was found to be the key's. What is not there is
 * compiled first, once for all who ask meanwhile: -ENOEXEC where it is no valid module. */
int cache_open(struct cache *c, int fd, const char *name, const struct compiled_key *key, int *ret,
               struct error *err);
/* A worker has refused its compiled form, which is removed. */
void cache_discard(struct cache *c, const struct compiled_key *key);
