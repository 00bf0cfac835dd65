/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, environment, clocks, random numbers, giving way. How a guest ends is seen from outside: wasi.bats. */
#include "wasi.h"

#include <stdlib.h>

extern char **environ;

/* What libc got at its start is what the calls say again. */
static void args(void)
{
    uint32_t count = 0, size = 0;
    OK(wasi_args_sizes_get(&count, &size));
    CHECK(count >= 3 && size > 0);
    char **words = calloc(count, sizeof *words), *text = malloc(size);
    OK(wasi_args_get(words, text));
    CHECK(words[0] == text);
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        CHECK(words[i] == text + len);
        len += strlen(words[i]) + 1;
    }
    CHECK(len == size);
    CHECK(!strcmp(words[1], "all"));
}

static void env(void)
{
    uint32_t count = 0, size = 0;
    bool plain = false, empty = false, equals = false;
    OK(wasi_environ_sizes_get(&count, &size));
    char **words = calloc(count, sizeof *words), *text = malloc(size);
    OK(wasi_environ_get(words, text));
    for (uint32_t i = 0; i < count; i++) {
        plain |= !strcmp(words[i], "WASI_TEST=one two");
        empty |= !strcmp(words[i], "WASI_EMPTY=");
        equals |= !strcmp(words[i], "WASI_EQUALS=a=b");
        CHECK(environ[i] && !strcmp(environ[i], words[i]));
    }
    CHECK(plain && empty && equals);
    CHECK(words[count - 1] + strlen(words[count - 1]) + 1 == text + size);
}

static void clock_res(void)
{
    for (uint32_t id = 0; id < 2; id++) {
        uint64_t ns = 0;
        OK(wasi_clock_res_get(id, &ns));
        CHECK(ns > 0 && ns <= 1000000000);
    }
    uint64_t ns;
    EITHER(wasi_clock_res_get(2, &ns), 0, E(BADF));
    IS(wasi_clock_res_get(4, &ns), E(INVAL));
    IS(wasi_clock_res_get(UINT32_MAX, &ns), E(INVAL));
}

static void clock_time(void)
{
    uint64_t last = now_ns(1);
    CHECK(now_ns(0) > UINT64_C(1700000000000000000));
    for (int i = 0; i < 1000; i++) {
        uint64_t ns = now_ns(1);
        CHECK(ns >= last);
        last = ns;
    }
    uint64_t ns;
    OK(wasi_clock_time_get(1, 0, &ns));
    OK(wasi_clock_time_get(1, UINT64_MAX, &ns)); /* the precision is a wish */
    IS(wasi_clock_time_get(4, 1, &ns), E(INVAL));
    IS(wasi_clock_time_get(UINT32_MAX, 1, &ns), E(INVAL));
}

/* Of the process and of the thread: a guest is both. */
static void clock_cpu(void)
{
    for (uint32_t id = 2; id < 4; id++) {
        uint64_t before = 0, after = 0, wall = now_ns(1);
        OK(wasi_clock_time_get(id, 1, &before));
        for (volatile uint32_t i = 0; i < 30000000; i++)
            ;
        wasi_sched_yield();
        OK(wasi_clock_time_get(id, 1, &after));
        CHECK(after > before && after - before <= now_ns(1) - wall + 5000000);
    }
}

static void random_bytes(void)
{
    enum { MIB = 1 << 20 };
    uint8_t *a = calloc(1, MIB), *b = calloc(1, MIB);
    CHECK(a && b);
    OK(wasi_random_get(a, 0));
    CHECK(a[0] == 0);
    OK(wasi_random_get(a, 1 << 20));
    OK(wasi_random_get(b, 1 << 20));
    CHECK(memcmp(a, b, MIB) != 0);
    uint32_t zeros = 0, counts[256] = {0};
    for (int i = 0; i < MIB; i += 8)
        zeros += !memcmp(a + i, &(uint64_t){0}, 8);
    for (int i = 0; i < MIB; i++)
        counts[a[i]]++;
    CHECK(zeros == 0);
    for (int i = 0; i < 256; i++) /* 4096 on average, a standard deviation of 64 */
        CHECK(counts[i] > 3500 && counts[i] < 4700);
    uint32_t size = (uint32_t)__builtin_wasm_memory_size(0) << 16;
    OK(wasi_random_get((void *)(uintptr_t)size, 0));
    OK(wasi_random_get((void *)(uintptr_t)(size - 1), 1));
    free(a);
    free(b);
}

static void yielding(void)
{
    for (int i = 0; i < 100; i++)
        OK(wasi_sched_yield());
}

static void raise_none(void)
{
    OK(wasi_proc_raise(0));
    OK(wasi_proc_raise(16)); /* CHLD: ignored where nobody handles it */
    OK(wasi_proc_raise(17)); /* CONT */
    OK(wasi_proc_raise(22)); /* URG */
    OK(wasi_proc_raise(27)); /* WINCH */
    IS(wasi_proc_raise(31), E(INVAL));
    IS(wasi_proc_raise(UINT32_MAX), E(INVAL));
}

static void no_sockets(void)
{
    uint32_t fd, n = 0, file = make_file("f", "text");
    uint16_t flags = 0;
    char text[4];
    const uint32_t all[] = {1, dir, file};
    for (int i = 0; i < 3; i++) {
        EITHER(wasi_sock_accept(all[i], 0, &fd), E(NOTSOCK), E(BADF));
        EITHER(wasi_sock_recv(all[i], IOV(text, 4), 0, &n, &flags), E(NOTSOCK), E(BADF));
        EITHER(wasi_sock_send(all[i], IOV(text, 4), 0, &n), E(NOTSOCK), E(BADF));
        EITHER(wasi_sock_shutdown(all[i], 1), E(NOTSOCK), E(BADF));
    }
    IS(wasi_sock_accept(99, 0, &fd), E(BADF));
    IS(wasi_sock_recv(99, IOV(text, 4), 0, &n, &flags), E(BADF));
    IS(wasi_sock_send(UINT32_MAX, IOV(text, 4), 0, &n), E(BADF));
    IS(wasi_sock_shutdown(99, 3), E(BADF));
}

const struct test process_tests[] = {{"args_get", args},
                                     {"environ_get", env},
                                     {"clock_res_get", clock_res},
                                     {"clock_time_get", clock_time},
                                     {"clock_cpu", clock_cpu},
                                     {"random_get", random_bytes},
                                     {"sched_yield", yielding},
                                     {"proc_raise", raise_none},
                                     {"sock_no_socket", no_sockets},
                                     {0}};
