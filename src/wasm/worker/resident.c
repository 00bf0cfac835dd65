/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/resident.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "wasm/worker/guest.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/sched.h"

enum { PAGE = 4096, PAGES_AT_ONCE = 4096 };

/* The addresses may be others' by now, or nobody's: then it counts wrong, or not at all, and touches nothing. */
static uint64_t resident(uint8_t *at, uint64_t len)
{
    unsigned char page[PAGES_AT_ONCE];
    uint64_t sum = 0;
    for (uint64_t done = 0; done < len;) {
        uint64_t piece = len - done < sizeof page * PAGE ? len - done : sizeof page * PAGE;
        if (mincore(at + done, piece, page) == 0)
            for (size_t i = 0; i < (piece + PAGE - 1) / PAGE; i++)
                sum += page[i] & 1 ? PAGE : 0;
        done += piece;
    }
    return sum;
}

struct hibernating {
    uint64_t size;
    bool is;
};

static void look(struct guest *g, void *arg)
{
    struct hibernating *h = arg;
    h->is = g->state != GUEST_RESTING && g->hibernated;
    if (h->is)
        h->size = hibernate_size(g->hibernated);
}

uint64_t guest_resident(struct guest *g)
{
    struct hibernating h = {0};
    sched_with(g, look, &h);
    return h.is ? h.size : resident(atomic_load(&g->memory_at), atomic_load(&g->memory));
}
