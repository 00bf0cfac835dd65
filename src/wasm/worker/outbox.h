/* SPDX-License-Identifier: Apache-2.0 */
/* The records of what guests write to their logs, on their way to the files process. Who writes sends them; while the files process has
 * RECORD_STEP bytes to do they are gathered, and go together when it has done those. A position is a count of bytes since the beginning;
 * the files process says up to which one the logs have been written.
 *
 * A guest may be OUTBOX_AHEAD bytes in front of that; those that write much share OUTBOX_BUSY, so that what others write, and who waits
 * for his last words, is not long behind theirs; all of them have OUTBOX_MAX. One lock, which nobody has while he sends; it is taken before
 * no other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "wasm/files/record.h"

struct error;
struct guest;

/* OUTBOX_LITTLE: who has written less than that has not written much. */
enum {
    OUTBOX_AHEAD = 64 << 10,
    OUTBOX_LITTLE = 8 << 10,
    OUTBOX_BUSY = 128 << 10,
    OUTBOX_MAX = 8 << 20
};

/* A guest's account. */
struct outbox {
    uint64_t end;       /* position behind the last record that it must see written */
    uint64_t half_end;  /* behind the half of OUTBOX_AHEAD before the one it fills */
    uint32_t half;      /* bytes of the one it fills */
    uint8_t unended;    /* a bit a kind of record: its last line has no end yet */
    struct list link;   /* who waits; initialised by outbox_begin() */
    uint64_t waits_for; /* a position */
    struct guest *guest;
};

/* Takes the socket over; acknowledged is called when the files process has written more. Control thread. */
int outbox_init(int fd, void (*acknowledged)(void), struct error *err);
void outbox_begin(struct outbox *o, struct guest *g);
/* How many of the bytes were taken; -EAGAIN: none, and the guest is woken when there may be room. Who holds the guest. */
ssize_t outbox_write(struct outbox *o, uint64_t container, enum record_kind kind, const void *data,
                     size_t len);
/* Writes whatever the room, RECORD_MAX bytes at most. */
void outbox_force(struct outbox *o, uint64_t container, enum record_kind kind, const void *data,
                  size_t len);
/* The guest writes and waits no more. */
void outbox_end(struct outbox *o, uint64_t container);
/* Whether all of it is in the log. Any thread. */
bool outbox_written(const struct outbox *o);
/* Sends what is left, for a second at most. */
void outbox_drain(void);
