/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/guest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/worker/busy.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/job.h"
#include "wasm/worker/module.h"
#include "wasm/worker/reap.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched.h"

/* The limit of memory is for each of a module's: one is all that toolchains make. */
enum { TABLES_MAX = 8, MEMORIES_MAX = 1 };

static void apply_limits(struct guest *g)
{
    wasmtime_store_limiter(g->store, (int64_t)atomic_load(&g->limits.memory),
                           g->limits.table_elements, 1, TABLES_MAX, MEMORIES_MAX);
}

/* The store, and a future that instantiates. */
static void begin(struct guest *g)
{
    g->store = wasmtime_store_new(runtime_engine(g->module->key.profile), g, NULL);
    struct wasmtime_context *c = wasmtime_store_context(g->store);
    apply_limits(g);
    wasmtime_context_set_epoch_deadline(c, 1);
    wasmtime_context_epoch_deadline_async_yield_and_update(c, 1);
    g->future = wasmtime_instance_pre_instantiate_async(g->module->pre, c, &g->instance, &g->trap,
                                                        &g->error);
}

enum { INSTANTIATING, INITIALIZING, CALLING, IDLE };

static bool call(struct guest *g, const char *name)
{
    struct wasmtime_context *c = wasmtime_store_context(g->store);
    struct wasmtime_extern e;
    if (!wasmtime_instance_export_get(c, &g->instance, name, strlen(name), &e) ||
        e.kind != WASMTIME_EXTERN_FUNC)
        return false; /* held_create has looked */
    g->function = e.of.func;
    g->future = wasmtime_func_call_async(c, &g->function, NULL, 0, NULL, 0, &g->trap, &g->error);
    return true;
}

/* What the future was for is over: one for what comes next, or none for a reactor that waits to be used. False: that was
 * all. */
static bool go_on(struct guest *g)
{
    wasmtime_call_future_delete(take_ptr(&g->future));
    g->instantiated = true;
    if (g->returns)
        g->returns->count = 0; /* the next call has a stack of its own */
    if (g->trap || g->error || g->phase >= CALLING)
        return false;
    if (g->phase == INSTANTIATING && g->module->reactor) {
        g->phase = INITIALIZING;
        return call(g, "_initialize");
    }
    g->phase = g->entry || !g->module->reactor ? CALLING : IDLE;
    return g->phase == IDLE || call(g, g->entry ? g->entry : "_start");
}

static enum guest_turn stay_idle(struct guest *g)
{
    g->wait.deadline = INT64_MAX;
    g->wait.count = 0;
    return GUEST_TURN_PARK;
}

static enum guest_turn turn(struct guest *g, int64_t until)
{
    runtime_enter(&g->space);
    hibernate_wake(g);
    if (!g->store)
        begin(g);
    /* a guest that was parked yields once at its first check, since its epoch is long over */
    do {
        if (g->phase == IDLE)
            return stay_idle(g);
        g->parking = false;
        if (wasmtime_call_future_poll(g->future) && !go_on(g))
            return GUEST_TURN_DONE;
        if (g->parking)
            return GUEST_TURN_PARK;
    } while (!atomic_load(&g->yield) && clock_mono_ns() < until);
    return GUEST_TURN_YIELD;
}

enum guest_turn guest_run(struct guest *g, int64_t until)
{
    if (atomic_load(&g->yield))
        return GUEST_TURN_YIELD;
    if (atomic_exchange(&g->new_limits, false) && g->store)
        apply_limits(g);
    enum guest_turn t = console_opened(&g->wasi.console, g) ? turn(g, until) : GUEST_TURN_PARK;
    if (t == GUEST_TURN_YIELD && g->space.memory) { /* may have grown since its last host call */
        atomic_store(&g->memory_at, runtime_memory(&g->space));
        atomic_store(&g->memory, runtime_memory_size(&g->space));
    }
    return t;
}

void guest_limit(struct guest *g, enum guest_limit limit)
{
    if (atomic_load(&g->kill))
        return;
    atomic_store(&g->limit, (uint8_t)limit);
    atomic_store(&g->kill, limit == GUEST_LIMIT_CPU ? SIGXCPU : SIGKILL);
}

/* Takes message. */
static void tell(struct guest *g, char *message)
{
    g->message = message;
    if (!message)
        return;
    console_last_words(&g->wasi.console, g->message);
}

static char *describe(struct guest *g)
{
    auto(buffer) struct buffer text = {0};
    runtime_describe(take_ptr(&g->trap), take_ptr(&g->error), &text);
    return buffer_take_text(&text);
}

static const char *const limits[] = {
    [GUEST_LIMIT_CPU] = "killed: it used the CPU time that it may use (RLIMIT_CPU, or the "
                        "annotation warren.wasm/cpu-time-limit)",
    [GUEST_LIMIT_WALL] =
        "killed: it ran for as long as it may (the annotation warren.wasm/wall-time-limit)",
};

static bool take_bool(bool *b)
{
    bool was = *b;
    *b = false;
    return was;
}

static bool large(const struct guest *g)
{
    uint64_t now = runtime_memory_size(&g->space), known = atomic_load(&g->memory);
    return (now > known ? now : known) >= REAP_LEAST;
}

static void drop(struct guest *g)
{
    hibernate_wake(g); /* deleting a future unwinds its stack */
    if (g->future)
        wasmtime_call_future_delete(take_ptr(&g->future));
    if (g->store && large(g))
        reap(take_ptr(&g->store), take_bool(&g->counted));
    else if (g->store)
        wasmtime_store_delete(take_ptr(&g->store));
    g->space = (struct runtime_space){0};
    if (g->trap)
        wasm_trap_delete(take_ptr(&g->trap));
    if (g->error)
        wasmtime_error_delete(take_ptr(&g->error));
    if (take_bool(&g->counted))
        busy_give();
    free(take_ptr(&g->wait.fds)); /* of a call that was to park */
}

void guest_end(struct guest *g, int signal)
{
    uint8_t limit = atomic_load(&g->limit);
    if (signal) {
        g->exit_status = 128 + (uint32_t)signal;
        if (limit)
            tell(g, strdup(limits[limit]));
    } else if (!g->exited && (g->trap || g->error)) {
        g->exit_status = 128 + SIGABRT;
        tell(g, describe(g));
    }
    drop(g);
    job_drop(g);
    wasi_end(&g->wasi);
    console_end(&g->wasi.console);
    g->exited_ns = clock_wall_ns();
    atomic_store(&g->memory, 0);
}

void guest_done(struct guest *g)
{
    drop(g);
    sched_leave(g);
    job_drop(g);
    wasi_done(&g->wasi);
    module_put(take_ptr(&g->module));
    free(take_ptr(&g->message));
    free(take_ptr(&g->returns));
    free(take_ptr(&g->entry));
}
