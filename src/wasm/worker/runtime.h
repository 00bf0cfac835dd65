/* SPDX-License-Identifier: Apache-2.0 */
/* Wasmtime as Warren sets it up, and compiled modules as files. Every instance is a fiber on a stack slot of 256 KiB. An engine
 * a profile: dense has memories in slots of our own size classes, explicit bounds checks and epochs; busy has Wasmtime's own memories, of 4 GiB of
 * addresses with guard pages, filled copy-on-write.
 *
 * Who compiles and who runs must use the same configuration; a compiled file carries what it was made with, and is
 * refused where anything differs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "wasm/compiled.h"

struct error;
struct wasm_engine;
struct wasm_trap;
struct wasmtime_error;
struct wasmtime_module;

/* The process's engine for this profile, made at first use; never freed. Control thread; others may ask for one that
 * is made. */
struct wasm_engine *runtime_engine(enum wasm_profile profile);
/* Advances the epoch of the dense engine: busy code checks none (interrupt.h). Any thread. */
void runtime_tick(void);

/* Reads a module from fd in and writes what it compiles to into fd out, with the trailer that runtime_load checks.
 * -ENOEXEC with Wasmtime's reason where it is no valid module. */
int runtime_compile(enum wasm_profile profile, int in, int out, struct error *err);

/* Loads the compiled file open at fd. -EBADMSG where it is not one of ours, of this profile's configuration and of this digest, whole.
 * Never loads what the trailer's checksum does not cover: compiled code is trusted. Any thread, once the profile's engine is there; 1 ms
 * for 170 KB, 60 ms for 40 MB. */
int runtime_load(int fd, const struct compiled_key *key, struct wasmtime_module **ret,
                 struct error *err);

/* Drops this process's pages of Wasmtime's code and constants: they come back from the file's cache as they are used. Any thread. */
void runtime_drop_library_pages(void);

/* Appends what is wrong and the wasm backtrace; takes either (the other NULL) and deletes it. */
void runtime_describe(struct wasm_trap *trap, struct wasmtime_error *error, struct buffer *text);

#define RUNTIME_BUSY_RESERVATION (UINT64_C(4) << 30)
#define RUNTIME_BUSY_GUARD       (UINT64_C(32) << 20) /* before and after */
enum { RUNTIME_STACK = 256 * 1024, RUNTIME_WASM_STACK = 128 * 1024 };

/* Where an instance lives: its stack's slot (RUNTIME_STACK bytes, the lowest page a guard) and its linear memory. What
 * Wasmtime asks for on this thread is noted in the space entered last; NULL: nowhere. */
struct runtime_space {
    uint8_t *stack;
    struct linear_memory *memory;
};
void runtime_enter(struct runtime_space *s);
uint8_t *runtime_memory(const struct runtime_space *s); /* NULL where it has none */
size_t runtime_memory_size(const struct runtime_space *s);
