/* SPDX-License-Identifier: Apache-2.0 */
/* How long does an instance take to start, alone? The worker's own functions in this process, on one thread: the store, the instance, and
 * its program until it first waits; no log, no file, no request.
 *
 *   bench-wasm-instance MODULE [COUNT [ARGUMENT...]]
 *
 * MODULE waits for ever (build/examples/wasi-demo/wasi-demo.wasm 10000 wait name). All COUNT (10000) are there at the end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/sha256.h"
#include "wasm/worker/busy.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/module.h"
#include "wasm/worker/runtime.h"

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "bench-wasm-instance: %s: %s\n", what, err->message);
    exit(1);
}

static struct module *load(const char *path, enum wasm_profile profile)
{
    struct error err = {0};
    struct compiled_key key = {.profile = profile};
    struct module *m = NULL;
    auto(buffer) struct buffer b = {0};
    if (file_read(AT_FDCWD, path, 1 << 28, &b, &err) < 0)
        die("read", &err);
    sha256_of(b.data, b.len, key.digest);
    autoclose int in = open(path, O_RDONLY | O_CLOEXEC);
    int out = memfd_create("compiled", MFD_CLOEXEC);
    runtime_engine(profile);
    module_linker(profile);
    if (in < 0 || out < 0 || runtime_compile(profile, in, out, &err) < 0 ||
        module_new(out, &key, &m, &err) < 0)
        die("compile", &err);
    return m;
}

static int pack(char **words, struct wasi_strings *ret)
{
    auto(buffer) struct buffer b = {0};
    for (; *words; words++, ret->count++)
        if (buffer_append(&b, *words, strlen(*words) + 1) < 0)
            return -ENOMEM;
    ret->len = (uint32_t)b.len;
    ret->data = (char *)b.data;
    b.data = NULL;
    return 0;
}

static struct guest *make(struct module *m, char **words, struct error *err)
{
    struct guest *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->module = m;
    g->wait.deadline = INT64_MAX;
    g->limits.memory = 256 << 20;
    g->limits.table_elements = 1 << 17;
    console_init(&g->wasi.console, g, 0, 0);
    list_init(&g->link);
    static char *const preopens[] = {NULL};
    return pack(words, &g->wasi.args) < 0 || wasi_init(&g->wasi, preopens, err) < 0 ? NULL : g;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *name, struct module *m, size_t count, char **words)
{
    struct error err = {0};
    struct guest **guests = calloc(count, sizeof *guests);
    int64_t *took = calloc(count, sizeof *took);
    for (size_t i = 0; guests && took && i < count; i++) {
        guests[i] = make(m, words, &err);
        if (!guests[i])
            die("make a guest", &err);
        int64_t begun = clock_mono_ns();
        enum guest_turn turn = guest_run(guests[i], INT64_MAX);
        took[i] = clock_mono_ns() - begun;
        if (turn != GUEST_TURN_PARK) {
            fprintf(stderr, "bench-wasm-instance: the guest has ended, or yields\n");
            exit(1);
        }
    }
    int64_t begun = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        guest_end(guests[i], SIGKILL);
        wasi_done(&guests[i]->wasi);
        free(guests[i]);
    }
    double end = (double)(clock_mono_ns() - begun) / 1e3 / (double)count;
    qsort(took, count, sizeof *took, by_value);
    printf("%s: %zu instances, start to first wait: least %.1f, p50 %.1f, p99 %.1f, most %.1f us; "
           "end %.1f us\n",
           name, count, (double)took[0] / 1e3, (double)took[count / 2] / 1e3,
           (double)took[count * 99 / 100] / 1e3, (double)took[count - 1] / 1e3, end);
    free(took);
    free(guests);
}

int main(int argc, char **argv)
{
    int64_t count = 10000;
    if (argc < 2 || (argc > 2 && str_parse_int(argv[2], 1, 1000000, &count) < 0)) {
        fputs("Usage: bench-wasm-instance MODULE [COUNT [ARGUMENT...]]\n", stderr);
        return 2;
    }
    char *none[] = {argv[1], NULL};
    char **words = argc > 3 ? argv + 2 : none;
    if (argc > 3)
        argv[2] = argv[1]; /* args[0] */
    busy_init();
    measure("dense", load(argv[1], WASM_DENSE), (size_t)count, words);
    /* as many as the kernel's bound on mappings allows */
    size_t busy = count < 4000 ? (size_t)count : 4000;
    measure("busy", load(argv[1], WASM_BUSY), busy, words);
    fflush(stdout);
    _exit(0); /* what Wasmtime has made is not taken apart */
}
