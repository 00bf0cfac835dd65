/* SPDX-License-Identifier: Apache-2.0 */
/* Address space for instances: slots of one size in big mappings, so that a hundred thousand stacks and memories are a few
 * dozen mappings to the kernel (vm.max_map_count is 65,530). A slot that nobody holds has no pages. Any thread. */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
    pthread_mutex_t lock;
    size_t size;  /* of a slot */
    size_t chunk; /* of a mapping */
    size_t guard; /* bytes at a slot's bottom that fault, 0 for none */
    uint8_t *at;  /* what is left of the newest mapping */
    size_t left;
    uint8_t **spare; /* given back, without pages */
    size_t spare_count, spare_size;
    size_t used;
};

#define SLOTS_INIT(bytes, guard_bytes)                                                             \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .size = (bytes), .guard = (guard_bytes)                 \
    }

/* A slot whose bytes are zero, or NULL where address space is out. */
uint8_t *slots_get(struct slots *s);
/* Drops the slot's pages. */
void slots_put(struct slots *s, uint8_t *slot);
