/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's modules: each loaded and linked once, shared by all its instances. Control thread where nothing else is said. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wasm/compiled.h"

struct error;

struct module {
    struct compiled_key key;
    struct wasmtime_module *module;
    struct wasmtime_instance_pre *pre;
    bool reactor;                  /* has _initialize and no _start */
    uint64_t memory_minimum;       /* bytes, of the memory it exports */
    struct interrupt_code *code;   /* NULL: it checks epochs */
    struct references *references; /* of hibernation; its thread's */
    uint32_t users;
    struct module *next;
};

/* The module of this key, with one user more; NULL where it is not loaded. */
struct module *module_get(const struct compiled_key *key);
/* NULL is allowed. Unused ones are kept, within a bound. */
void module_put(struct module *m);

/* Loads the compiled file fd (taken over) as the module of this key, on a thread of its own, since a large one takes long, and then
 * calls done(arg, code, err) on the control thread; for all who ask meanwhile it is loaded once. code: 0; -EBADMSG where the file is
 * not right; -ENOEXEC where the module imports what is not there, or has neither _start nor _initialize. Returns 0 where done will be called. */
typedef void module_done(void *arg, int code, const struct error *err);
int module_load(int fd, const struct compiled_key *key, module_done *done, void *arg,
                struct error *err);

/* For module_load(). Any thread; the linker is made by the first call for a profile, on the control thread. */
struct wasmtime_linker *module_linker(enum wasm_profile profile);
int module_new(int fd, const struct compiled_key *key, struct module **ret, struct error *err);
/* Takes it into the list, without a user. Control thread. */
void module_add(struct module *m);
