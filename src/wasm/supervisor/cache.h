/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled modules, one file a digest and profile, made once by a short-lived process. Loop's thread; functions park. */
#pragma once

#include "wasm/profile.h"
#include "wasm/sha256.h"

struct error;
struct cache;

/* dir (made 0700) holds the files; worker is the program that compiles. */
int cache_new(struct cache **ret, const char *dir, const char *worker, struct error *err);
void cache_free(struct cache *c);

struct cache_module {
    uint8_t digest[SHA256_LEN];
    uint64_t memory; /* bytes that its first memory begins with; 0 where that could not be read */
};

/* Reads what the module open at fd is. name is for messages. -ENOEXEC where it does not begin as a module. */
int cache_look(struct cache *c, int fd, const char *name, struct cache_module *ret,
               struct error *err);
/* The compiled form for this profile of the module open at fd (any position), which has been looked at: *ret_path malloced. -ENOEXEC
 * where it is no valid module. Those who ask for one that is being compiled wait for it. */
int cache_get(struct cache *c, int fd, const char *name, const struct cache_module *module,
              enum wasm_profile profile, char **ret_path, struct error *err);
