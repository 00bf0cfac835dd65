/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc's server side. Its protocol has no cancellation: a call ends by its answer, its deadline or
 * the connection. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "rpc/server.h"

struct ttrpc_conn {
    struct conn conn;
    struct list link; /* of the server's */
    struct rpc_server *server;
    struct buffer in; /* the beginning of a frame */
    size_t skip;      /* bytes of a frame that is too large */
    struct list calls;
    size_t call_count;
    uint32_t last_stream;
    bool full; /* a stream waits for room */
};

static void finished(struct ttrpc_conn *t, struct rpc_call *call)
{
    t->call_count--;
    conn_dirty(&t->conn);
    call_detach(call);
}

static void write_status(struct ttrpc_conn *t, uint32_t stream, enum rpc_status status,
                         const char *text)
{
    if (ttrpc_write_response(&t->conn.out, stream, status, text, NULL) < 0)
        conn_close(&t->conn, -ENOMEM);
    else
        conn_dirty(&t->conn);
}

static void ttrpc_answer(struct rpc_call *call, const ProtobufCMessage *message,
                         enum rpc_status status, const char *text)
{
    struct ttrpc_conn *t = call->conn;
    uint32_t stream = call->stream;
    bool streaming = call->method && call->method->streaming;
    int r;
    if (status == RPC_OK && streaming)
        r = ttrpc_write_data(&t->conn.out, stream, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, NULL);
    else
        r = ttrpc_write_response(&t->conn.out, stream, status, text, message);
    if (r == -EMSGSIZE) {
        char why[160];
        snprintf(why, sizeof why, "the answer of %.60s has %zu bytes, more than the %d allowed",
                 call->method->name, protobuf_c_message_get_packed_size(message),
                 TTRPC_MESSAGE_MAX);
        write_status(t, stream, RPC_RESOURCE_EXHAUSTED, why);
    } else if (r < 0) {
        conn_close(&t->conn, r);
        return;
    }
    finished(t, call);
}

static int ttrpc_send(struct rpc_call *call, const ProtobufCMessage *message, struct error *err)
{
    struct ttrpc_conn *t = call->conn;
    int r = ttrpc_write_data(&t->conn.out, call->stream, 0, message);
    if (r < 0)
        return fail(err, r, "send a message of %s", call->method->name);
    conn_dirty(&t->conn);
    return 0;
}

static bool ttrpc_full(const struct rpc_call *call)
{
    struct ttrpc_conn *t = call->conn;
    bool full = conn_pending(&t->conn) > CONN_OUT_HIGH;
    t->full |= full;
    return full;
}

static const struct call_ops call_ops = {ttrpc_answer, ttrpc_send, ttrpc_full};

/* "/service/method"; false where it would not fit, and so cannot be known. */
static bool make_path(const struct ttrpc_request *q, char *path, size_t size)
{
    int n = snprintf(path, size, "/%.*s/%.*s", (int)q->service.len, (const char *)q->service.data,
                     (int)q->method.len, (const char *)q->method.data);
    return n > 0 && (size_t)n < size;
}

static int handle_request(struct ttrpc_conn *t, uint32_t stream, const uint8_t *data, size_t len)
{
    struct ttrpc_request q;
    char path[512];
    if (stream <= t->last_stream) {
        write_status(t, stream, RPC_INVALID_ARGUMENT,
                     "the id of a stream must be larger than those before");
        return 0;
    }
    t->last_stream = stream;
    if (ttrpc_read_request(data, len, &q) < 0) {
        write_status(t, stream, RPC_INVALID_ARGUMENT, "the request is no ttrpc request");
        return 0;
    }
    if (t->call_count >= CALLS_MAX) {
        write_status(t, stream, RPC_RESOURCE_EXHAUSTED, "too many calls on this connection");
        return 0;
    }
    struct rpc_call *call = call_new(&call_ops, t, stream);
    if (!call)
        return -ENOMEM;
    list_append(&t->calls, &call->link);
    t->call_count++;
    if (!make_path(&q, path, sizeof path)) {
        call_refuse(call, RPC_UNIMPLEMENTED, "the name of this service or method is too long");
        return 0;
    }
    const struct route *route = t->server ? map_get(&t->server->routes, path) : NULL;
    if (!route) {
        call_refuse_unknown(call, t->server, path);
        return 0;
    }
    call_route(call, route);
    if (q.timeout_ns > 0)
        call_set_deadline(call, q.timeout_ns);
    call_start(call, q.payload.data, q.payload.len);
    return 0;
}

static int handle_frame(struct ttrpc_conn *t, const struct ttrpc_frame *f, const uint8_t *data)
{
    if (f->stream % 2 != 1) {
        write_status(t, f->stream, RPC_INVALID_ARGUMENT, "the id of a client's stream must be odd");
        return 0;
    }
    if (f->type == TTRPC_REQUEST)
        return handle_request(t, f->stream, data, f->length);
    if (f->type == TTRPC_DATA && !(f->flags & TTRPC_NO_DATA))
        write_status(t, f->stream, RPC_INVALID_ARGUMENT, "this stream takes no more data");
    return 0; /* other types are for protocols to come */
}

/* Handles the whole frames at the beginning of data. The bytes taken, or negative. */
static ssize_t handle(struct ttrpc_conn *t, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    while (!t->conn.closed) {
        size_t left = len - taken;
        struct ttrpc_frame f;
        if (t->skip) {
            size_t n = t->skip < left ? t->skip : left;
            t->skip -= n;
            taken += n;
            if (t->skip)
                break;
            continue;
        }
        if (left < TTRPC_HEADER)
            break;
        ttrpc_read_header(data + taken, &f);
        if (f.length > TTRPC_MESSAGE_MAX) {
            char why[120];
            snprintf(why, sizeof why, "the request has %u bytes, more than the %d allowed",
                     f.length, TTRPC_MESSAGE_MAX);
            write_status(t, f.stream, RPC_RESOURCE_EXHAUSTED, why);
            taken += TTRPC_HEADER;
            t->skip = f.length;
            continue;
        }
        if (left < TTRPC_HEADER + (size_t)f.length)
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
    struct ttrpc_conn *t = container_of(c, struct ttrpc_conn, conn);
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

static void drained(struct conn *c)
{
    struct ttrpc_conn *t = container_of(c, struct ttrpc_conn, conn);
    struct rpc_call *call;
    /* there may be tens of thousands of calls that only wait */
    if (!t->full)
        return;
    t->full = false;
    list_each(call, &t->calls, link) if (call->method && call->method->streaming) call_wake(call);
}

static void closed(struct conn *c, int code)
{
    struct ttrpc_conn *t = container_of(c, struct ttrpc_conn, conn);
    struct rpc_call *call;
    (void)code;
    if (t->server)
        t->server->connections--;
    t->server = NULL;
    list_remove(&t->link);
    while ((call = list_first(&t->calls, struct rpc_call, link)))
        call_detach(call);
}

static void released(struct conn *c)
{
    struct ttrpc_conn *t = container_of(c, struct ttrpc_conn, conn);
    buffer_done(&t->in);
    free(t);
}

static const struct conn_ops conn_ops = {
    .received = received, .drained = drained, .closed = closed, .released = released};

void ttrpc_server_take(struct rpc_server *s, int fd)
{
    struct ttrpc_conn *t = calloc(1, sizeof *t);
    if (!t) {
        close_fd(&fd);
        return;
    }
    list_init(&t->link);
    list_init(&t->calls);
    t->server = s;
    if (conn_init(&t->conn, fd, &conn_ops) < 0) {
        free(t);
        return;
    }
    s->connections++;
    list_append(&s->ttrpc, &t->link);
}

void ttrpc_server_close(struct rpc_server *s)
{
    struct ttrpc_conn *t;
    while ((t = list_first(&s->ttrpc, struct ttrpc_conn, link))) {
        conn_flush(&t->conn);
        conn_close(&t->conn, -ECANCELED);
    }
}
