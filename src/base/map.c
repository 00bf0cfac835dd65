/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What a slot's tag says before its key is looked at, which costs a miss of the cache: free, removed, or a few bits of the key's hash. */
enum { TAG_FREE, TAG_GONE, TAG_FIRST };

static uint64_t seed(void)
{
    static uint64_t value;
    if (!value && getrandom(&value, sizeof value, 0) != sizeof value)
        value = (uint64_t)(uintptr_t)&value;
    return value | 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes a step, multiplied by a secret. */
static uint64_t hash(const char *key)
{
    size_t len = strlen(key);
    uint64_t h = seed() ^ len, word;
    for (; len >= sizeof word; key += sizeof word, len -= sizeof word) {
        memcpy(&word, key, sizeof word);
        h = mix(h ^ word, 0x9e3779b97f4a7c15u ^ seed());
    }
    word = 0;
    memcpy(&word, key, len);
    return mix(h ^ word, 0xd6e8feb86659fd93u ^ seed());
}

static uint8_t tag_of(uint64_t h)
{
    return (uint8_t)(TAG_FIRST + (h >> 56) % (256 - TAG_FIRST));
}

void map_done(struct map *m)
{
    free(m->entries);
    *m = (struct map){0};
}

/* Its slot, or the size where there is none. */
static size_t find(const struct map *m, const char *key)
{
    if (!m->size)
        return 0;
    uint64_t h = hash(key);
    for (size_t i = (size_t)h & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        if (m->tags[i] == TAG_FREE)
            return m->size;
        if (m->tags[i] == tag_of(h) && strcmp(m->entries[i].key, key) == 0)
            return i;
    }
}

void *map_get(const struct map *m, const char *key)
{
    size_t i = find(m, key);
    return i < m->size ? m->entries[i].value : NULL;
}

static void place(struct map *m, const char *key, void *value)
{
    uint64_t h = hash(key);
    size_t i = (size_t)h & (m->size - 1);
    while (m->tags[i] != TAG_FREE)
        i = (i + 1) & (m->size - 1);
    m->tags[i] = tag_of(h);
    m->entries[i] = (struct map_entry){key, value};
    m->count++;
    m->used++;
}

static int resize(struct map *m, size_t size)
{
    struct map grown = {.entries = calloc(size, sizeof *grown.entries + sizeof *grown.tags),
                        .size = size};
    if (!grown.entries)
        return -ENOMEM;
    grown.tags = (uint8_t *)(grown.entries + size);
    for (size_t i = 0; i < m->size; i++)
        if (m->tags[i] >= TAG_FIRST)
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
    if (find(m, key) < m->size)
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
    size_t i = find(m, key);
    if (i >= m->size)
        return NULL;
    m->tags[i] = TAG_GONE;
    m->count--;
    return m->entries[i].value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->size) {
        size_t i = (*cursor)++;
        if (m->tags[i] >= TAG_FIRST)
            return m->entries[i].value;
    }
    return NULL;
}
