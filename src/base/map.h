/* SPDX-License-Identifier: Apache-2.0 */
/* A hash map from strings to pointers. Neither keys nor values are owned: a key is normally a field
 * of its value and must stay as it is while it is in the map. 17 bytes an entry at most 3/4 full.
 * The hash is seeded per process, so that ids from outside cannot be chosen to collide. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct map_entry {
    const char *key;
    void *value;
};

struct map {
    struct map_entry *entries;
    uint8_t *tags; /* behind the entries: which are in use */
    size_t size;   /* a power of two, or 0 */
    size_t count;  /* live entries */
    size_t used;   /* live and gone */
};

void map_done(struct map *m);
CLEANUP_DONE(map, struct map);

/* NULL where the key is unknown. */
void *map_get(const struct map *m, const char *key);
/* 0; -EEXIST where the key is there already (nothing changes); -ENOMEM. */
int map_add(struct map *m, const char *key, void *value);
/* The value that was there, or NULL. */
void *map_remove(struct map *m, const char *key);

/* After many were removed: takes no more memory than the rest needs, if there is memory for the change. */
void map_fit(struct map *m);

/* Walks the entries in no particular order: size_t i = 0; while ((v = map_next(&m, &i))) ...
 * Removing the entry just returned is allowed, adding is not. */
void *map_next(const struct map *m, size_t *cursor);
