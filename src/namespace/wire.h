/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxer and keeper say to each other, over a stream socket below the sandboxer's DIR. Both ends are of one machine:
 * numbers are in its byte order.
 *
 * A connection opens with WIRE_MAGIC; then come frames: struct wire_header, then len bytes. The sandboxer asks (WIRE_INIT ...), the keeper answers each with WIRE_REPLY of the same serial and tells of
 * what happens by itself with serial 0. A connection that opens with a hexadecimal token in place of the magic is an attach.
 *
 * The version is in the magic: a sandboxer that was updated meets keepers of before and must still speak their language. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;

#define WIRE_MAGIC "WKC1"
enum {
    WIRE_MAGIC_LEN = 4,
    WIRE_PAYLOAD_MAX = 9 << 20,
    WIRE_TOKEN_LEN = 32,
};

enum wire_type {
    WIRE_REPLY = 1, /* i32 code, str message; where code is 0, what the request's comment says */
    /* requests */
    WIRE_INIT, /* u32 WIRE_POD_*, str hostname, str path of the network namespace, bytes record, bytes of sysctls, each
                           a str "name=value" -> u32 pid of the shared init or 0 */
    WIRE_LIST, /* -> bytes pod record, i64 stopped_ns or 0, u32 the keeper's pid; WIRE_PROCESS frames come before the reply */
    WIRE_CREATE,      /* struct wire_create -> u32 pid */
    WIRE_START,       /* name -> i64 started_ns */
    WIRE_SIGNAL,      /* name, i32 signal, u8 all */
    WIRE_REMOVE,      /* name; -EBUSY while it runs */
    WIRE_RESIZE,      /* name, u32 columns, u32 rows */
    WIRE_CLOSE_STDIN, /* name */
    WIRE_REOPEN_LOG,  /* name */
    WIRE_ATTACH,      /* name, u8 in, u8 out, u8 err -> str token */
    WIRE_REST,        /* i64: the pod was stopped; remembered for WIRE_LIST */
    WIRE_LEAVE,       /* kills all that runs and ends; answered before it does */
    /* what the keeper tells */
    WIRE_EXITED = 64, /* name, u32 status, i64 exited_ns, u8 oom_killed, str message */
    WIRE_PROCESS,     /* struct wire_process, of WIRE_LIST */
    WIRE_NOTE,        /* str: a warning for the sandboxer's own log */
};

struct wire_header {
    uint32_t len;
    uint32_t type;
    uint64_t serial;
};

enum {                        /* WIRE_INIT */
       WIRE_POD_NET = 1,      /* a network namespace of its own, loopback up */
       WIRE_POD_NET_PATH = 2, /* the network namespace of the path */
       WIRE_POD_IPC = 4,
       WIRE_POD_UTS = 8,
       WIRE_POD_PID = 16, /* one pid namespace for all containers, with an init of ours */
};

enum wire_state { WIRE_CREATED = 1, WIRE_RUNNING, WIRE_STOPPED };

enum { /* WIRE_CREATE */
       WIRE_TERMINAL = 1,
       WIRE_STDIN_HELD = 2, /* stdin stays open for attaches */
       WIRE_STDIN_ONCE = 4, /* and is closed when the first attach that wrote it leaves */
       WIRE_PID_POD = 8,    /* goes into the pod's shared pid namespace */
       WIRE_PID_OWN = 16,   /* has a pid namespace of its own: its end ends all */
};

struct wire_create {
    const char *id, *exec_id;
    uint32_t flags;
    const void *record;
    size_t record_len;
    const char *stdin_, *stdout_, *stderr_; /* addresses as technique.h says */
    const char *procs; /* cgroup.procs by which all of it can be killed; "" for none */
    const char *oom;   /* memory.oom_control or memory.events; "" for none */
    const void *recipe;
    size_t recipe_len;
    uint32_t columns, rows;
};

struct wire_process {
    const char *id, *exec_id;
    uint32_t state, pid, status;
    int64_t started_ns, exited_ns;
    bool oom_killed;
    const char *message;
    const void *record;
    size_t record_len;
};

/* Writing: the payload grows in a buffer; -ENOMEM is remembered by the buffer's owner as usual */

int wire_put_u32(struct buffer *b, uint32_t v);
int wire_put_i64(struct buffer *b, int64_t v);
int wire_put_bytes(struct buffer *b, const void *data, size_t len);
int wire_put_str(struct buffer *b, const char *s);
int wire_put_create(struct buffer *b, const struct wire_create *c);
int wire_put_process(struct buffer *b, const struct wire_process *p);
/* Appends a whole frame. */
int wire_frame(struct buffer *b, enum wire_type type, uint64_t serial,
               const struct buffer *payload);

/* Reading: what is short or not terminated sets bad; the values are then 0, "" and NULL */

struct wire_reader {
    const uint8_t *at, *end;
    bool bad;
};
uint32_t wire_u32(struct wire_reader *r);
int64_t wire_i64(struct wire_reader *r);
const void *wire_bytes(struct wire_reader *r, size_t *ret_len);
/* Points into the payload. */
const char *wire_str(struct wire_reader *r);
void wire_create(struct wire_reader *r, struct wire_create *ret);
void wire_process(struct wire_reader *r, struct wire_process *ret);

/* A socket's input */

/* Receives what is there onto the end of in. The number of bytes, 0 at the end, -EAGAIN, or another -errno. */
int wire_receive(struct buffer *in, int socket);
/* The next whole frame: 1, 0 where there is none yet, -EPROTO. payload is valid until wire_next_done(), which drops the
 * frame. */
int wire_next(const struct buffer *in, struct wire_header *ret, struct wire_reader *payload);
void wire_next_done(struct buffer *in, const struct wire_header *h);
/* Sends what the socket takes and drops it from out. 0, or -errno where the other end is gone. */
int wire_send(struct buffer *out, int socket);
