/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap, least key first. What is in it keeps its place plus 1 in a number of its own (0: not in it), by which it is found
 * again: container_of leads from there to the thing. Keys may wrap: they are compared by their difference. */
#pragma once

#include <stdint.h>

struct heap_entry {
    int64_t key;
    uint32_t *at;
};

struct heap {
    struct heap_entry *entries;
    uint32_t count, size;
};

/* Aborts where memory is out: what is lost from a queue would never be woken. */
void heap_add(struct heap *h, int64_t key, uint32_t *at);
/* Harmless on what is not in it. */
void heap_remove(struct heap *h, uint32_t *at);
void heap_change(struct heap *h, int64_t key, uint32_t *at);
void heap_done(struct heap *h);
