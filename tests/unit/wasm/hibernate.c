/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that fills its stack and its memory as SEED says, waits for a line of input, and looks whether all is as it was:
 * hibernate.wasm SEED */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 16 };

static unsigned char *pieces[PIECES];
static size_t sizes[PIECES];

static unsigned char byte_of(unsigned seed, size_t i)
{
    return (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

static int compare(unsigned seed)
{
    for (size_t k = 0; k < PIECES; k++)
        for (size_t i = 0; i < sizes[k]; i++)
            if (pieces[k][i] != byte_of(seed + (unsigned)k, i))
                return 0;
    return 1;
}

static int wait_here(void)
{
    char line[64];
    puts("waiting");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL;
}

/* A native frame for each level, with what lives across the wait. */
static int descend(unsigned seed, unsigned depth)
{
    unsigned char local[24];
    unsigned long a = seed * 3ul + depth, b = seed ^ depth * 77ul;
    for (size_t i = 0; i < sizeof local; i++)
        local[i] = byte_of(seed + depth, i);
    int good = depth ? descend(seed, depth - 1) : wait_here();
    for (size_t i = 0; i < sizeof local; i++)
        good &= local[i] == byte_of(seed + depth, i);
    return good && a == seed * 3ul + depth && b == (seed ^ depth * 77ul);
}

int main(int argc, char **argv)
{
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    for (unsigned k = 0; k < PIECES; k++) {
        sizes[k] = (seed * 997 + k * 131) % 9000 + 1;
        pieces[k] = malloc(sizes[k]);
        for (size_t i = 0; i < sizes[k]; i++)
            pieces[k][i] = byte_of(seed + k, i);
    }
    int good = descend(seed, seed * 5 % 90);
    good &= compare(seed);
    puts(good ? "as it was" : "changed");
    return !good;
}
