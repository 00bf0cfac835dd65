/* SPDX-License-Identifier: Apache-2.0 */
/* A delta is: 8 bytes that say which of the 64 bytes of the map of differing words are not zero; those bytes; 2 bits a differing
 * word; 8 bytes a literal. */
#include "wasm/worker/delta.h"

#include <string.h>

enum { WORDS = DELTA_PAGE / 8, MAP = WORDS / 8 };
enum { WORD_ZERO = 1, WORD_MOVED = 2, WORD_LITERAL = 3 };

static const uint8_t zeros[DELTA_PAGE];

static uint64_t word_at(const uint8_t *p, size_t i)
{
    uint64_t w;
    memcpy(&w, p + 8 * i, 8);
    return w;
}

static unsigned class_of(uint64_t word, uint64_t reference, uint64_t moved)
{
    if (!word)
        return WORD_ZERO;
    return moved && word == reference + moved ? WORD_MOVED : WORD_LITERAL;
}

size_t delta_pack(uint8_t out[DELTA_MAX], const uint8_t page[DELTA_PAGE], const uint8_t *reference,
                  uint64_t moved)
{
    uint8_t map[MAP] = {0}, classes[WORDS / 4] = {0};
    uint16_t literals[WORDS];
    size_t differing = 0, literal_count = 0, at = 8;
    uint64_t used = 0;
    if (!reference)
        reference = zeros;
    if (memcmp(page, reference, DELTA_PAGE) == 0)
        return 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t word = word_at(page, i), from = word_at(reference, i);
        if (word == from)
            continue;
        unsigned class = class_of(word, from, moved);
        map[i / 8] |= (uint8_t)(1u << i % 8);
        classes[differing / 4] |= (uint8_t)(class << 2 * (differing % 4));
        differing++;
        if (class == WORD_LITERAL)
            literals[literal_count++] = (uint16_t)i;
    }
    for (size_t i = 0; i < MAP; i++)
        if (map[i]) {
            used |= UINT64_C(1) << i;
            out[at++] = map[i];
        }
    memcpy(out, &used, 8);
    memcpy(out + at, classes, (differing + 3) / 4);
    at += (differing + 3) / 4;
    for (size_t i = 0; i < literal_count; i++, at += 8)
        memcpy(out + at, page + 8 * (size_t)literals[i], 8);
    return at;
}

/* Reads the map of differing words: how many there are, and in *ret_at where it ends; -1 where it is cut. */
static int read_map(const uint8_t *delta, size_t len, uint8_t map[MAP], size_t *ret_at)
{
    uint64_t used;
    int differing = 0;
    size_t at = 8;
    if (len < 8)
        return -1;
    memcpy(&used, delta, 8);
    for (size_t i = 0; i < MAP; i++) {
        map[i] = 0;
        if (!(used >> i & 1))
            continue;
        if (at >= len)
            return -1;
        map[i] = delta[at++];
        differing += __builtin_popcount(map[i]);
    }
    *ret_at = at;
    return differing;
}

size_t delta_unpack(uint8_t page[DELTA_PAGE], const uint8_t *delta, size_t len,
                    const uint8_t *reference, uint64_t moved)
{
    uint8_t map[MAP];
    size_t at, n = 0;
    int differing = read_map(delta, len, map, &at);
    if (differing < 0 || len - at < ((size_t)differing + 3) / 4)
        return 0;
    const uint8_t *classes = delta + at;
    at += ((size_t)differing + 3) / 4;
    memcpy(page, reference ? reference : zeros, DELTA_PAGE);
    for (size_t i = 0; i < WORDS; i++) {
        if (!(map[i / 8] >> i % 8 & 1))
            continue;
        unsigned class = classes[n / 4] >> 2 * (n % 4) & 3;
        uint64_t word = class == WORD_MOVED ? word_at(page, i) + moved : 0;
        n++;
        if (class == WORD_LITERAL) {
            if (len - at < 8)
                return 0;
            memcpy(&word, delta + at, 8);
            at += 8;
        }
        memcpy(page + 8 * i, &word, 8);
    }
    return at;
}
