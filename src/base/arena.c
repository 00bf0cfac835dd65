/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

enum { FIRST_BLOCK = 2048, LARGEST_SHARED = 65536 };

void arena_done(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->total = 0;
}

static struct arena_block *grow(struct arena *a, size_t size)
{
    size_t block = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
    if (block > LARGEST_SHARED)
        block = LARGEST_SHARED;
    if (block < size)
        block = size;
    struct arena_block *b = calloc(1, sizeof *b + block);
    if (!b) {
        fprintf(stderr, "out of memory: %zu bytes for a request\n", size);
        abort();
    }
    b->size = block;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 4)
        abort();
    size = (size + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < size)
        b = grow(a, size);
    void *p = b->data + b->used;
    b->used += size;
    a->total += size;
    return p;
}

void *arena_copy(struct arena *a, const void *data, size_t len)
{
    void *p = arena_alloc(a, len);
    return len ? memcpy(p, data, len) : p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_copy(a, s, strlen(s) + 1) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *s = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
    vsnprintf(s, (size_t)(n < 0 ? 0 : n) + 1, format, again);
    va_end(again);
    return s;
}
