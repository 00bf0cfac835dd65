/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's standard streams: a log, FIFOs of a foreign engine, and those who are attached. Writing never blocks on a reader:
 * a FIFO that is full parks the guest, an attached reader that lags more than ATTACH_BACKLOG is let go.
 *
 * All but the attached ones belong to who holds the guest; those have a lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log/log.h"

struct error;
struct attachment;

enum { ATTACH_BACKLOG = 1 << 20 };

struct console {
    struct log_writer log; /* format LOG_NONE where there is none */
    int fifo[3];           /* -1 where there is none */
    bool in_closed;
    bool logged_failure;
    struct attachment *attached;
};

/* Addresses as struct process has them. */
int console_init(struct console *c, const char *in, const char *out, const char *err_,
                 struct error *err);
void console_done(struct console *c);
/* How many of the bytes were taken, or -EAGAIN: wait until fifo[fd] is writable. fd is 1 or 2. */
ssize_t console_write(struct console *c, int fd, const void *data, size_t len);
/* 0 at the end of the input; -EAGAIN: wait until fifo[0] is readable. */
ssize_t console_read(struct console *c, void *data, size_t len);
/* Closes what can be opened again. */
void console_rest(struct console *c);
/* The guest has ended: writes the log's last unfinished line, and closes the FIFOs, whose readers
 * wait for the end. */
void console_flush(struct console *c);

/* Takes fd over: frames of what is written from now on go to it. Control thread. */
int console_attach(struct console *c, int fd, bool out, bool err_);
/* Lets all attached ones go: nothing more will come. Control thread. */
void console_hang_up(struct console *c);
