/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, environment, clocks, random, the end. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"
#include "wasm/wasi/wasi.h"
#include "wasm/worker/guest.h"

/* args_get and environ_get: an array of pointers at args[0], the strings at args[1]. */
static uint32_t strings_get(struct wasi_call *c, const struct wasi_strings *s)
{
    char *text = wasi_bytes(c, c->args[1], s->len);
    uint8_t *pointers = wasi_bytes(c, c->args[0], 4ull * s->count);
    if (!text || !pointers)
        return WASI_FAULT;
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t pointer = (uint32_t)c->args[1] + at;
        memcpy(pointers + 4 * i, &pointer, 4);
        at += (uint32_t)strlen(s->data + at) + 1;
    }
    memcpy(text, s->data, s->len);
    return WASI_SUCCESS;
}

static uint32_t strings_sizes(struct wasi_call *c, const struct wasi_strings *s)
{
    uint32_t r = wasi_store32(c, c->args[0], s->count);
    return r ? r : wasi_store32(c, c->args[1], s->len);
}

static uint32_t args_get(struct wasi_call *c)
{
    return strings_get(c, &c->guest->wasi.args);
}

static uint32_t args_sizes_get(struct wasi_call *c)
{
    return strings_sizes(c, &c->guest->wasi.args);
}

static uint32_t environ_get(struct wasi_call *c)
{
    return strings_get(c, &c->guest->wasi.env);
}

static uint32_t environ_sizes_get(struct wasi_call *c)
{
    return strings_sizes(c, &c->guest->wasi.env);
}

static bool clock_of(uint64_t id, clockid_t *ret)
{
    /* 2 and 3 are the process' and the thread's CPU time: see clock_time_get */
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID};
    if (id >= ARRAY_SIZE(clocks))
        return false;
    *ret = clocks[id];
    return true;
}

static uint32_t clock_res_get(struct wasi_call *c)
{
    clockid_t id;
    struct timespec t;
    if (!clock_of(c->args[0], &id) || clock_getres(id, &t) < 0)
        return WASI_INVAL;
    return wasi_store64(c, c->args[1], (uint64_t)(t.tv_sec * NSEC_PER_SEC + t.tv_nsec));
}

static uint32_t clock_time_get(struct wasi_call *c)
{
    clockid_t id;
    struct timespec t;
    if (!clock_of(c->args[0], &id) || clock_gettime(id, &t) < 0)
        return WASI_INVAL;
    uint64_t ns = (uint64_t)(t.tv_sec * NSEC_PER_SEC + t.tv_nsec);
    if (id == CLOCK_THREAD_CPUTIME_ID) /* the guest's own, up to its last turn */
        ns = atomic_load(&c->guest->cpu_ns);
    return wasi_store64(c, c->args[2], ns);
}

static uint32_t random_get(struct wasi_call *c)
{
    size_t len = (uint32_t)c->args[1];
    uint8_t *p = wasi_bytes(c, c->args[0], len);
    if (!p)
        return WASI_FAULT;
    for (size_t done = 0; done < len;) {
        ssize_t n = getrandom(p + done, len - done, 0);
        if (n < 0 && errno != EINTR)
            return WASI_IO;
        done += n > 0 ? (size_t)n : 0;
    }
    return WASI_SUCCESS;
}

static uint32_t proc_exit(struct wasi_call *c)
{
    c->guest->exited = true;
    c->guest->exit_status = c->args[0] & 0xff; /* what wait(2) lets through of exit(3) */
    return WASI_SUCCESS;
}

/* A guest has no handlers: what ends a process ends it, with Linux' number. WASI's are the same up to TERM; of those above,
 * CHLD, CONT, URG and WINCH do nothing to a process, and STOP and the terminal's cannot stop a guest. */
static uint32_t proc_raise(struct wasi_call *c)
{
    enum { WASI_SIGTERM = 15, WASI_SIGXCPU = 23 };
    static const uint8_t above[] = {SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF,
                                    0,       SIGPOLL, SIGPWR,    SIGSYS};
    uint64_t n = c->args[0];
    if (n >= WASI_SIGXCPU + sizeof above)
        return WASI_INVAL;
    uint32_t ends = n <= WASI_SIGTERM  ? (uint32_t)n
                    : n < WASI_SIGXCPU ? 0
                                       : above[n - WASI_SIGXCPU];
    c->guest->exited = ends != 0;
    c->guest->exit_status = 128 + ends;
    return WASI_SUCCESS;
}

const struct wasi_entry wasi_process_entries[] = {
    {.name = "args_get", .params = "ii", .fn = args_get},
    {.name = "args_sizes_get", .params = "ii", .fn = args_sizes_get},
    {.name = "environ_get", .params = "ii", .fn = environ_get},
    {.name = "environ_sizes_get", .params = "ii", .fn = environ_sizes_get},
    {.name = "clock_res_get", .params = "ii", .fn = clock_res_get},
    {.name = "clock_time_get", .params = "ili", .fn = clock_time_get},
    {.name = "random_get", .params = "ii", .fn = random_get},
    {.name = "proc_exit", .params = "i", .fn = proc_exit, .ends = true},
    {.name = "proc_raise", .params = "i", .fn = proc_raise},
    {0},
};
