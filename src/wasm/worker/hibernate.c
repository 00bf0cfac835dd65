/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/hibernate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/delta.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/module.h"
#include "wasm/worker/runtime.h"

enum {
    PAGES_MAX = 512, /* of memory: more is not worth packing */
    REFERENCES_MAX = 8,
    STACK_PAGES = RUNTIME_STACK / DELTA_PAGE,
    SCRATCH_KEPT = 256 << 10,
};

/* Of one module. Stack pages are counted down from the top, since a stack's depth is what guests have in common. */
struct reference {
    uint8_t *top; /* of the stack that it was: only the distance to it is used */
    uint8_t *stack;
    uint32_t stack_pages;
    uint32_t memory_pages;
    uint32_t *numbers; /* of the memory pages, ascending */
    uint8_t *memory;
};

struct references {
    unsigned count;
    struct reference list[REFERENCES_MAX];
};

/* bytes: for each page that differs from the reference's its number (4 bytes) and its delta, the stack's and then the memory's. */
struct hibernated {
    const struct reference *reference;
    uint32_t stack_pages, stack_len, memory_len;
    uint8_t bytes[];
};

static int pagemap = -1;

void hibernate_init(void)
{
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

/* Which pages there are */

struct resident {
    uint32_t count;
    uint32_t numbers[PAGES_MAX];
};

/* The pages of [at, at + len) that have ever been written to, whether in memory or swapped out (mincore(2) does not tell the
 * latter). False where they are too many. */
static bool find_resident(const uint8_t *at, size_t len, struct resident *ret)
{
    static const uint64_t there = UINT64_C(3) << 62; /* present, swapped: pagemap.rst */
    uint64_t entries[512];
    size_t pages = len / DELTA_PAGE, first = (uintptr_t)at / DELTA_PAGE;
    ret->count = 0;
    for (size_t done = 0; done < pages;) {
        size_t n = pages - done < ARRAY_SIZE(entries) ? pages - done : ARRAY_SIZE(entries);
        if (pread(pagemap, entries, 8 * n, (off_t)(8 * (first + done))) != (ssize_t)(8 * n))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (!(entries[i] & there))
                continue;
            if (ret->count == PAGES_MAX)
                return false;
            ret->numbers[ret->count++] = (uint32_t)(done + i);
        }
        done += n;
    }
    return true;
}

/* References */

static void reference_done(struct reference *r)
{
    free(r->stack);
    free(r->numbers);
    free(r->memory);
}

void hibernate_free_references(struct references *r)
{
    for (unsigned i = 0; r && i < r->count; i++)
        reference_done(&r->list[i]);
    free(r);
}

static bool reference_make(struct reference *r, const struct runtime_space *s, uint32_t stack_pages,
                           const struct resident *pages)
{
    *r = (struct reference){
        .top = s->stack + RUNTIME_STACK, .stack_pages = stack_pages, .memory_pages = pages->count};
    r->stack = malloc((size_t)DELTA_PAGE * stack_pages);
    r->numbers = calloc(pages->count + 1, sizeof *r->numbers);
    r->memory = malloc((size_t)DELTA_PAGE * pages->count + 1);
    if (!r->stack || !r->numbers || !r->memory) {
        reference_done(r);
        return false;
    }
    for (uint32_t i = 0; i < stack_pages; i++)
        memcpy(r->stack + (size_t)DELTA_PAGE * i, r->top - (size_t)DELTA_PAGE * (i + 1),
               DELTA_PAGE);
    for (uint32_t i = 0; i < pages->count; i++) {
        r->numbers[i] = pages->numbers[i];
        memcpy(r->memory + (size_t)DELTA_PAGE * i,
               runtime_memory(s) + (size_t)DELTA_PAGE * pages->numbers[i], DELTA_PAGE);
    }
    return true;
}

/* One whose stack is as deep, since it was probably parked in the same place; made of this guest where there is none. */
static const struct reference *reference_for(struct references **refs,
                                             const struct runtime_space *s, uint32_t stack_pages,
                                             const struct resident *pages)
{
    struct references *r = *refs;
    if (!r)
        r = *refs = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    for (unsigned i = 0; i < r->count; i++)
        if (r->list[i].stack_pages == stack_pages)
            return &r->list[i];
    if (r->count < REFERENCES_MAX && reference_make(&r->list[r->count], s, stack_pages, pages))
        r->count++;
    return r->count ? &r->list[r->count - 1] : NULL;
}

static const uint8_t *reference_stack(const struct reference *r, uint32_t page)
{
    return page < r->stack_pages ? r->stack + (size_t)DELTA_PAGE * page : NULL;
}

/* Packing */

static bool put_page(struct buffer *out, uint32_t number, const uint8_t *page,
                     const uint8_t *reference, uint64_t moved)
{
    if (buffer_reserve(out, sizeof number + DELTA_MAX) < 0)
        return false;
    size_t n = delta_pack(out->data + out->len + sizeof number, page, reference, moved);
    if (n) {
        memcpy(out->data + out->len, &number, sizeof number);
        out->len += sizeof number + n;
    }
    return true;
}

static bool pack_stack(struct buffer *out, const struct runtime_space *s, uint32_t pages,
                       const struct reference *r)
{
    uint8_t *top = s->stack + RUNTIME_STACK;
    bool good = true;
    for (uint32_t i = 0; good && i < pages; i++)
        good = put_page(out, i, top - (size_t)DELTA_PAGE * (i + 1), reference_stack(r, i),
                        (uint64_t)(top - r->top));
    return good;
}

static bool pack_memory(struct buffer *out, const struct runtime_space *s,
                        const struct resident *pages, const struct reference *r)
{
    static const uint8_t zeros[DELTA_PAGE];
    size_t size = runtime_memory_size(s) / DELTA_PAGE;
    bool good = true;
    for (uint32_t i = 0, k = 0; good && (i < pages->count || k < r->memory_pages);) {
        uint32_t mine = i < pages->count ? pages->numbers[i] : UINT32_MAX;
        uint32_t theirs = k < r->memory_pages ? r->numbers[k] : UINT32_MAX;
        uint32_t number = mine < theirs ? mine : theirs;
        if (number >= size)
            break;
        good = put_page(out, number,
                        mine == number ? runtime_memory(s) + (size_t)DELTA_PAGE * number : zeros,
                        theirs == number ? r->memory + (size_t)DELTA_PAGE * k : NULL, 0);
        i += mine == number;
        k += theirs == number;
    }
    return good;
}

/* How many pages of the stack are in use, what lies below the stack pointer cleared; 0 where that is not in the stack. */
static uint32_t live_stack(const struct runtime_space *s)
{
    uint8_t *top = s->stack + RUNTIME_STACK, *pointer;
    memcpy(&pointer, top - 16, sizeof pointer);
    if (pointer < s->stack + DELTA_PAGE || pointer >= top - 16)
        return 0;
    uint8_t *page = (uint8_t *)((uintptr_t)pointer & ~(uintptr_t)(DELTA_PAGE - 1));
    memset(page, 0, (size_t)(pointer - page));
    return (uint32_t)((top - page) / DELTA_PAGE);
}

struct hibernated *hibernate_pack(const struct runtime_space *s, struct references **refs)
{
    static struct resident pages;
    static struct buffer scratch;
    if (!find_resident(runtime_memory(s), runtime_memory_size(s), &pages))
        return NULL;
    uint32_t stack_pages = live_stack(s);
    const struct reference *r = stack_pages ? reference_for(refs, s, stack_pages, &pages) : NULL;
    if (!r)
        return NULL;
    buffer_clear(&scratch);
    if (!pack_stack(&scratch, s, stack_pages, r))
        return NULL;
    size_t stack_len = scratch.len;
    struct hibernated *h =
        pack_memory(&scratch, s, &pages, r) ? malloc(sizeof *h + scratch.len) : NULL;
    if (!h)
        return NULL;
    *h = (struct hibernated){r, stack_pages, (uint32_t)stack_len,
                             (uint32_t)(scratch.len - stack_len)};
    memcpy(h->bytes, scratch.data, scratch.len);
    if (scratch.size > SCRATCH_KEPT)
        buffer_done(&scratch);
    madvise(s->stack + DELTA_PAGE, RUNTIME_STACK - DELTA_PAGE, MADV_DONTNEED);
    if (pages.count)
        madvise(runtime_memory(s), ((size_t)pages.numbers[pages.count - 1] + 1) * DELTA_PAGE,
                MADV_DONTNEED);
    return h;
}

/* Unpacking */

/* Whether the next entry is for this page; then it is written. */
static bool take_page(const uint8_t **at, const uint8_t *end, uint32_t number, uint8_t *page,
                      const uint8_t *reference, uint64_t moved)
{
    uint32_t next;
    if ((size_t)(end - *at) < sizeof next)
        return false;
    memcpy(&next, *at, sizeof next);
    if (next != number)
        return false;
    size_t n =
        delta_unpack(page, *at + sizeof next, (size_t)(end - *at) - sizeof next, reference, moved);
    if (!n)
        abort(); /* our own bytes: memory has been overwritten */
    *at += sizeof next + n;
    return true;
}

static void unpack_stack(const struct runtime_space *s, const struct hibernated *h)
{
    uint8_t *top = s->stack + RUNTIME_STACK;
    const uint8_t *at = h->bytes, *end = at + h->stack_len;
    for (uint32_t i = 0; i < h->stack_pages; i++) {
        const uint8_t *reference = reference_stack(h->reference, i);
        uint8_t *page = top - (size_t)DELTA_PAGE * (i + 1);
        if (!take_page(&at, end, i, page, reference, (uint64_t)(top - h->reference->top)) &&
            reference)
            memcpy(page, reference, DELTA_PAGE);
    }
}

static void unpack_memory(const struct runtime_space *s, const struct hibernated *h)
{
    const struct reference *r = h->reference;
    const uint8_t *at = h->bytes + h->stack_len, *end = at + h->memory_len;
    uint8_t *memory = runtime_memory(s);
    size_t size = runtime_memory_size(s) / DELTA_PAGE;
    for (uint32_t k = 0; at < end || k < r->memory_pages;) {
        uint32_t mine = UINT32_MAX, theirs = k < r->memory_pages ? r->numbers[k] : UINT32_MAX;
        if (at < end)
            memcpy(&mine, at, sizeof mine);
        uint32_t number = mine < theirs ? mine : theirs;
        if (number >= size)
            break;
        const uint8_t *reference = theirs == number ? r->memory + (size_t)DELTA_PAGE * k : NULL;
        uint8_t *page = memory + (size_t)DELTA_PAGE * number;
        if (!take_page(&at, end, number, page, reference, 0))
            memcpy(page, reference, DELTA_PAGE);
        k += theirs == number;
    }
}

void hibernate_unpack(const struct runtime_space *s, const struct hibernated *h)
{
    unpack_stack(s, h);
    unpack_memory(s, h);
}

/* Guests */

bool hibernate_guest(struct guest *g)
{
    if (!g->instantiated || !g->future || g->hibernated || !runtime_memory(&g->space) ||
        !g->space.stack)
        return false;
    g->hibernated = hibernate_pack(&g->space, &g->module->references);
    return g->hibernated;
}

void hibernate_wake(struct guest *g)
{
    if (!g->hibernated)
        return;
    hibernate_unpack(&g->space, g->hibernated);
    free(take_ptr(&g->hibernated));
}

size_t hibernate_size(const struct hibernated *h)
{
    return sizeof *h + h->stack_len + h->memory_len;
}
