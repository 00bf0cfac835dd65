/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char gone[] = "";
#define MAP_GONE gone

static uint64_t seed(void)
{
    static uint64_t value;
    if (!value && getrandom(&value, sizeof value, 0) != sizeof value)
        value = (uint64_t)(uintptr_t)&value;
    return value | 1;
}

/* FNV-1a from a secret basis, then a finisher so that the low bits depend on all. */
static size_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed();
    for (; *key; key++)
        h = (h ^ (uint8_t)*key) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    return (size_t)h;
}

void map_done(struct map *m)
{
    free(m->entries);
    *m = (struct map){0};
}

static struct map_entry *find(const struct map *m, const char *key)
{
    if (!m->size)
        return NULL;
    for (size_t i = hash(key);; i++) {
        struct map_entry *e = &m->entries[i & (m->size - 1)];
        if (!e->key)
            return NULL;
        if (e->key != MAP_GONE && strcmp(e->key, key) == 0)
            return e;
    }
}

void *map_get(const struct map *m, const char *key)
{
    struct map_entry *e = find(m, key);
    return e ? e->value : NULL;
}

static void place(struct map *m, const char *key, void *value)
{
    size_t i = hash(key);
    while (m->entries[i & (m->size - 1)].key)
        i++;
    m->entries[i & (m->size - 1)] = (struct map_entry){key, value};
    m->count++;
    m->used++;
}

static int resize(struct map *m, size_t size)
{
    struct map grown = {.entries = calloc(size, sizeof *grown.entries), .size = size};
    if (!grown.entries)
        return -ENOMEM;
    for (size_t i = 0; i < m->size; i++)
        if (m->entries[i].key && m->entries[i].key != MAP_GONE)
            place(&grown, m->entries[i].key, m->entries[i].value);
    free(m->entries);
    *m = grown;
    return 0;
}

static size_t size_for(size_t count)
{
    size_t size = 16;
    while (size * 3 < count * 6)
        size *= 2;
    return size;
}

void map_fit(struct map *m)
{
    size_t size = size_for(m->count);
    if (size < m->size)
        resize(m, size);
}

int map_add(struct map *m, const char *key, void *value)
{
    if (find(m, key))
        return -EEXIST;
    if ((m->used + 1) * 4 > m->size * 3) {
        int r = resize(m, size_for(m->count + 1));
        if (r < 0)
            return r;
    }
    place(m, key, value);
    return 0;
}

void *map_remove(struct map *m, const char *key)
{
    struct map_entry *e = find(m, key);
    if (!e)
        return NULL;
    void *value = e->value;
    *e = (struct map_entry){.key = MAP_GONE};
    m->count--;
    return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->size) {
        struct map_entry *e = &m->entries[(*cursor)++];
        if (e->key && e->key != MAP_GONE)
            return e->value;
    }
    return NULL;
}
