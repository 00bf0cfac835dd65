/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor and worker say to each other over the worker's Unix socket, and supervisor and files process over that one's. All are of one build: a HELLO
 * carries WIRE_VERSION, and a worker of another version is left alone until its pods have ended.
 *
 * A connection begins with the byte 0 (else it is one of attach, whose token is text). A frame is the length of what follows (4
 * bytes), a type, a tag (4 bytes) and fields: numbers as 8 bytes, strings and bytes as a length of 4 and their bytes and a NUL,
 * lists as a count of 4 and their strings. Little endian, as both are. Each request but one of tag 0 is answered by one REPLY with its
 * tag: code, message, and what the request asks for. Descriptors come with the first byte of the frame that they belong to.
 *
 * With HELLO comes a socket that wakes nobody: the worker reads it before it serves a frame of the connection, and when that has ended.
 * It carries SANDBOX_ADD of tag 0, for which a worker that sleeps need not be woken. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { WIRE_VERSION = 7, WIRE_FRAME_MAX = 16 << 20, WIRE_HEAD = 9 };

enum wire_type {
    /* requests */
    WIRE_HELLO =
        1, /* version, with the socket; before the REPLY comes an ITEM for each thing held. Reply: pid */
    WIRE_SANDBOX_ADD,    /* id, record, cpu */
    WIRE_SANDBOX_REMOVE, /* id; with all that is in it */
    WIRE_CREATE, /* see wire_create.h. -ENOKEY: has not its module. -EUSERS: no more busy ones */
    WIRE_MODULE, /* digest, profile, with a descriptor of the compiled file */
    WIRE_START,  /* id */
    WIRE_SIGNAL, /* id, signal */
    WIRE_REMOVE, /* id */
    WIRE_PAUSE,  /* id, paused */
    WIRE_UPDATE, /* id, memory limit (0: stays), cpu */
    WIRE_STATS,  /* id. Reply: cpu ns, memory, limit, bytes read, bytes written */
    WIRE_CLOSE_STDIN, /* id */
    WIRE_ATTACH,      /* id, token, streams (1 out, 2 err) */
    WIRE_RETIRE,      /* end as soon as nothing is held */
    /* to the files process; a container there is a number that it gave */
    WIRE_FILES_ADD,    /* see wire_files.h. Reply: number */
    WIRE_FILES_EXEC,   /* see wire_files.h. Reply: number, preopens, 1 with a descriptor of the
                        * module or -errno */
    WIRE_FILES_REMOVE, /* number */
    WIRE_FILES_KEEP,   /* a count and as many numbers: all others are removed */
    WIRE_FILES_REOPEN, /* number: its log, which somebody has renamed */
    /* from the worker */
    WIRE_REPLY,   /* code, message, ... */
    WIRE_SANDBOX, /* an item: id, record */
    WIRE_PROCESS, /* an item: sandbox id, id, record, started, exited, status, paused, message,
                   * number in the files process */
    WIRE_EXITED,  /* id, exited, status, message */
};

/* Writing: begin, fields, end. Memory out is told by end */
struct wire_writer {
    struct buffer *out;
    size_t start;
    bool bad;
};
struct wire_writer wire_begin(struct buffer *out, enum wire_type type, uint32_t tag);
void wire_put_number(struct wire_writer *w, int64_t v);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t len);
void wire_put_text(struct wire_writer *w, const char *s);  /* NULL is "" */
void wire_put_list(struct wire_writer *w, char *const *v); /* NULL is empty */
/* 0 or -ENOMEM; then nothing was appended. -E2BIG past WIRE_FRAME_MAX. */
int wire_end(struct wire_writer *w);

/* Reading; what is not there reads as zero and sets bad */
struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
    enum wire_type type;
    uint32_t tag;
};
/* The frame that begins at data, without its length: 1 with *ret and *ret_len (of the whole frame), 0 where it is not all
 * there, -EPROTO. */
int wire_frame(const uint8_t *data, size_t len, struct wire_reader *ret, size_t *ret_len);
int64_t wire_number(struct wire_reader *r);
/* Inside the frame. Bytes are followed by a NUL; "" where bad. */
const char *wire_bytes(struct wire_reader *r, size_t *ret_len);
const char *wire_text(struct wire_reader *r);
/* malloced array of strings inside the frame, NULL-terminated; NULL where memory is out or the frame is bad. */
char **wire_list(struct wire_reader *r);
