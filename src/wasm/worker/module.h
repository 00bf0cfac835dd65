/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's modules: each loaded and linked once, shared by all its instances. Control thread. */
#pragma once

#include <stdint.h>

#include "wasm/profile.h"
#include "wasm/sha256.h"

struct error;

struct module {
    uint8_t digest[SHA256_LEN];
    enum wasm_profile profile;
    struct wasmtime_module *module;
    struct wasmtime_instance_pre *pre;
    uint64_t memory_minimum;       /* bytes, of the memory it exports */
    struct references *references; /* of hibernation; its thread's */
    uint32_t users;
    struct module *next;
};

/* The module of this digest for this profile, loaded from path at first. -ENOEXEC where it imports what is not there, or has
 * no _start. */
int module_get(enum wasm_profile profile, const char *path, const uint8_t digest[SHA256_LEN],
               struct module **ret, struct error *err);
/* NULL is allowed. Unused ones are kept, within a bound. */
void module_put(struct module *m);
