/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a guest's import to a function of ours and back. */
#include "wasm/wasi/wasi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/base.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

static const char module_name[] = "wasi_snapshot_preview1";

static bool prepare(struct wasi_call *c, struct wasmtime_caller *caller)
{
    struct wasmtime_context *context = wasmtime_caller_context(caller);
    struct wasmtime_extern memory;
    c->guest = wasmtime_context_get_data(context);
    if (!wasmtime_caller_export_get(caller, "memory", 6, &memory) ||
        memory.kind != WASMTIME_EXTERN_MEMORY)
        return false;
    c->memory = wasmtime_memory_data(context, &memory.of.memory);
    c->size = wasmtime_memory_data_size(context, &memory.of.memory);
    atomic_store_explicit(&c->guest->memory, c->size, memory_order_relaxed);
    atomic_store_explicit(&c->guest->memory_at, c->memory, memory_order_relaxed);
    return true;
}

static struct wasm_trap *no_memory(void)
{
    static const char text[] = "the module exports no memory named 'memory', which WASI needs";
    return wasmtime_trap_new(text, sizeof text - 1);
}

static struct wasm_trap *call_sync(void *env, struct wasmtime_caller *caller,
                                   union wasmtime_val_raw *raw, size_t count)
{
    const struct wasi_entry *entry = env;
    struct wasi_call c = {0};
    (void)count;
    if (!prepare(&c, caller))
        return no_memory();
    for (size_t i = 0; entry->params[i]; i++)
        c.args[i] = entry->params[i] == 'l' ? (uint64_t)raw[i].i64 : (uint32_t)raw[i].i32;
    uint32_t r = entry->fn(&c);
    if (c.guest->exited || atomic_load(&c.guest->kill))
        return wasmtime_trap_new("exit", 4); /* unwinds the guest; never shown */
    if (!entry->ends)
        raw[0].i32 = (int32_t)r;
    return NULL;
}

/* A call that is over has no job, whatever it made of it: the next call's would be taken for this one's. */
static uint32_t run(const struct wasi_entry *entry, struct wasi_call *c)
{
    uint32_t r = entry->fn(c);
    if (r != WASI_PARK && c->guest->job)
        job_drop(c->guest);
    return r;
}

static bool completed(void *env)
{
    (void)env;
    return true;
}

/* Called at once where the call parked, and when the guest is polled again, after its wait. */
static bool resume(void *env)
{
    struct guest *g = env;
    if (g->parking)
        return false;
    const struct wasi_entry *entry =
        (const struct wasi_entry *)(uintptr_t)g->call.args[WASI_ARGS_MAX - 1];
    g->call.resumed = true;
    uint32_t r = run(entry, &g->call);
    if (r == WASI_PARK) {
        g->parking = true;
        return false;
    }
    g->results[0].of.i32 = (int32_t)r;
    return true;
}

static void call_async(void *env, struct wasmtime_caller *caller, const struct wasmtime_val *args,
                       size_t nargs, struct wasmtime_val *results, size_t nresults,
                       struct wasm_trap **trap, struct wasmtime_async_continuation *continuation)
{
    const struct wasi_entry *entry = env;
    struct wasi_call c = {0};
    (void)nargs;
    *continuation = (struct wasmtime_async_continuation){.callback = completed};
    if (!prepare(&c, caller)) {
        *trap = no_memory();
        return;
    }
    for (size_t i = 0; entry->params[i]; i++)
        c.args[i] = entry->params[i] == 'l' ? (uint64_t)args[i].of.i64 : (uint32_t)args[i].of.i32;
    uint32_t r = run(entry, &c);
    if (r != WASI_PARK) {
        if (nresults)
            results[0].of.i32 = (int32_t)r;
        return;
    }
    struct guest *g = c.guest;
    g->call = c;
    g->call.args[WASI_ARGS_MAX - 1] = (uintptr_t)entry;
    g->results = results;
    g->parking = true;
    *continuation = (struct wasmtime_async_continuation){.callback = resume, .env = g};
}

static struct wasm_functype *type_of(const struct wasi_entry *entry)
{
    struct wasm_valtype *params[WASI_ARGS_MAX], *result = wasm_valtype_new(WASM_I32);
    size_t n = strlen(entry->params);
    for (size_t i = 0; i < n; i++)
        params[i] = wasm_valtype_new(entry->params[i] == 'l' ? WASM_I64 : WASM_I32);
    struct wasm_valtype_vec in, out;
    wasm_valtype_vec_new(&in, n, params);
    wasm_valtype_vec_new(&out, !entry->ends, &result);
    return wasm_functype_new(&in, &out);
}

static int define(struct wasmtime_linker *l, const struct wasi_entry *entry, struct error *err)
{
    struct wasm_functype *type = type_of(entry);
    struct wasmtime_error *e =
        entry->parks
            ? wasmtime_linker_define_async_func(l, module_name, sizeof module_name - 1, entry->name,
                                                strlen(entry->name), type, call_async,
                                                (void *)(uintptr_t)entry, NULL)
            : wasmtime_linker_define_func_unchecked(l, module_name, sizeof module_name - 1,
                                                    entry->name, strlen(entry->name), type,
                                                    call_sync, (void *)(uintptr_t)entry, NULL);
    wasm_functype_delete(type);
    if (!e)
        return 0;
    wasmtime_error_delete(e);
    return fail_plain(err, EINVAL, "define the WASI function %s", entry->name);
}

int wasi_define(struct wasmtime_linker *l, struct error *err)
{
    const struct wasi_entry *tables[] = {wasi_process_entries, wasi_fd_entries, wasi_path_entries,
                                         wasi_poll_entries, wasi_sock_entries};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct wasi_entry *e = tables[i]; !r && e->name; e++)
            r = define(l, e, err);
    return r;
}

uint32_t wasi_park_for(struct guest *g, uint32_t n)
{
    free(g->wait.fds);
    g->wait.fds = calloc(n, sizeof *g->wait.fds);
    g->wait.room = g->wait.fds ? n : 0;
    return g->wait.fds ? wasi_park(g) : WASI_NOMEM;
}

void wasi_watch(struct guest *g, int fd, uint32_t events)
{
    for (unsigned i = 0; i < g->wait.count; i++)
        if (g->wait.fds[i].fd == fd) {
            g->wait.fds[i].events |= events;
            return;
        }
    if (g->wait.count < g->wait.room)
        g->wait.fds[g->wait.count++] = (struct sched_watch){.fd = fd, .events = events};
    else
        g->wait.deadline = 0;
}

uint32_t wasi_store32(const struct wasi_call *c, uint64_t at, uint32_t value)
{
    void *p = wasi_bytes(c, at, sizeof value);
    if (!p)
        return WASI_FAULT;
    memcpy(p, &value, sizeof value);
    return WASI_SUCCESS;
}

uint32_t wasi_store64(const struct wasi_call *c, uint64_t at, uint64_t value)
{
    void *p = wasi_bytes(c, at, sizeof value);
    if (!p)
        return WASI_FAULT;
    memcpy(p, &value, sizeof value);
    return WASI_SUCCESS;
}

int wasi_iovec(const struct wasi_call *c, uint64_t at, uint64_t count, struct iovec *v)
{
    count = (uint32_t)count < WASI_IOV_MAX ? (uint32_t)count : WASI_IOV_MAX;
    const uint8_t *p = wasi_bytes(c, at, 8 * count);
    if (!p)
        return -WASI_FAULT;
    for (size_t i = 0; i < count; i++) {
        uint32_t base, len;
        memcpy(&base, p + 8 * i, 4);
        memcpy(&len, p + 8 * i + 4, 4);
        v[i] = (struct iovec){wasi_bytes(c, base, len), len};
        if (!v[i].iov_base)
            return -WASI_FAULT;
    }
    return (int)count;
}

uint32_t wasi_errno_of(int code)
{
    static const struct {
        int code;
        uint32_t wasi;
    } table[] = {
        {0, WASI_SUCCESS},
        {EACCES, WASI_ACCES},
        {EAGAIN, WASI_AGAIN},
        {EBADF, WASI_BADF},
        {EBUSY, WASI_BUSY},
        {EEXIST, WASI_EXIST},
        {EFAULT, WASI_FAULT},
        {EFBIG, WASI_FBIG},
        {EILSEQ, WASI_ILSEQ},
        {EINTR, WASI_INTR},
        {EINVAL, WASI_INVAL},
        {EISDIR, WASI_ISDIR},
        {ELOOP, WASI_LOOP},
        {EMFILE, WASI_MFILE},
        {ENFILE, WASI_MFILE},
        {EMLINK, WASI_MLINK},
        {ENOENT, WASI_NOENT},
        {ENAMETOOLONG, WASI_NAMETOOLONG},
        {ENOMEM, WASI_NOMEM},
        {ENOSPC, WASI_NOSPC},
        {EDQUOT, WASI_NOSPC},
        {ENOSYS, WASI_NOSYS},
        {ENOTDIR, WASI_NOTDIR},
        {ENOTEMPTY, WASI_NOTEMPTY},
        {ENOTSOCK, WASI_NOTSOCK},
        {EOPNOTSUPP, WASI_NOTSUP},
        {ENXIO, WASI_NXIO},
        {EOVERFLOW, WASI_OVERFLOW},
        {EPERM, WASI_PERM},
        {EPIPE, WASI_PIPE},
        {EROFS, WASI_ROFS},
        {ESPIPE, WASI_SPIPE},
        {EXDEV, WASI_XDEV},
        {ECONNRESET, WASI_CONNRESET},
        {ECONNABORTED, WASI_CONNABORTED},
        {ENOTCONN, WASI_NOTCONN},
        {ETIMEDOUT, WASI_TIMEDOUT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].code == abs(code))
            return table[i].wasi;
    return WASI_IO;
}
