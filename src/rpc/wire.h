/* SPDX-License-Identifier: Apache-2.0 */
/* The wires as functions of bytes: gRPC's message framing, timeouts and messages in headers
 * (PROTOCOL-HTTP2.md), ttrpc's frames and its Request and Response messages (ttrpc's PROTOCOL.md
 * and request.proto). No socket, no state but what is passed, so that they are tested and fuzzed
 * whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rpc/rpc.h"

/* GRPC */

enum { GRPC_PREFIX = 5 };

/* Cuts a stream of bytes into messages. The zero value, with max set, is at the beginning of a
 * message. */
struct grpc_decoder {
    size_t max;
    uint8_t prefix[GRPC_PREFIX];
    size_t have; /* of prefix */
    size_t size; /* of the message, valid once the prefix is complete */
    struct buffer body;
};

/* Takes from *data, and moves *data and *len on. 1: d->body is a message, to be taken before the
 * next call, which begins another; 0: more is needed, all was taken; -EMSGSIZE: the message is
 * larger than max (d->size says how large); -EOPNOTSUPP: compressed; -EPROTO: no such flag;
 * -ENOMEM. */
int grpc_decode(struct grpc_decoder *d, const uint8_t **data, size_t *len);
/* Whether the bytes so far end between two messages. */
bool grpc_decoder_clean(const struct grpc_decoder *d);
void grpc_decoder_done(struct grpc_decoder *d);
void grpc_write_prefix(uint8_t prefix[GRPC_PREFIX], size_t size);

/* "10S", "100m": up to 8 digits and a unit of HMSmun. Nanoseconds, at most INT64_MAX; -EINVAL. */
int grpc_parse_timeout(const char *text, size_t len, int64_t *ret_ns);
enum { GRPC_TIMEOUT_MAX = 24 }; /* any int64_t and a unit */
void grpc_format_timeout(int64_t ns, char text[GRPC_TIMEOUT_MAX]);

/* Percent-encoding of grpc-message: 0x20 to 0x7e but % stay. encode appends to b. */
int grpc_encode_message(struct buffer *b, const char *text);
/* Writes at most size - 1 decoded bytes and a NUL. A broken escape stays as it is, as the
 * specification asks. */
void grpc_decode_message(const uint8_t *data, size_t len, char *text, size_t size);

/* Ttrpc */

enum { TTRPC_HEADER = 10 };
enum ttrpc_type { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2, TTRPC_DATA = 3 };
enum { TTRPC_REMOTE_CLOSED = 1, TTRPC_REMOTE_OPEN = 2, TTRPC_NO_DATA = 4 };

struct ttrpc_frame {
    uint32_t length; /* of the data after the header */
    uint32_t stream;
    uint8_t type;
    uint8_t flags;
};

void ttrpc_read_header(const uint8_t data[TTRPC_HEADER], struct ttrpc_frame *ret);
void ttrpc_write_header(uint8_t data[TTRPC_HEADER], const struct ttrpc_frame *frame);

struct wire_bytes {
    const uint8_t *data;
    size_t len;
};

struct ttrpc_request {
    struct wire_bytes service, method, payload;
    int64_t timeout_ns; /* 0: none */
};

struct ttrpc_response {
    int32_t code;
    struct wire_bytes message, payload;
};

/* What is read points into data. -EBADMSG where data is no such message; unknown fields are
 * skipped. */
int ttrpc_read_request(const void *data, size_t len, struct ttrpc_request *ret);
int ttrpc_read_response(const void *data, size_t len, struct ttrpc_response *ret);

/* Append a whole frame. message: the payload, NULL where there is none. -ENOMEM; -EMSGSIZE where
 * the frame would be larger than TTRPC_MESSAGE_MAX: nothing is appended then. */
int ttrpc_write_request(struct buffer *b, uint32_t stream, const char *service, const char *method,
                        uint8_t flags, int64_t timeout_ns, const ProtobufCMessage *message);
int ttrpc_write_response(struct buffer *b, uint32_t stream, enum rpc_status status,
                         const char *text, const ProtobufCMessage *message);
int ttrpc_write_data(struct buffer *b, uint32_t stream, uint8_t flags,
                     const ProtobufCMessage *message);

/* Both */

/* "NOT_FOUND". */
const char *rpc_status_name(enum rpc_status status);
