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

static void fills(void)
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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*way)(void);
    } ways[] = {{"registers", registers}, {"calls", calls}, {"floats", floats}, {"fills", fills},
                {"indirect", indirect},   {"asks", asks},   {"grows", grows}};
    puts("begun");
    fflush(stdout);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (argc > 1 && !strcmp(argv[1], ways[i].name))
            ways[i].way();
    return 2;
}
