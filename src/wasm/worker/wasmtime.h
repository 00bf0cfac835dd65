/* SPDX-License-Identifier: Apache-2.0 */
/* The part of Wasmtime's C API that Warren uses, declared here because the PyPI wheel that carries the library
 * has no headers and the machine that builds Warren need not have Rust.
 *
 * Good for one library only: wasmtime/linux-x86_64/_libwasmtime.so of the wheel whose sha256 is
 * WASMTIME_WHEEL_SHA256. Layouts and signatures are those of version 50.0.1 on x86_64 Linux with all features; another version
 * needs this file read again. tests/unit/test_wasm_engine.c uses every structure for real.
 *
 * Ownership: what a function returns by pointer is the caller's, to be deleted by the function of its name; an error or a trap handed
 * back from a callback is Wasmtime's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WASMTIME_VERSION_TEXT "50.0.1"
#define WASMTIME_WHEEL_SHA256 "cc14c3a17654e0394e0225b11813532ef0cd7bd1e222a0c5494cdedaabeddac4"

struct wasm_config;
struct wasm_engine;
struct wasm_trap;
struct wasm_frame;
struct wasm_functype;
struct wasm_valtype;
struct wasm_memorytype;
struct wasm_externtype;
struct wasm_exporttype;
struct wasmtime_error;
struct wasmtime_module;
struct wasmtime_linker;
struct wasmtime_instance_pre;
struct wasmtime_store;
struct wasmtime_context;
struct wasmtime_caller;
struct wasmtime_call_future;

/* Vectors of the common wasm-c-api: size first. */
struct wasm_byte_vec {
    size_t size;
    char *data;
};
struct wasm_valtype_vec {
    size_t size;
    struct wasm_valtype **data;
};
struct wasm_frame_vec {
    size_t size;
    struct wasm_frame **data;
};
struct wasm_exporttype_vec {
    size_t size;
    struct wasm_exporttype **data;
};

enum wasm_valkind { WASM_I32 = 0, WASM_I64 = 1 };
enum wasm_externkind { WASM_EXTERN_FUNC = 0, WASM_EXTERN_MEMORY = 3 };

/* Handles into a store: values, nothing to delete. */
struct wasmtime_instance {
    uint64_t store_id;
    size_t private_;
};
struct wasmtime_func {
    uint64_t store_id;
    void *private_;
};
struct wasmtime_memory {
    struct {
        uint64_t store_id;
        uint32_t private1;
    } of;
    uint32_t private2;
};

enum wasmtime_extern_kind { WASMTIME_EXTERN_FUNC = 0, WASMTIME_EXTERN_MEMORY = 3 };
struct wasmtime_extern {
    uint8_t kind;
    union {
        struct wasmtime_func func;
        struct wasmtime_memory memory;
        uint64_t space[3]; /* tables, globals, tags */
    } of;
};

enum wasmtime_valkind { WASMTIME_I32 = 0, WASMTIME_I64 = 1 };
struct wasmtime_val {
    uint8_t kind;
    union {
        int32_t i32;
        int64_t i64;
        uint64_t space[3]; /* references */
    } of;
};
/* Arguments and results of an unchecked host function, 16 bytes each. */
union wasmtime_val_raw {
    int32_t i32;
    int64_t i64;
    uint8_t v128[16];
    uint64_t align[2];
};

/* Errors, traps */
void wasm_byte_vec_delete(struct wasm_byte_vec *v);
struct wasmtime_error *wasmtime_error_new(const char *message);
void wasmtime_error_delete(struct wasmtime_error *e);
void wasmtime_error_message(const struct wasmtime_error *e, struct wasm_byte_vec *message);
void wasmtime_error_wasm_trace(const struct wasmtime_error *e, struct wasm_frame_vec *out);
struct wasm_trap *wasmtime_trap_new(const char *message, size_t len);
void wasm_trap_delete(struct wasm_trap *t);
void wasm_trap_message(const struct wasm_trap *t, struct wasm_byte_vec *message); /* with a NUL */
void wasm_trap_trace(const struct wasm_trap *t, struct wasm_frame_vec *out);
void wasm_frame_vec_delete(struct wasm_frame_vec *v);

/* Configuration and engine */
struct wasm_config *wasm_config_new(void);
void wasmtime_config_epoch_interruption_set(struct wasm_config *c, bool on);
void wasmtime_config_max_wasm_stack_set(struct wasm_config *c, size_t bytes);
void wasmtime_config_async_stack_size_set(struct wasm_config *c, size_t bytes);
void wasmtime_config_memory_may_move_set(struct wasm_config *c, bool on);
void wasmtime_config_memory_reservation_set(struct wasm_config *c, uint64_t bytes);
void wasmtime_config_memory_guard_size_set(struct wasm_config *c, uint64_t bytes);
void wasmtime_config_memory_reservation_for_growth_set(struct wasm_config *c, uint64_t bytes);
void wasmtime_config_memory_init_cow_set(struct wasm_config *c, bool on);
void wasmtime_config_concurrency_support_set(struct wasm_config *c, bool on);
void wasmtime_config_parallel_compilation_set(struct wasm_config *c, bool on);
void wasmtime_config_wasm_memory64_set(struct wasm_config *c, bool on);

/* A stack: get returns its TOP and stores how many bytes lie below it. */
struct wasmtime_stack_memory {
    void *env;
    uint8_t *(*get_stack_memory)(void *env, size_t *out_len);
    void (*finalizer)(void *env);
};
struct wasmtime_stack_creator {
    void *env;
    struct wasmtime_error *(*new_stack)(void *env, size_t size, bool zeroed,
                                        struct wasmtime_stack_memory *ret);
    void (*finalizer)(void *env);
};
void wasmtime_config_host_stack_creator_set(struct wasm_config *c,
                                            struct wasmtime_stack_creator *creator);
/* A linear memory. Its bytes must be zero at first; after grow_memory get_memory may return another base. */
struct wasmtime_linear_memory {
    void *env;
    uint8_t *(*get_memory)(void *env, size_t *byte_size, size_t *byte_capacity);
    struct wasmtime_error *(*grow_memory)(void *env, size_t new_size);
    void (*finalizer)(void *env);
};
struct wasmtime_memory_creator {
    void *env;
    struct wasmtime_error *(*new_memory)(void *env, const struct wasm_memorytype *type,
                                         size_t minimum, size_t maximum, size_t reserved,
                                         size_t guard, struct wasmtime_linear_memory *ret);
    void (*finalizer)(void *env);
};
void wasmtime_config_host_memory_creator_set(struct wasm_config *c,
                                             struct wasmtime_memory_creator *creator);

struct wasm_engine *
wasm_engine_new_with_config(struct wasm_config *c); /* takes c; aborts on bad values */
void wasm_engine_delete(struct wasm_engine *e);
void wasmtime_engine_increment_epoch(const struct wasm_engine *e); /* any thread */

/* Modules */
struct wasmtime_error *wasmtime_module_new(struct wasm_engine *e, const uint8_t *wasm, size_t len,
                                           struct wasmtime_module **ret);
struct wasmtime_error *wasmtime_module_serialize(const struct wasmtime_module *m,
                                                 struct wasm_byte_vec *ret);
/* Copies bytes. */
struct wasmtime_error *wasmtime_module_deserialize(struct wasm_engine *e, const uint8_t *bytes,
                                                   size_t len, struct wasmtime_module **ret);
struct wasmtime_error *wasmtime_wat2wasm(const char *text, size_t len, struct wasm_byte_vec *ret);
/* Where its compiled form lies: the whole ELF file. */
void wasmtime_module_image_range(const struct wasmtime_module *m, void **start, void **end);
void wasmtime_module_delete(struct wasmtime_module *m);
void wasmtime_module_exports(const struct wasmtime_module *m, struct wasm_exporttype_vec *ret);
void wasm_exporttype_vec_delete(struct wasm_exporttype_vec *v);
const struct wasm_byte_vec *wasm_exporttype_name(const struct wasm_exporttype *t);
const struct wasm_externtype *wasm_exporttype_type(const struct wasm_exporttype *t);
uint8_t wasm_externtype_kind(const struct wasm_externtype *t);
const struct wasm_memorytype *wasm_externtype_as_memorytype_const(const struct wasm_externtype *t);
/* NULL where it is no function. */
const struct wasm_functype *wasm_externtype_as_functype_const(const struct wasm_externtype *t);
const struct wasm_valtype_vec *wasm_functype_params(const struct wasm_functype *t);
const struct wasm_valtype_vec *wasm_functype_results(const struct wasm_functype *t);
uint64_t wasmtime_memorytype_minimum(const struct wasm_memorytype *t); /* pages */

/* Linker */
struct wasm_valtype *wasm_valtype_new(uint8_t kind);
void wasm_valtype_vec_new(struct wasm_valtype_vec *out, size_t n, struct wasm_valtype *const *v);
struct wasm_functype *wasm_functype_new(struct wasm_valtype_vec *params,
                                        struct wasm_valtype_vec *results); /* takes both */
void wasm_functype_delete(struct wasm_functype *t);

struct wasmtime_async_continuation {
    bool (*callback)(void *env); /* true: the host call has completed */
    void *env;
    void (*finalizer)(void *env);
};
typedef struct wasm_trap *wasmtime_unchecked_callback(void *env, struct wasmtime_caller *caller,
                                                      union wasmtime_val_raw *args_and_results,
                                                      size_t count);
typedef void wasmtime_async_callback(void *env, struct wasmtime_caller *caller,
                                     const struct wasmtime_val *args, size_t nargs,
                                     struct wasmtime_val *results, size_t nresults,
                                     struct wasm_trap **trap,
                                     struct wasmtime_async_continuation *continuation);

struct wasmtime_linker *wasmtime_linker_new(struct wasm_engine *e);
void wasmtime_linker_delete(struct wasmtime_linker *l);
struct wasmtime_error *wasmtime_linker_define_func_unchecked(
    struct wasmtime_linker *l, const char *module, size_t module_len, const char *name,
    size_t name_len, const struct wasm_functype *type, wasmtime_unchecked_callback *callback,
    void *env, void (*finalizer)(void *env));
struct wasmtime_error *wasmtime_linker_define_async_func(struct wasmtime_linker *l,
                                                         const char *module, size_t module_len,
                                                         const char *name, size_t name_len,
                                                         const struct wasm_functype *type,
                                                         wasmtime_async_callback *callback,
                                                         void *env, void (*finalizer)(void *env));
struct wasmtime_error *wasmtime_linker_instantiate_pre(const struct wasmtime_linker *l,
                                                       const struct wasmtime_module *m,
                                                       struct wasmtime_instance_pre **ret);
void wasmtime_instance_pre_delete(struct wasmtime_instance_pre *p);

/* Stores: one an instance; used by one thread at a time, which may change */
struct wasmtime_store *wasmtime_store_new(struct wasm_engine *e, void *data,
                                          void (*finalizer)(void *data));
void wasmtime_store_delete(struct wasmtime_store *s);
struct wasmtime_context *wasmtime_store_context(struct wasmtime_store *s);
/* Limits; negative ones stay as they are. memory_size in bytes. */
void wasmtime_store_limiter(struct wasmtime_store *s, int64_t memory_size, int64_t table_elements,
                            int64_t instances, int64_t tables, int64_t memories);
void *wasmtime_context_get_data(const struct wasmtime_context *c);
void wasmtime_context_set_epoch_deadline(struct wasmtime_context *c, uint64_t ticks);
/* The published header gives this a result that the library does not return. */
void wasmtime_context_epoch_deadline_async_yield_and_update(struct wasmtime_context *c,
                                                            uint64_t delta);

struct wasmtime_context *wasmtime_caller_context(struct wasmtime_caller *caller);
bool wasmtime_caller_export_get(struct wasmtime_caller *caller, const char *name, size_t len,
                                struct wasmtime_extern *ret);
uint8_t *wasmtime_memory_data(struct wasmtime_context *c, const struct wasmtime_memory *m);
size_t wasmtime_memory_data_size(const struct wasmtime_context *c, const struct wasmtime_memory *m);
bool wasmtime_instance_export_get(struct wasmtime_context *c,
                                  const struct wasmtime_instance *instance, const char *name,
                                  size_t len, struct wasmtime_extern *ret);

/* Calls that can be suspended. Everything handed in stays as it is until the future is deleted */
struct wasmtime_call_future *wasmtime_instance_pre_instantiate_async(
    const struct wasmtime_instance_pre *pre, struct wasmtime_context *c,
    struct wasmtime_instance *instance, struct wasm_trap **trap, struct wasmtime_error **error);
struct wasmtime_call_future *wasmtime_func_call_async(struct wasmtime_context *c,
                                                      const struct wasmtime_func *func,
                                                      const struct wasmtime_val *args, size_t nargs,
                                                      struct wasmtime_val *results, size_t nresults,
                                                      struct wasm_trap **trap,
                                                      struct wasmtime_error **error);
/* True: completed, not to be polled again. */
bool wasmtime_call_future_poll(struct wasmtime_call_future *f);
/* Of a suspended one: unwinds it. */
void wasmtime_call_future_delete(struct wasmtime_call_future *f);
