/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc's client side. Streams are numbered upwards, so a list in their order with the answer near
 * its head would be slow for many long calls: they are found in a table by stream id. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "rpc/client.h"

struct ttrpc_client_conn {
    struct client_conn base;
    struct buffer in;
    uint32_t next_stream;
    struct client_call **table; /* by stream / 2, open addressing */
    size_t table_size;          /* a power of two */
    size_t table_used;
};

static struct ttrpc_client_conn *of(struct conn *c)
{
    return container_of(c, struct ttrpc_client_conn, base.conn);
}

/* Calls by stream */

static size_t slot_of(const struct ttrpc_client_conn *t, uint32_t stream)
{
    size_t i = stream / 2;
    for (;; i++) {
        const struct client_call *call = t->table[i & (t->table_size - 1)];
        if (!call || call->stream == stream)
            return i & (t->table_size - 1);
    }
}

static struct client_call *table_find(const struct ttrpc_client_conn *t, uint32_t stream)
{
    return t->table_size ? t->table[slot_of(t, stream)] : NULL;
}

static int table_grow(struct ttrpc_client_conn *t)
{
    size_t old_size = t->table_size;
    struct client_call **old = t->table;
    size_t size = old_size ? old_size * 2 : 64;
    struct client_call **table = calloc(size, sizeof *table);
    if (!table)
        return -ENOMEM;
    t->table = table;
    t->table_size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            t->table[slot_of(t, old[i]->stream)] = old[i];
    free(old);
    return 0;
}

static void table_remove(struct ttrpc_client_conn *t, uint32_t stream)
{
    size_t hole = slot_of(t, stream);
    if (!t->table[hole])
        return;
    t->table[hole] = NULL;
    t->table_used--;
    /* those behind that the hole cuts off from their place move up */
    for (size_t i = (hole + 1) & (t->table_size - 1); t->table[i];
         i = (i + 1) & (t->table_size - 1)) {
        struct client_call *call = t->table[i];
        t->table[i] = NULL;
        t->table[slot_of(t, call->stream)] = call;
    }
}

/* Frames */

static void finish(struct ttrpc_client_conn *t, struct client_call *call, enum rpc_status status,
                   const char *text)
{
    table_remove(t, call->stream);
    client_call_finish(call, status, text);
}

static int add_message(struct client_call *call, const uint8_t *data, size_t len)
{
    auto(buffer) struct buffer b = {0};
    int r = buffer_append(&b, data, len);
    return r < 0 ? r : client_call_message(call, &b);
}

static int handle_response(struct ttrpc_client_conn *t, struct client_call *call,
                           const uint8_t *data, size_t len)
{
    struct ttrpc_response answer;
    if (ttrpc_read_response(data, len, &answer) < 0)
        return -EBADMSG;
    if (answer.code != RPC_OK) {
        char text[ERROR_MESSAGE_MAX];
        size_t n = answer.message.len < sizeof text - 1 ? answer.message.len : sizeof text - 1;
        if (n)
            memcpy(text, answer.message.data, n);
        text[n] = 0;
        finish(t, call,
               answer.code > 0 && answer.code <= RPC_UNAUTHENTICATED ? (enum rpc_status)answer.code
                                                                     : RPC_UNKNOWN,
               text);
        return 0;
    }
    int r = add_message(call, answer.payload.data, answer.payload.len);
    if (r == 0)
        finish(t, call, RPC_OK, NULL);
    return r;
}

static int handle_data(struct ttrpc_client_conn *t, struct client_call *call,
                       const struct ttrpc_frame *f, const uint8_t *data)
{
    if (!call->streaming) {
        finish(t, call, RPC_INTERNAL, "the server answered a unary call with a stream");
        return 0;
    }
    if (!(f->flags & TTRPC_NO_DATA)) {
        int r = add_message(call, data, f->length);
        if (r < 0)
            return r;
    }
    if (f->flags & TTRPC_REMOTE_CLOSED)
        finish(t, call, RPC_OK, NULL);
    return 0;
}

static int handle_frame(struct ttrpc_client_conn *t, const struct ttrpc_frame *f,
                        const uint8_t *data)
{
    struct client_call *call = table_find(t, f->stream);
    if (!call)
        return 0; /* given up meanwhile */
    if (f->type == TTRPC_RESPONSE)
        return handle_response(t, call, data, f->length);
    if (f->type == TTRPC_DATA)
        return handle_data(t, call, f, data);
    return 0;
}

static ssize_t handle(struct ttrpc_client_conn *t, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    while (!t->base.conn.closed && len - taken >= TTRPC_HEADER) {
        struct ttrpc_frame f;
        ttrpc_read_header(data + taken, &f);
        if (f.length > TTRPC_MESSAGE_MAX)
            return -EMSGSIZE;
        if (len - taken < TTRPC_HEADER + (size_t)f.length)
            break;
        int r = handle_frame(t, &f, data + taken + TTRPC_HEADER);
        if (r < 0)
            return r;
        taken += TTRPC_HEADER + (size_t)f.length;
    }
    return (ssize_t)taken;
}

static int received(struct conn *c, const uint8_t *data, size_t len)
{
    struct ttrpc_client_conn *t = of(c);
    ssize_t n;
    if (!t->in.len) {
        n = handle(t, data, len);
        return n < 0 ? (int)n : buffer_append(&t->in, data + n, len - (size_t)n);
    }
    int r = buffer_append(&t->in, data, len);
    if (r < 0)
        return r;
    n = handle(t, t->in.data, t->in.len);
    if (n < 0)
        return (int)n;
    buffer_consume(&t->in, (size_t)n);
    if (!t->in.len && t->in.size > CONN_OUT_HIGH)
        buffer_done(&t->in);
    return 0;
}

/* What the client asks */

static int start(struct client_conn *conn, struct client_call *call, struct error *err)
{
    struct ttrpc_client_conn *t = of(&conn->conn);
    int64_t timeout = 0;
    if (call->deadline != INT64_MAX) {
        timeout = call->deadline - clock_mono_ns();
        timeout = timeout > 0 ? timeout : 1;
    }
    if (t->table_used * 2 >= t->table_size && table_grow(t) < 0)
        return fail(err, ENOMEM, "call %s", call->method);
    int r = ttrpc_write_request(&conn->conn.out, t->next_stream, call->service, call->method,
                                call->streaming ? TTRPC_REMOTE_CLOSED : 0, timeout, call->request);
    if (r == -EMSGSIZE)
        return fail_plain(err, r, "the request of %s is larger than the %d bytes of ttrpc",
                          call->method, TTRPC_MESSAGE_MAX);
    if (r < 0)
        return fail(err, r, "call %s", call->method);
    call->stream = t->next_stream;
    t->table[slot_of(t, call->stream)] = call;
    t->table_used++;
    t->next_stream += 2;
    /* the ids are used up: the next calls get a new connection */
    if (t->next_stream >= UINT32_MAX - 2)
        client_conn_retire(conn);
    return 0;
}

static void cancel(struct client_conn *conn, struct client_call *call)
{
    table_remove(of(&conn->conn), call->stream);
}

static void shut(struct client_conn *conn)
{
    conn_flush(&conn->conn);
}

static void closed(struct conn *c, int code)
{
    client_conn_broken(&of(c)->base, code);
}

static void released(struct conn *c)
{
    struct ttrpc_client_conn *t = of(c);
    buffer_done(&t->in);
    free(t->table);
    free(t);
}

static const struct conn_ops conn_ops = {
    .received = received, .closed = closed, .released = released};
static const struct client_conn_ops client_ops = {
    .start = start, .cancel = cancel, .shutdown = shut};

int ttrpc_client_open(struct client_conn **ret, int fd)
{
    struct ttrpc_client_conn *t = calloc(1, sizeof *t);
    if (!t) {
        close_fd(&fd);
        return -ENOMEM;
    }
    t->base.ops = &client_ops;
    list_init(&t->base.link);
    list_init(&t->base.calls);
    t->next_stream = 1;
    int r = conn_init(&t->base.conn, fd, &conn_ops);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret = &t->base;
    return 0;
}
