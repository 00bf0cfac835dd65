/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as a request: allocated piece by piece, released at once. The zero
 * value is empty. Pieces are aligned to 16 bytes and zeroed. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct arena {
    struct arena_block *blocks;
    size_t total; /* bytes handed out */
};

void arena_done(struct arena *a);
CLEANUP_DONE(arena, struct arena);

/* Never NULL: memory out ends the process, as a request that small cannot be answered without it.
 * The sizes that come from outside are bounded by who reads them. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_copy(struct arena *a, const void *data, size_t len);
/* NULL stays NULL. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), (n) * sizeof(type)))
