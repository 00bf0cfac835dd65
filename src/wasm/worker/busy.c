/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/busy.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/base.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/runtime.h"

/* Of a guest: what is reserved, what may be used, a copy-on-write image and what it splits; as counted in /proc/PID/maps. */
/* THREADS_MOST: each has one while it computes. */
enum { THREADS_MOST = 512, MAPPINGS_EACH = 6, MAPPINGS_DEFAULT = 65530 };
#define ADDRESSES (UINT64_C(1) << 47)

static atomic_uint taken;
static unsigned most;

void busy_init(void)
{
    auto(buffer) struct buffer text = {0};
    int64_t mappings = MAPPINGS_DEFAULT;
    if (file_read(AT_FDCWD, "/proc/sys/vm/max_map_count", 64, &text, NULL) == 0)
        mappings = strtoll(buffer_text(&text), NULL, 10);
    uint64_t by_mappings = (uint64_t)(mappings > 0 ? mappings : 0) / 2 / MAPPINGS_EACH;
    uint64_t by_addresses = ADDRESSES / 2 / (RUNTIME_BUSY_RESERVATION + 2 * RUNTIME_BUSY_GUARD);
    most = THREADS_MOST;
    if (by_mappings < most)
        most = (unsigned)by_mappings;
    if (by_addresses < most)
        most = (unsigned)by_addresses;
}

unsigned busy_most(void)
{
    return most;
}

bool busy_take(void)
{
    if (!interrupt_works())
        most = 0;
    if (atomic_fetch_add(&taken, 1) < most)
        return true;
    busy_give();
    return false;
}

void busy_give(void)
{
    atomic_fetch_sub(&taken, 1);
}
