/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc's frames. Its own two messages are read and written by hand, so that a payload is neither
 * copied nor allocated on its way. */
#include <errno.h>
#include <string.h>

#include "rpc/wire.h"

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void ttrpc_read_header(const uint8_t data[TTRPC_HEADER], struct ttrpc_frame *ret)
{
    ret->length = read_u32(data);
    ret->stream = read_u32(data + 4);
    ret->type = data[8];
    ret->flags = data[9];
}

void ttrpc_write_header(uint8_t data[TTRPC_HEADER], const struct ttrpc_frame *frame)
{
    write_u32(data, frame->length);
    write_u32(data + 4, frame->stream);
    data[8] = frame->type;
    data[9] = frame->flags;
}

/* Protobuf, read */

struct reader {
    const uint8_t *p, *end;
};

struct field {
    uint64_t number;
    unsigned type;
    uint64_t value;
    struct wire_bytes bytes;
};

static int read_varint(struct reader *r, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        uint8_t c = *r->p++;
        value |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int read_field(struct reader *r, struct field *f)
{
    uint64_t key, n = 0;
    if (read_varint(r, &key) < 0)
        return -EBADMSG;
    *f = (struct field){.number = key >> 3, .type = (unsigned)(key & 7)};
    switch (f->type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(r, &f->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        n = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        n = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (read_varint(r, &n) < 0)
            return -EBADMSG;
        break;
    default:
        return -EBADMSG;
    }
    if (n > (uint64_t)(r->end - r->p))
        return -EBADMSG;
    f->bytes = (struct wire_bytes){r->p, (size_t)n};
    r->p += n;
    return 0;
}

static bool is(const struct field *f, uint64_t number, unsigned type)
{
    return f->number == number && f->type == type;
}

int ttrpc_read_request(const void *data, size_t len, struct ttrpc_request *ret)
{
    struct reader r = {data, (const uint8_t *)data + len};
    struct field f;
    *ret = (struct ttrpc_request){0};
    while (r.p < r.end) {
        if (read_field(&r, &f) < 0)
            return -EBADMSG;
        if (is(&f, 1, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
            ret->service = f.bytes;
        else if (is(&f, 2, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
            ret->method = f.bytes;
        else if (is(&f, 3, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
            ret->payload = f.bytes;
        else if (is(&f, 4, PROTOBUF_C_WIRE_TYPE_VARINT))
            ret->timeout_ns = (int64_t)f.value;
    }
    return 0;
}

static int read_status(struct wire_bytes bytes, struct ttrpc_response *ret)
{
    struct reader r = {bytes.data, bytes.data + bytes.len};
    struct field f;
    while (r.p < r.end) {
        if (read_field(&r, &f) < 0)
            return -EBADMSG;
        if (is(&f, 1, PROTOBUF_C_WIRE_TYPE_VARINT))
            ret->code = (int32_t)f.value;
        else if (is(&f, 2, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
            ret->message = f.bytes;
    }
    return 0;
}

int ttrpc_read_response(const void *data, size_t len, struct ttrpc_response *ret)
{
    struct reader r = {data, (const uint8_t *)data + len};
    struct field f;
    *ret = (struct ttrpc_response){0};
    while (r.p < r.end) {
        if (read_field(&r, &f) < 0)
            return -EBADMSG;
        if (is(&f, 1, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)) {
            if (read_status(f.bytes, ret) < 0)
                return -EBADMSG;
        } else if (is(&f, 2, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)) {
            ret->payload = f.bytes;
        }
    }
    return 0;
}

/* Protobuf, written */

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

/* The sizes below count a key of one byte: all field numbers are under 16. */
static size_t bytes_size(size_t len)
{
    return len ? 1 + varint_size(len) + len : 0;
}

static uint8_t *put_key(uint8_t *p, unsigned number, size_t len)
{
    *p++ = (uint8_t)(number << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
    return put_varint(p, len);
}

static uint8_t *put_text(uint8_t *p, unsigned number, const char *text, size_t len)
{
    if (!len)
        return p;
    p = put_key(p, number, len);
    memcpy(p, text, len);
    return p + len;
}

static uint8_t *put_number(uint8_t *p, unsigned number, uint64_t v)
{
    if (!v)
        return p;
    *p++ = (uint8_t)(number << 3 | PROTOBUF_C_WIRE_TYPE_VARINT);
    return put_varint(p, v);
}

static size_t number_size(uint64_t v)
{
    return v ? 1 + varint_size(v) : 0;
}

static uint8_t *put_message(uint8_t *p, unsigned number, const ProtobufCMessage *m, size_t size)
{
    if (!size)
        return p;
    p = put_key(p, number, size);
    return p + protobuf_c_message_pack(m, p);
}

static size_t packed_size(const ProtobufCMessage *m)
{
    return m ? protobuf_c_message_get_packed_size(m) : 0;
}

/* Makes room for a frame and writes its header. *ret is where length bytes follow. */
static int begin(struct buffer *b, struct ttrpc_frame frame, size_t length, uint8_t **ret)
{
    if (length > TTRPC_MESSAGE_MAX)
        return -EMSGSIZE;
    int r = buffer_reserve(b, TTRPC_HEADER + length);
    if (r < 0)
        return r;
    frame.length = (uint32_t)length;
    ttrpc_write_header(b->data + b->len, &frame);
    *ret = b->data + b->len + TTRPC_HEADER;
    b->len += TTRPC_HEADER + length;
    return 0;
}

int ttrpc_write_request(struct buffer *b, uint32_t stream, const char *service, const char *method,
                        uint8_t flags, int64_t timeout_ns, const ProtobufCMessage *message)
{
    size_t service_len = strlen(service), method_len = strlen(method),
           payload = packed_size(message);
    size_t length = bytes_size(service_len) + bytes_size(method_len) + bytes_size(payload) +
                    number_size((uint64_t)timeout_ns);
    uint8_t *p;
    int r = begin(b, (struct ttrpc_frame){.stream = stream, .type = TTRPC_REQUEST, .flags = flags},
                  length, &p);
    if (r < 0)
        return r;
    p = put_text(p, 1, service, service_len);
    p = put_text(p, 2, method, method_len);
    p = put_message(p, 3, message, payload);
    put_number(p, 4, (uint64_t)timeout_ns);
    return 0;
}

int ttrpc_write_response(struct buffer *b, uint32_t stream, enum rpc_status status,
                         const char *text, const ProtobufCMessage *message)
{
    size_t payload = packed_size(message);
    size_t text_len = status == RPC_OK ? 0 : strlen(text);
    size_t inner = number_size(status) + bytes_size(text_len);
    uint8_t *p;
    int r = begin(b, (struct ttrpc_frame){.stream = stream, .type = TTRPC_RESPONSE},
                  bytes_size(inner) + bytes_size(payload), &p);
    if (r < 0)
        return r;
    if (inner) {
        p = put_key(p, 1, inner);
        p = put_number(p, 1, status);
        p = put_text(p, 2, text, text_len);
    }
    put_message(p, 2, message, payload);
    return 0;
}

int ttrpc_write_data(struct buffer *b, uint32_t stream, uint8_t flags,
                     const ProtobufCMessage *message)
{
    uint8_t *p;
    int r = begin(b, (struct ttrpc_frame){.stream = stream, .type = TTRPC_DATA, .flags = flags},
                  packed_size(message), &p);
    if (r < 0)
        return r;
    if (message)
        protobuf_c_message_pack(message, p);
    return 0;
}
