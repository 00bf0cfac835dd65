/* SPDX-License-Identifier: Apache-2.0 */
/* The agreement about compiled modules. The process that compiles reads the module from its input, writes the compiled file to its
 * output and what is wrong to its error output, and exits with COMPILE_INVALID where the module is not valid.
 *
 * A compiled file is native code that workers run as it is, so it ends with a trailer: the worker loads it only
 * where the trailer is right. */
#pragma once

#include "wasm/profile.h"
#include "wasm/sha256.h"

enum {
    COMPILE_INVALID = 65,
    COMPILE_MODULE_MAX = 256 << 20, /* bytes of a module */
    COMPILED_MAX = 1 << 30,         /* of a compiled file */
};

/* Which compiled file. */
struct compiled_key {
    uint8_t digest[SHA256_LEN]; /* of the module */
    enum wasm_profile profile;
};

static inline bool compiled_key_eq(const struct compiled_key *a, const struct compiled_key *b)
{
    return a->profile == b->profile && memcmp(a->digest, b->digest, SHA256_LEN) == 0;
}

struct compiled_trailer { /* ELF readers do not mind */
    char magic[16];
    uint8_t made_by[SHA256_LEN]; /* of the library's hash and the configuration */
    uint8_t digest[SHA256_LEN];  /* of the module */
    uint8_t sum[SHA256_LEN];     /* of the file up to here */
};
#define COMPILED_MAGIC "warren-cwasm 1\n" /* 16 bytes with its NUL */
