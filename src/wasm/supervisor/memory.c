/* SPDX-License-Identifier: Apache-2.0 */
/* Source: WebAssembly core specification 1.0, 5.5 (modules); memory64's flag from 3.0. */
#include "wasm/supervisor/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

enum { HEAD = 8, SECTION_MEMORY = 5, SECTIONS_MAX = 64, WINDOW = 32, FLAG_64 = 4 };
enum { PAGE = 65536 };

struct window {
    uint8_t data[WINDOW];
    size_t len, at;
};

static bool read_at(int fd, uint64_t at, struct window *w)
{
    ssize_t n = at > INT64_MAX ? -1 : pread(fd, w->data, sizeof w->data, (off_t)at);
    w->len = n > 0 ? (size_t)n : 0;
    w->at = 0;
    return n > 0;
}

static bool number(struct window *w, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; w->at < w->len && shift < 64; shift += 7) {
        uint8_t byte = w->data[w->at++];
        *ret |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static uint64_t first_memory(struct window *w)
{
    uint64_t count, flags, pages;
    if (!number(w, &count) || !count || !number(w, &flags) || flags > (FLAG_64 | 3) ||
        !number(w, &pages))
        return 0;
    return pages > UINT64_MAX / PAGE ? UINT64_MAX : pages * PAGE;
}

uint64_t module_memory(int fd)
{
    struct window w;
    uint64_t at = HEAD, size;
    for (int i = 0; i < SECTIONS_MAX && read_at(fd, at, &w); i++) {
        uint8_t section = w.data[w.at++];
        if (!number(&w, &size))
            return 0;
        if (section == SECTION_MEMORY)
            return first_memory(&w);
        at += w.at + (size & UINT32_MAX);
    }
    return 0;
}
