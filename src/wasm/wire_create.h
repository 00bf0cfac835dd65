/* SPDX-License-Identifier: Apache-2.0 */
/* The CREATE request: what a worker needs of a container, distilled from its spec. Strings are the caller's when written, and lie in
 * the frame when read. */
#pragma once

#include "wasm/compiled.h"
#include "wasm/wire.h"

/* Where a container's streams go. */
enum {
    WIRE_IN_FIFO = 1,
    WIRE_OUT_FIFO = 2,
    WIRE_ERR_FIFO = 4,
    WIRE_LOG = 8,
};

struct wire_cpu { /* linux.resources.cpu; 0: not said */
    uint64_t shares;
    int64_t quota;   /* us in each period; below 0: none */
    uint64_t period; /* us */
};
enum { WIRE_SOCKETS_MAX = 8 };
/* Bounds of what is said. */
enum { WIRE_PERIOD_MIN = 1000, WIRE_PERIOD_MAX = 1000000, WIRE_QUOTA_MIN = 1000 };
#define WIRE_QUOTA_MAX (INT64_C(1) << 40)
#define WIRE_TIME_MAX  (UINT64_C(1) << 62)

struct wire_limits {
    uint64_t memory; /* bytes of linear memory */
    struct wire_cpu cpu;
    uint64_t cpu_time, wall_time; /* ns; 0 for none */
};

struct wire_create {
    const char *sandbox_id, *id;
    const void *record;
    size_t record_len;
    struct compiled_key module;
    char **args, **env;
    char **preopens; /* directories of the container's tree, as vfs.h names them; the first is "" */
    uint64_t files;  /* its number in the files process */
    unsigned streams;
    struct wire_limits limits;
    const char *of; /* of an exec: its container, whose tree and limits it has; "" of a container */
    const char
        *entry; /* of an exec: the function of its container's module; "": the module is its own */
    unsigned sockets; /* descriptors that come with it: listening sockets */
    bool start;       /* START follows at once, in the same request */
};

void wire_put_cpu(struct wire_writer *w, const struct wire_cpu *cpu);
/* -EPROTO where it is out of bounds. */
int wire_get_cpu(struct wire_reader *r, struct wire_cpu *cpu);

int wire_put_create(struct buffer *out, uint32_t tag, const struct wire_create *c);
/* -EPROTO where the frame is no such request. The lists are malloced: wire_create_done. */
int wire_get_create(struct wire_reader *r, struct wire_create *c);
void wire_create_done(struct wire_create *c);
