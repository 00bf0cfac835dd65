/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled modules, one file a digest, made once by a short-lived process. Loop's thread; functions park. */
#pragma once

#include "wasm/sha256.h"

struct error;
struct cache;

/* dir (made 0700) holds the files; worker is the program that compiles. */
int cache_new(struct cache **ret, const char *dir, const char *worker, struct error *err);
void cache_free(struct cache *c);

/* The compiled form of the module open at fd (any position): *ret_path malloced. name is for messages. -ENOEXEC where it is no valid
 * module. Those who ask for one that is being compiled wait for it. */
int cache_get(struct cache *c, int fd, const char *name, uint8_t digest[SHA256_LEN],
              char **ret_path, struct error *err);
