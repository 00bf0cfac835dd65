/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/slots.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard without a mapping of its own */
#endif

enum { CHUNK = 1 << 30 };

static int add_chunk(struct slots *s)
{
    s->chunk = s->size > CHUNK ? s->size : CHUNK / s->size * s->size;
    uint8_t *p = mmap(NULL, s->chunk, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -1;
    madvise(p, s->chunk, MADV_NOHUGEPAGE); /* a huge page would make 2 MiB of a slot resident */
    s->at = p;
    s->left = s->chunk;
    return 0;
}

static uint8_t *take(struct slots *s)
{
    if (s->spare_count)
        return s->spare[--s->spare_count];
    if (!s->left && add_chunk(s) < 0)
        return NULL;
    uint8_t *slot = s->at;
    s->at += s->size;
    s->left -= s->size;
    /* before 6.13 the guard is a mapping of its own: the mappings' limit then bounds the slots */
    if (s->guard && madvise(slot, s->guard, MADV_GUARD_INSTALL) < 0 &&
        mprotect(slot, s->guard, PROT_NONE) < 0)
        return NULL;
    return slot;
}

uint8_t *slots_get(struct slots *s)
{
    pthread_mutex_lock(&s->lock);
    uint8_t *slot = take(s);
    s->used += slot != NULL;
    pthread_mutex_unlock(&s->lock);
    return slot;
}

void slots_put(struct slots *s, uint8_t *slot)
{
    madvise(slot + s->guard, s->size - s->guard, MADV_DONTNEED);
    pthread_mutex_lock(&s->lock);
    s->used--;
    if (s->spare_count == s->spare_size) {
        size_t size = s->spare_size ? 2 * s->spare_size : 64;
        uint8_t **spare = reallocarray(s->spare, size, sizeof *spare);
        if (spare) {
            s->spare = spare;
            s->spare_size = size;
        }
    }
    if (s->spare_count < s->spare_size)
        s->spare[s->spare_count++] = slot; /* else its address space is lost, not its memory */
    pthread_mutex_unlock(&s->lock);
}
