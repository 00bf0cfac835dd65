/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/heap.h"

#include <stdbool.h>
#include <stdlib.h>

static bool before(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b) < 0;
}

static void put(struct heap *h, uint32_t place, struct heap_entry e)
{
    h->entries[place] = e;
    *e.at = place + 1;
}

/* Puts e where it belongs, from place on upwards or downwards. */
static void settle(struct heap *h, uint32_t place, struct heap_entry e)
{
    for (; place && before(e.key, h->entries[(place - 1) / 2].key); place = (place - 1) / 2)
        put(h, place, h->entries[(place - 1) / 2]);
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && before(h->entries[child + 1].key, h->entries[child].key))
            child++;
        if (!before(h->entries[child].key, e.key))
            break;
        put(h, place, h->entries[child]);
        place = child;
    }
    put(h, place, e);
}

void heap_add(struct heap *h, int64_t key, uint32_t *at)
{
    if (h->count == h->size) {
        uint32_t size = h->size ? 2 * h->size : 4;
        struct heap_entry *entries = reallocarray(h->entries, size, sizeof *entries);
        if (!entries)
            abort();
        h->entries = entries;
        h->size = size;
    }
    h->count++;
    settle(h, h->count - 1, (struct heap_entry){key, at});
}

void heap_remove(struct heap *h, uint32_t *at)
{
    if (!*at)
        return;
    uint32_t place = *at - 1;
    struct heap_entry last = h->entries[--h->count];
    *at = 0;
    if (last.at != at)
        settle(h, place, last);
}

void heap_change(struct heap *h, int64_t key, uint32_t *at)
{
    settle(h, *at - 1, (struct heap_entry){key, at});
}

void heap_done(struct heap *h)
{
    free(h->entries);
    *h = (struct heap){0};
}
