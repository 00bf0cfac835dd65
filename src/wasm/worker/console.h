/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's standard streams: a log, FIFOs of a foreign engine, and those who are attached. Writing never blocks on a reader or a disk:
 * a FIFO that is full and a log that is behind park the guest, an attached reader that lags more than ATTACH_BACKLOG is let go. The
 * files process opens the FIFOs when the guest begins, and writes the log.
 *
 * All but the attached ones belong to who holds the guest; those have a lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wasm/worker/outbox.h"

struct attachment;
struct guest;

enum { ATTACH_BACKLOG = 1 << 20 };

struct console {
    uint64_t files;  /* the container's number in the files process */
    uint8_t streams; /* WIRE_IN_FIFO and so on: what there is */
    uint8_t opened;  /* how many of the FIFOs are open, or are none */
    bool in_closed;
    int fifo[3]; /* -1 where there is none */
    struct outbox log;
    struct attachment *attached;
};

void console_init(struct console *c, struct guest *g, uint64_t files, unsigned streams);
void console_done(struct console *c);
/* Has the FIFOs opened, one after the other: false while g waits for one, and is to be parked. */
bool console_opened(struct console *c, struct guest *g);
/* How many of the bytes were taken, or -EAGAIN: wait until fifo[fd] is writable, or, where that is -1, to be woken. fd is 1 or 2. */
ssize_t console_write(struct console *c, int fd, const void *data, size_t len);
/* Writes text and a newline to the error output, whatever the room in the log. */
void console_last_words(struct console *c, const char *text);
/* 0 at the end of the input; -EAGAIN: wait until fifo[0] is readable. */
ssize_t console_read(struct console *c, void *data, size_t len);
/* The same of a FIFO, which is open and non-blocking. */
ssize_t fifo_read(int fd, void *data, size_t len);
ssize_t fifo_write(int fd, const void *data, size_t len);
/* The guest has ended: so has its log, and the FIFOs are closed, whose readers wait for the end. */
void console_end(struct console *c);
/* Whether all that was written is in the log. */
bool console_written(const struct console *c);

/* Takes fd over: frames of what is written from now on go to it. Control thread. */
int console_attach(struct console *c, int fd, bool out, bool err_);
/* Lets all attached ones go: nothing more will come. Control thread. */
void console_hang_up(struct console *c);
