/* SPDX-License-Identifier: Apache-2.0 */
/* Which module a file is. Files that were read before, and have not changed since, are not read again. Loop's thread. */
#pragma once

#include "wasm/sha256.h"

struct digests;
struct error;

struct digests *digests_new(void); /* NULL where memory is out */
void digests_free(struct digests *d);

struct module_info {
    uint8_t digest[SHA256_LEN];
    uint64_t memory; /* bytes that its first memory begins with; 0 where that could not be read */
};
/* Of the module open at fd, whose position stays as it is. -ENOEXEC where it does not begin as a module does. name is for messages.
 * Parks. */
int digests_get(struct digests *d, int fd, const char *name, struct module_info *ret,
                struct error *err);

/* The module at fd as a sealed memory file: nobody can change it after it was found to have this digest. -EAGAIN where it has another
 * meanwhile. Parks. */
int digests_copy(int fd, const char *name, const uint8_t digest[SHA256_LEN], int *ret,
                 struct error *err);
