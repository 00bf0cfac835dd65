/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that computes for ever, in ways that differ in what compiled code looks like: compute.wasm WAY. It says "begun" first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile unsigned sink;
static volatile double float_sink;
static unsigned char block[1 << 20];

static unsigned fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void registers(void)
{
    for (unsigned x = 1;; x ^= x << 13, x ^= x >> 17, x ^= x << 5)
        if (!x)
            sink = x;
}

static void calls(void)
{
    for (;;)
        sink = fibonacci(20);
}

static void floats(void)
{
    for (double x = 0.5;; x = 3.7 * x * (1 - x))
        if (x > 2)
            float_sink = x;
}

__attribute__((target("bulk-memory"))) static void fills(void)
{
    for (unsigned i = 0;; i++) {
        memset(block, (int)i, sizeof block);
        sink = block[i % sizeof block];
    }
}

static int order(const void *a, const void *b)
{
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void indirect(void)
{
    for (unsigned i = 0;; i++) {
        for (size_t k = 0; k < 4096; k++)
            block[k] = (unsigned char)(k * 131 + i);
        qsort(block, 4096, 1, order);
    }
}

static void asks(void)
{
    struct timespec t;
    for (;;)
        sink = (unsigned)clock_gettime(CLOCK_MONOTONIC, &t);
}

static void grows(void)
{
    for (unsigned i = 0;; i++) {
        void *p = malloc(i % 100000);
        sink = p != NULL;
        free(p);
    }
}

/* Comes to an end: all of it at once, so that what is lost or mixed up on the way shows in the sum. */
__attribute__((target("bulk-memory"))) static void sum(void)
{
    double x = 0.3, y = 0.7, z = 1e-3;
    unsigned long long a = 1, b = 2;
    for (unsigned i = 0; i < 20000; i++) {
        struct timespec t;
        for (int k = 0; k < 300; k++) {
            x = 3.7 * x * (1 - x);
            y = 3.9 * y * (1 - y);
            z += x * y;
            a = a * 6364136223846793005ull + 1442695040888963407ull;
            b ^= a >> 7 ^ b << 3;
        }
        b += fibonacci(12);
        memset(block, (int)(b & 255), 1 << 16);
        clock_gettime(CLOCK_MONOTONIC, &t);
        a += block[b % (1 << 16)] + (t.tv_sec < 0);
        if (i % 512 == 0)
            qsort(block + i % 4096, 2048, 1, order);
    }
    printf("sum %a %a %a %llx %llx\n", x, y, z, a, b);
    exit(0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*way)(void);
    } ways[] = {{"registers", registers}, {"calls", calls}, {"floats", floats}, {"fills", fills},
                {"indirect", indirect},   {"asks", asks},   {"grows", grows},   {"sum", sum}};
    puts("begun");
    fflush(stdout);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (argc > 1 && !strcmp(argv[1], ways[i].name))
            ways[i].way();
    return 2;
}
