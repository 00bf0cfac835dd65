/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of log records from a worker to its files process: a head, and len bytes of what the guest wrote. Back come positions in
 * the stream (8 bytes each): all before it is in the logs. One comes for each RECORD_STEP bytes at least, and at each end. */
#pragma once

#include <stdint.h>

enum record_kind {
    RECORD_OUT = 1,
    RECORD_ERR = 2,
    RECORD_END = 3, /* the guest has ended: what it left without a newline is written */
};

enum {
    RECORD_MAX = 32 << 10, /* bytes of one */
    RECORD_STEP = 4 << 10,
};

struct record {
    uint64_t container;
    int64_t wall_ns;
    uint32_t len;
    uint32_t kind; /* enum record_kind */
};
