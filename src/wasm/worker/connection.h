/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the worker's socket: a supervisor's, whose first byte is 0, brings frames; any other attaches to a container. On the control
 * thread alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "wasm/worker/sched.h"

struct error;
struct wire_reader;

enum { CONNECTION_FDS = 16 };

struct connection {
    struct sched_watch watch; /* first: freed as it */
    struct buffer in, out;
    size_t sent;                  /* of out: what is left is not moved at every turn */
    bool known;                   /* its first byte has come */
    int received[CONNECTION_FDS]; /* descriptors whose frames are not served yet, in their order */
    unsigned received_count;
};

struct connection_handler {
    void (*serve)(struct connection *c,
                  struct wire_reader *r); /* what it appends to c->out is sent */
    void (*closed)(struct connection *c); /* it is freed later */
};

/* Accepts at listen from now on. */
int connections_init(int listen, const struct connection_handler *h, struct error *err);
/* Sends what can be sent of c->out; false where the other side has gone. */
bool connection_flush(struct connection *c);
void connection_close(struct connection *c);
/* Takes the oldest descriptor that came; -1 where there is none. */
int connection_take_fd(struct connection *c);
