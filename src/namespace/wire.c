/* SPDX-License-Identifier: Apache-2.0 */
#include "namespace/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

int wire_put_u32(struct buffer *b, uint32_t v)
{
    return buffer_append(b, &v, sizeof v);
}

int wire_put_i64(struct buffer *b, int64_t v)
{
    return buffer_append(b, &v, sizeof v);
}

int wire_put_bytes(struct buffer *b, const void *data, size_t len)
{
    int r = wire_put_u32(b, (uint32_t)len);
    return r < 0 || !len ? r : buffer_append(b, data, len);
}

int wire_put_str(struct buffer *b, const char *s)
{
    return wire_put_bytes(b, str_or_empty(s), strlen(str_or_empty(s)) + 1);
}

int wire_put_create(struct buffer *b, const struct wire_create *c)
{
    int r = 0;
    const char *texts[] = {c->id, c->exec_id, c->stdin_, c->stdout_, c->stderr_, c->procs, c->oom};
    for (size_t i = 0; !r && i < ARRAY_SIZE(texts); i++)
        r = wire_put_str(b, texts[i]);
    const uint32_t numbers[] = {c->flags, c->columns, c->rows};
    for (size_t i = 0; !r && i < ARRAY_SIZE(numbers); i++)
        r = wire_put_u32(b, numbers[i]);
    if (!r)
        r = wire_put_bytes(b, c->record, c->record_len);
    return r ? r : wire_put_bytes(b, c->recipe, c->recipe_len);
}

void wire_create(struct wire_reader *r, struct wire_create *ret)
{
    const char **texts[] = {&ret->id,      &ret->exec_id, &ret->stdin_, &ret->stdout_,
                            &ret->stderr_, &ret->procs,   &ret->oom};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *texts[i] = wire_str(r);
    ret->flags = wire_u32(r);
    ret->columns = wire_u32(r);
    ret->rows = wire_u32(r);
    ret->record = wire_bytes(r, &ret->record_len);
    ret->recipe = wire_bytes(r, &ret->recipe_len);
}

int wire_put_process(struct buffer *b, const struct wire_process *p)
{
    int r = 0;
    const char *texts[] = {p->id, p->exec_id, p->message};
    for (size_t i = 0; !r && i < ARRAY_SIZE(texts); i++)
        r = wire_put_str(b, texts[i]);
    const uint32_t numbers[] = {p->state, p->pid, p->status, p->oom_killed};
    for (size_t i = 0; !r && i < ARRAY_SIZE(numbers); i++)
        r = wire_put_u32(b, numbers[i]);
    if (!r)
        r = wire_put_i64(b, p->started_ns);
    if (!r)
        r = wire_put_i64(b, p->exited_ns);
    return r ? r : wire_put_bytes(b, p->record, p->record_len);
}

void wire_process(struct wire_reader *r, struct wire_process *ret)
{
    ret->id = wire_str(r);
    ret->exec_id = wire_str(r);
    ret->message = wire_str(r);
    ret->state = wire_u32(r);
    ret->pid = wire_u32(r);
    ret->status = wire_u32(r);
    ret->oom_killed = wire_u32(r) != 0;
    ret->started_ns = wire_i64(r);
    ret->exited_ns = wire_i64(r);
    ret->record = wire_bytes(r, &ret->record_len);
}

int wire_frame(struct buffer *b, enum wire_type type, uint64_t serial, const struct buffer *payload)
{
    size_t before = b->len;
    size_t len = payload ? payload->len : 0;
    if (len > WIRE_PAYLOAD_MAX)
        return -EMSGSIZE;
    struct wire_header h = {(uint32_t)len, (uint32_t)type, serial};
    int r = buffer_append(b, &h, sizeof h);
    if (!r && len)
        r = buffer_append(b, payload->data, len);
    if (r < 0)
        b->len = before;
    return r;
}

static const void *take(struct wire_reader *r, size_t len)
{
    if (r->bad || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return NULL;
    }
    const void *p = r->at;
    r->at += len;
    return p;
}

uint32_t wire_u32(struct wire_reader *r)
{
    uint32_t v = 0;
    const void *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

int64_t wire_i64(struct wire_reader *r)
{
    int64_t v = 0;
    const void *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

const void *wire_bytes(struct wire_reader *r, size_t *ret_len)
{
    *ret_len = wire_u32(r);
    const void *p = take(r, *ret_len);
    if (!p)
        *ret_len = 0;
    return p;
}

const char *wire_str(struct wire_reader *r)
{
    size_t len;
    const char *s = wire_bytes(r, &len);
    if (!s || !len || memchr(s, 0, len) != s + len - 1) {
        r->bad = true;
        return "";
    }
    return s;
}

int wire_receive(struct buffer *in, int socket)
{
    enum { CHUNK = 16 * 1024 };
    int r = buffer_reserve(in, CHUNK);
    if (r < 0)
        return r;
    ssize_t n;
    do
        n = recv(socket, in->data + in->len, CHUNK, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        in->len += (size_t)n;
    return n < 0 ? -errno : (int)n;
}

int wire_next(const struct buffer *in, struct wire_header *ret, struct wire_reader *payload)
{
    if (in->len < sizeof *ret)
        return 0;
    memcpy(ret, in->data, sizeof *ret);
    if (ret->len > WIRE_PAYLOAD_MAX)
        return -EPROTO;
    if (in->len - sizeof *ret < ret->len)
        return 0;
    const uint8_t *data = in->data + sizeof *ret;
    *payload = (struct wire_reader){.at = data, .end = data + ret->len};
    return 1;
}

void wire_next_done(struct buffer *in, const struct wire_header *h)
{
    buffer_consume(in, sizeof *h + h->len);
    if (!in->len) /* at rest it holds no memory */
        buffer_done(in);
}

int wire_send(struct buffer *out, int socket)
{
    while (out->len) {
        ssize_t n = send(socket, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return -errno;
        buffer_consume(out, (size_t)n);
    }
    buffer_done(out);
    return 0;
}
