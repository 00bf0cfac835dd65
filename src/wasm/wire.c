/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void put(struct wire_writer *w, const void *data, size_t len)
{
    if (!w->bad && buffer_append(w->out, data, len) < 0)
        w->bad = true;
}

struct wire_writer wire_begin(struct buffer *out, enum wire_type type, uint32_t tag)
{
    struct wire_writer w = {.out = out, .start = out->len};
    uint8_t head[WIRE_HEAD] = {0};
    head[4] = (uint8_t)type;
    memcpy(head + 5, &tag, 4);
    put(&w, head, sizeof head);
    return w;
}

void wire_put_number(struct wire_writer *w, int64_t v)
{
    put(w, &v, sizeof v);
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t len)
{
    uint32_t n = (uint32_t)len;
    if (len > WIRE_FRAME_MAX)
        w->bad = true;
    put(w, &n, sizeof n);
    put(w, data, len);
    put(w, "", 1);
}

void wire_put_text(struct wire_writer *w, const char *s)
{
    wire_put_bytes(w, str_or_empty(s), s ? strlen(s) : 0);
}

void wire_put_list(struct wire_writer *w, char *const *v)
{
    uint32_t n = (uint32_t)strv_len(v);
    put(w, &n, sizeof n);
    for (uint32_t i = 0; i < n; i++)
        wire_put_text(w, v[i]);
}

int wire_end(struct wire_writer *w)
{
    size_t len = w->out->len - w->start;
    if (w->bad || len > WIRE_FRAME_MAX) {
        w->out->len = w->start;
        return w->bad ? -ENOMEM : -E2BIG;
    }
    uint32_t rest = (uint32_t)(len - 4);
    memcpy(w->out->data + w->start, &rest, 4);
    return 0;
}

int wire_frame(const uint8_t *data, size_t len, struct wire_reader *ret, size_t *ret_len)
{
    uint32_t rest;
    if (len < 4)
        return 0;
    memcpy(&rest, data, 4);
    if (rest < WIRE_HEAD - 4 || rest > WIRE_FRAME_MAX)
        return -EPROTO;
    if (len - 4 < rest)
        return 0;
    *ret = (struct wire_reader){
        .at = data + WIRE_HEAD, .left = rest - (WIRE_HEAD - 4), .type = data[4]};
    memcpy(&ret->tag, data + 5, 4);
    *ret_len = rest + 4;
    return 1;
}

static const uint8_t *take(struct wire_reader *r, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += len;
    r->left -= len;
    return p;
}

int64_t wire_number(struct wire_reader *r)
{
    int64_t v = 0;
    const uint8_t *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

const char *wire_bytes(struct wire_reader *r, size_t *ret_len)
{
    uint32_t len = 0;
    const uint8_t *p = take(r, sizeof len);
    if (p)
        memcpy(&len, p, sizeof len);
    p = take(r, (size_t)len + 1);
    if (p && p[len])
        r->bad = true;
    *ret_len = p && !r->bad ? len : 0;
    return p && !r->bad ? (const char *)p : "";
}

const char *wire_text(struct wire_reader *r)
{
    size_t len;
    return wire_bytes(r, &len);
}

char **wire_list(struct wire_reader *r)
{
    uint32_t n = 0;
    const uint8_t *p = take(r, sizeof n);
    if (p)
        memcpy(&n, p, sizeof n);
    if (r->bad || n > r->left / 5) { /* a string takes 5 bytes at least */
        r->bad = true;
        return NULL;
    }
    char **v = calloc(n + 1ul, sizeof *v);
    if (!v)
        r->bad = true;
    for (uint32_t i = 0; v && i < n; i++)
        v[i] = (char *)(uintptr_t)wire_text(r);
    return v;
}
