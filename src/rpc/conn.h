/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: a socket's bytes in, a buffer of bytes out, on the loop.
 *
 * Reading: one recv into a buffer that all connections share, then the owner's received(). Writing:
 * whoever has something to send says conn_dirty(); once a turn of the loop, after all that was
 * ready has run, the owner's fill() appends to out, and one send takes it away. So a turn costs two
 * system calls a connection, however many calls it carried.
 *
 * A connection is closed by conn_close(): the owner's closed() is called once, from there, and
 * released() once nothing of the connection is on the stack or in the loop any more. */
#pragma once

#include <uv.h>

#include "base/buffer.h"
#include "base/list.h"

struct conn;

struct conn_ops {
    /* Takes all of data. Negative: the connection is closed with that. */
    int (*received)(struct conn *c, const uint8_t *data, size_t len);
    /* Appends what is to be sent to out, until it holds CONN_OUT_HIGH bytes; may be NULL. Negative
     * closes. */
    int (*fill)(struct conn *c);
    /* All of out is with the kernel; may be NULL. */
    void (*drained)(struct conn *c);
    void (*closed)(struct conn *c, int code);
    void (*released)(struct conn *c);
};

enum {
    CONN_OUT_HIGH = 256 << 10, /* fill() stops here */
    CONN_OUT_STOP =
        1 << 20, /* a peer that makes us write and does not read is no longer read from */
};

struct conn {
    const struct conn_ops *ops;
    uv_poll_t poll;
    int fd;
    int events; /* polled for */
    struct buffer out;
    size_t out_sent;   /* of out */
    uint64_t sent;     /* bytes ever */
    struct list dirty; /* linked while something is to be sent */
    bool closed;
    bool last; /* close once out is empty */
};

/* Owns fd from here on, success or not; fd is non-blocking. */
int conn_init(struct conn *c, int fd, const struct conn_ops *ops);
void conn_dirty(struct conn *c);
/* Bytes ever queued: what is queued now begins at this place of the stream. */
static inline uint64_t conn_position(const struct conn *c)
{
    return c->sent + (c->out.len - c->out_sent);
}
static inline size_t conn_pending(const struct conn *c)
{
    return c->out.len - c->out_sent;
}
/* Sends what can be sent now; not from inside the owner's functions. */
void conn_flush(struct conn *c);
/* Sends what is queued, then closes. */
void conn_finish(struct conn *c);
void conn_close(struct conn *c, int code);

/* Connects to the socket at path, of any length. A descriptor, non-blocking, or -errno; -EAGAIN:
 * the listener's queue is full. */
int unix_connect(const char *path);
/* As bind(2) to the socket at path, of any length. 0 or -errno. */
int unix_bind(int fd, const char *path);
