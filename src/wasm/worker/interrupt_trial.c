/* SPDX-License-Identifier: Apache-2.0 */
/* An endless loop of our own, held, let go and stopped: does compiled code look as interrupting takes it to? */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

enum { SIGNALS_MAX = 2000 }; /* at one a ms: a machine may be busy */

/* The calls give it a frame, and so a place to trap. */
static const char text[] =
    "(module (memory (export \"memory\") 1)"
    " (func $step (param i32) (result i32)"
    "  (i32.store (i32.const 8) (local.get 0)) (i32.add (i32.load (i32.const 8)) (i32.const 1)))"
    " (func (export \"run\") (local i32)"
    "  (loop $again (local.set 0 (call $step (local.get 0))) (br $again))))";

struct trial {
    struct interrupt_target target;
    _Atomic uint8_t kill;
    struct runtime_space space;
    struct interrupt_returns returns;
    _Atomic pid_t thread; /* 0: it has not begun */
    _Atomic bool ended;
    struct wasmtime_module *module;
    struct wasmtime_linker *linker;
    struct wasmtime_instance_pre *pre;
    struct wasmtime_store *store;
    struct wasmtime_instance instance;
    struct wasmtime_func run;
    struct wasm_trap *trap;
    struct wasmtime_error *error;
};

static bool complete(struct wasmtime_call_future *f)
{
    bool done = wasmtime_call_future_poll(f);
    wasmtime_call_future_delete(f);
    return done;
}

static bool make(struct trial *t)
{
    struct wasm_byte_vec wasm = {0};
    struct wasm_engine *engine = runtime_engine(WASM_BUSY);
    struct wasmtime_extern run;
    t->linker = wasmtime_linker_new(engine);
    struct wasmtime_error *e = wasmtime_wat2wasm(text, sizeof text - 1, &wasm);
    if (!e)
        e = wasmtime_module_new(engine, (uint8_t *)wasm.data, wasm.size, &t->module);
    if (!e)
        e = wasmtime_linker_instantiate_pre(t->linker, t->module, &t->pre);
    if (wasm.data)
        wasm_byte_vec_delete(&wasm);
    if (e) {
        wasmtime_error_delete(e);
        return false;
    }
    t->store = wasmtime_store_new(engine, t, NULL);
    struct wasmtime_context *c = wasmtime_store_context(t->store);
    if (!complete(wasmtime_instance_pre_instantiate_async(t->pre, c, &t->instance, &t->trap,
                                                          &t->error)) ||
        t->trap || t->error || !wasmtime_instance_export_get(c, &t->instance, "run", 3, &run))
        return false;
    t->run = run.of.func;
    t->target.kill = &t->kill;
    t->target.space = &t->space;
    t->target.returns = &t->returns;
    t->target.code = interrupt_code_new(t->module);
    return t->target.code;
}

static void *loop(void *arg)
{
    struct trial *t = arg;
    struct wasmtime_call_future *f = wasmtime_func_call_async(
        wasmtime_store_context(t->store), &t->run, NULL, 0, NULL, 0, &t->trap, &t->error);
    runtime_enter(&t->space);
    interrupt_begin(&t->target);
    atomic_store(&t->thread, gettid());
    complete(f);
    interrupt_end();
    runtime_enter(NULL);
    atomic_store(&t->ended, true);
    return NULL;
}

/* Sends until it is as wanted. */
static bool until(struct trial *t, const _Atomic bool *wanted)
{
    for (int i = 0; i < SIGNALS_MAX; i++) {
        pid_t thread = atomic_load(&t->thread);
        if (atomic_load(wanted))
            return true;
        if (thread)
            interrupt_send(thread);
        nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
    }
    return false;
}

/* Where it does not stop, its thread and all that is its stay: a core is lost, and who asked is told so. */
static bool stop_loop(struct trial *t)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, loop, t) != 0)
        return false;
    atomic_store(&t->target.hold, 1);
    bool held = until(t, &t->target.held);
    interrupt_release(&t->target);
    atomic_store(&t->kill, SIGKILL);
    if (!until(t, &t->ended)) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    return held && (t->trap || t->error);
}

static void done(struct trial *t)
{
    if (t->store)
        wasmtime_store_delete(t->store);
    if (t->trap)
        wasm_trap_delete(t->trap);
    if (t->error)
        wasmtime_error_delete(t->error);
    if (t->pre)
        wasmtime_instance_pre_delete(t->pre);
    if (t->module)
        wasmtime_module_delete(t->module);
    wasmtime_linker_delete(t->linker);
    interrupt_code_free((struct interrupt_code *)(uintptr_t)t->target.code);
    free(t);
}

bool interrupt_works(void)
{
    static enum { UNTRIED, WORKS, FAILS } result;
    if (result != UNTRIED)
        return result == WORKS;
    struct trial *t = calloc(1, sizeof *t);
    result = t && interrupt_init() && make(t) && stop_loop(t) ? WORKS : FAILS;
    if (result == WORKS || (t && (!t->thread || t->ended)))
        done(t);
    if (result == FAILS)
        diag_warning(
            "there is no busy profile: compiled code cannot be interrupted with this Wasmtime");
    return result == WORKS;
}
