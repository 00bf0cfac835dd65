/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "rpc/wire.h"

static int take_prefix(struct grpc_decoder *d, const uint8_t **data, size_t *len)
{
    size_t n = GRPC_PREFIX - d->have;
    if (n > *len)
        n = *len;
    memcpy(d->prefix + d->have, *data, n);
    d->have += n;
    *data += n;
    *len -= n;
    if (d->have < GRPC_PREFIX)
        return 0;
    d->size = (size_t)d->prefix[1] << 24 | (size_t)d->prefix[2] << 16 | (size_t)d->prefix[3] << 8 |
              d->prefix[4];
    buffer_clear(&d->body);
    if (d->prefix[0] > 1)
        return -EPROTO;
    if (d->prefix[0] == 1)
        return -EOPNOTSUPP;
    return d->size > d->max ? -EMSGSIZE : 0;
}

int grpc_decode(struct grpc_decoder *d, const uint8_t **data, size_t *len)
{
    if (d->have < GRPC_PREFIX) {
        int r = take_prefix(d, data, len);
        if (r < 0 || d->have < GRPC_PREFIX)
            return r;
    }
    /* the memory grows with what arrives, not with what the prefix promises */
    size_t n = d->size - d->body.len;
    if (n > *len)
        n = *len;
    int r = buffer_append(&d->body, *data, n);
    if (r < 0)
        return r;
    *data += n;
    *len -= n;
    if (d->body.len < d->size)
        return 0;
    d->have = 0;
    return 1;
}

bool grpc_decoder_clean(const struct grpc_decoder *d)
{
    return d->have == 0;
}

void grpc_decoder_done(struct grpc_decoder *d)
{
    buffer_done(&d->body);
}

void grpc_write_prefix(uint8_t prefix[GRPC_PREFIX], size_t size)
{
    prefix[0] = 0;
    prefix[1] = (uint8_t)(size >> 24);
    prefix[2] = (uint8_t)(size >> 16);
    prefix[3] = (uint8_t)(size >> 8);
    prefix[4] = (uint8_t)size;
}

static const struct {
    char unit;
    int64_t ns;
} units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', NSEC_PER_MSEC},
    {'S', NSEC_PER_SEC},
    {'M', 60 * NSEC_PER_SEC},
    {'H', 3600 * NSEC_PER_SEC},
};

int grpc_parse_timeout(const char *text, size_t len, int64_t *ret_ns)
{
    if (len < 2 || len > 9)
        return -EINVAL;
    int64_t value = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        value = value * 10 + (text[i] - '0');
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (units[i].unit == text[len - 1]) {
            if (__builtin_mul_overflow(value, units[i].ns, ret_ns))
                *ret_ns = INT64_MAX;
            return 0;
        }
    return -EINVAL;
}

void grpc_format_timeout(int64_t ns, char text[GRPC_TIMEOUT_MAX])
{
    size_t i = 0;
    if (ns < 1)
        ns = 1;
    /* rounded up: the server must not give up before the client */
    while (i + 1 < ARRAY_SIZE(units) && (ns - 1) / units[i].ns + 1 > 99999999)
        i++;
    int64_t value = (ns - 1) / units[i].ns + 1;
    snprintf(text, GRPC_TIMEOUT_MAX, "%u%c", (unsigned)(value > 99999999 ? 99999999 : value),
             units[i].unit);
}

int grpc_encode_message(struct buffer *b, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    int r = buffer_reserve(b, 3 * strlen(text));
    if (r < 0)
        return r;
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            b->data[b->len++] = c;
            continue;
        }
        b->data[b->len++] = '%';
        b->data[b->len++] = (uint8_t)digits[c >> 4];
        b->data[b->len++] = (uint8_t)digits[c & 15];
    }
    b->data[b->len] = 0;
    return 0;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_decode_message(const uint8_t *data, size_t len, char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        uint8_t c = data[i];
        if (c == '%' && i + 2 < len && hex(data[i + 1]) >= 0 && hex(data[i + 2]) >= 0) {
            c = (uint8_t)(hex(data[i + 1]) << 4 | hex(data[i + 2]));
            i += 2;
        }
        text[n++] = (char)c;
    }
    text[n] = 0;
}
