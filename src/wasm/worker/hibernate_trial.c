/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of our own, hibernated and woken: do Wasmtime's fibers look as hibernation takes them to? */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

enum { TRIAL_ADDRESS = 40000 };

static const char trial_text[] =
    "(module (import \"t\" \"park\" (func $park (param i32) (result i32)))"
    " (memory (export \"memory\") 1)"
    " (func (export \"run\") (param i32) (result i32) (local i32)"
    "  (i32.store (i32.const 40000) (i32.const 21))"
    "  (local.set 1 (i32.mul (local.get 0) (i32.const 3)))"
    "  (drop (call $park (local.get 0)))"
    "  (i32.add (local.get 1) (i32.load (i32.const 40000)))))";

struct trial {
    struct runtime_space space;
    struct wasmtime_store *store;
    struct wasmtime_call_future *future;
    struct wasmtime_instance instance;
    struct wasmtime_func run;
    struct wasmtime_val argument, result;
    struct wasm_trap *trap;
    struct wasmtime_error *error;
    struct hibernated *hibernated;
    bool go;
};

static bool trial_may_go(void *env)
{
    return ((struct trial *)env)->go;
}

static void trial_park(void *env, struct wasmtime_caller *caller, const struct wasmtime_val *args,
                       size_t nargs, struct wasmtime_val *results, size_t nresults,
                       struct wasm_trap **trap, struct wasmtime_async_continuation *continuation)
{
    (void)env;
    (void)args;
    (void)nargs;
    (void)nresults;
    (void)trap;
    results[0] = (struct wasmtime_val){.kind = WASMTIME_I32};
    *continuation = (struct wasmtime_async_continuation){
        .callback = trial_may_go,
        .env = wasmtime_context_get_data(wasmtime_caller_context(caller))};
}

static struct wasmtime_instance_pre *trial_link(struct wasmtime_module **ret_module)
{
    struct wasm_byte_vec wasm = {0};
    struct wasmtime_instance_pre *pre = NULL;
    struct wasmtime_linker *l = wasmtime_linker_new(runtime_engine(WASM_DENSE));
    struct wasm_valtype_vec in, out;
    wasm_valtype_vec_new(&in, 1, &(struct wasm_valtype *){wasm_valtype_new(WASM_I32)});
    wasm_valtype_vec_new(&out, 1, &(struct wasm_valtype *){wasm_valtype_new(WASM_I32)});
    struct wasm_functype *type = wasm_functype_new(&in, &out);
    struct wasmtime_error *e =
        wasmtime_linker_define_async_func(l, "t", 1, "park", 4, type, trial_park, NULL, NULL);
    if (!e)
        e = wasmtime_wat2wasm(trial_text, sizeof trial_text - 1, &wasm);
    if (!e)
        e = wasmtime_module_new(runtime_engine(WASM_DENSE), (uint8_t *)wasm.data, wasm.size,
                                ret_module);
    if (!e)
        e = wasmtime_linker_instantiate_pre(l, *ret_module, &pre);
    if (e)
        wasmtime_error_delete(e);
    if (wasm.data)
        wasm_byte_vec_delete(&wasm);
    wasm_functype_delete(type);
    wasmtime_linker_delete(l);
    return pre;
}

/* Runs until it parks. */
static bool trial_begin(struct trial *t, const struct wasmtime_instance_pre *pre, int argument)
{
    struct wasmtime_extern run;
    *t = (struct trial){.argument = {.kind = WASMTIME_I32, .of.i32 = argument}};
    runtime_enter(&t->space);
    t->store = wasmtime_store_new(runtime_engine(WASM_DENSE), t, NULL);
    struct wasmtime_context *c = wasmtime_store_context(t->store);
    wasmtime_context_set_epoch_deadline(c, UINT32_MAX);
    t->future = wasmtime_instance_pre_instantiate_async(pre, c, &t->instance, &t->trap, &t->error);
    bool done = wasmtime_call_future_poll(t->future);
    wasmtime_call_future_delete(take_ptr(&t->future));
    if (!done || t->trap || t->error ||
        !wasmtime_instance_export_get(c, &t->instance, "run", 3, &run))
        return false;
    t->run = run.of.func;
    t->future =
        wasmtime_func_call_async(c, &t->run, &t->argument, 1, &t->result, 1, &t->trap, &t->error);
    return !wasmtime_call_future_poll(t->future) && t->space.stack && runtime_memory(&t->space);
}

/* Packed, and its pages gone. */
static bool trial_hibernate(struct trial *t, struct references **refs)
{
    uint32_t word;
    t->hibernated = hibernate_pack(&t->space, refs);
    memcpy(&word, runtime_memory(&t->space) + TRIAL_ADDRESS, sizeof word);
    return t->hibernated && !word;
}

static void trial_wake(struct trial *t)
{
    if (t->hibernated)
        hibernate_unpack(&t->space, t->hibernated);
    free(take_ptr(&t->hibernated));
}

static bool trial_end(struct trial *t)
{
    trial_wake(t);
    t->go = true;
    return wasmtime_call_future_poll(t->future) && !t->trap && !t->error &&
           t->result.of.i32 == t->argument.of.i32 * 3 + 21;
}

static void trial_done(struct trial *t)
{
    trial_wake(t);
    if (t->future)
        wasmtime_call_future_delete(t->future);
    if (t->store)
        wasmtime_store_delete(t->store);
    if (t->trap)
        wasm_trap_delete(t->trap);
    if (t->error)
        wasmtime_error_delete(t->error);
}

/* Two, since the first is its own reference. */
static bool try_hibernation(void)
{
    struct trial trials[2] = {0};
    struct references *refs = NULL;
    struct wasmtime_module *module = NULL;
    struct wasmtime_instance_pre *pre = trial_link(&module);
    bool good = pre;
    for (int i = 0; good && i < 2; i++)
        good = trial_begin(&trials[i], pre, 100 + i) && trial_hibernate(&trials[i], &refs);
    for (int i = 0; good && i < 2; i++)
        good = trial_end(&trials[i]);
    for (int i = 0; i < 2; i++)
        trial_done(&trials[i]);
    runtime_enter(NULL);
    hibernate_free_references(refs);
    if (pre)
        wasmtime_instance_pre_delete(pre);
    if (module)
        wasmtime_module_delete(module);
    return good;
}

bool hibernate_works(void)
{
    static enum { UNTRIED, WORKS, FAILS } result;
    if (result == UNTRIED) {
        result = try_hibernation() ? WORKS : FAILS;
        if (result == FAILS)
            diag_warning("idle guests stay in memory: they cannot be hibernated with this Wasmtime "
                         "or without /proc/self/pagemap");
    }
    return result == WORKS;
}
