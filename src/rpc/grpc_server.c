/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's server side on nghttp2: a stream is a call. */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "rpc/h2.h"
#include "rpc/server.h"

struct grpc_conn {
    struct conn conn;
    struct list link; /* of the server's */
    struct rpc_server *server;
    nghttp2_session *session;
    struct list calls;
    size_t held;   /* bytes of requests that are not complete */
    unsigned busy; /* inside nghttp2 */
};

enum { OUT_FULL = 64 << 10, PATH_MAX_LEN = 512 };

/* Answers */

static ssize_t read_out(nghttp2_session *session, int32_t stream, uint8_t *data, size_t size,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct rpc_call *call = source->ptr;
    (void)user;
    size_t n = call->out.len - call->out_taken;
    if (n > size)
        n = size;
    if (n)
        memcpy(data, call->out.data + call->out_taken, n);
    call->out_taken += n;
    if (call->out_taken < call->out.len)
        return (ssize_t)n;
    buffer_clear(&call->out);
    call->out_taken = 0;
    call_wake(call);
    if (call->answered) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        struct h2_headers h = {0};
        h2_add_status(&h, call->status, call->text);
        nghttp2_submit_trailer(session, stream, h.nv, h.count);
        h2_headers_done(&h);
    } else if (!n) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

static void submit(struct rpc_call *call, bool with_data)
{
    struct grpc_conn *g = call->conn;
    struct h2_headers h = {0};
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_out};
    h2_add(&h, ":status", "200");
    h2_add(&h, "content-type", "application/grpc");
    if (!with_data)
        h2_add_status(&h, call->status, call->text);
    nghttp2_submit_response(g->session, (int32_t)call->stream, h.nv, h.count,
                            with_data ? &provider : NULL);
    h2_headers_done(&h);
    call->submitted = true;
}

static void set_status(struct rpc_call *call, enum rpc_status status, const char *text)
{
    call->status = status;
    free(call->text);
    call->text = status == RPC_OK || !text ? NULL : strdup(text);
}

static int pack(struct rpc_call *call, const ProtobufCMessage *message, struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > RPC_MESSAGE_MAX)
        return fail_plain(err, EMSGSIZE, "the answer of %s has %zu bytes, more than the %d allowed",
                          call->method->name, size, RPC_MESSAGE_MAX);
    if (buffer_reserve(&call->out, GRPC_PREFIX + size) < 0)
        return fail(err, ENOMEM, "pack the answer of %s", call->method->name);
    uint8_t *p = call->out.data + call->out.len;
    grpc_write_prefix(p, size);
    protobuf_c_message_pack(message, p + GRPC_PREFIX);
    call->out.len += GRPC_PREFIX + size;
    return 0;
}

static void grpc_answer(struct rpc_call *call, const ProtobufCMessage *message,
                        enum rpc_status status, const char *text)
{
    struct grpc_conn *g = call->conn;
    set_status(call, status, text);
    if (message && status == RPC_OK) {
        struct error err = {0};
        int r = pack(call, message, &err);
        if (r < 0)
            set_status(call, rpc_status_of(r), err.message);
    }
    if (call->submitted)
        nghttp2_session_resume_data(g->session, (int32_t)call->stream);
    else
        submit(call, call->out.len > 0);
    conn_dirty(&g->conn);
}

static int grpc_send(struct rpc_call *call, const ProtobufCMessage *message, struct error *err)
{
    struct grpc_conn *g = call->conn;
    int r = pack(call, message, err);
    if (r < 0)
        return r;
    if (!call->submitted)
        submit(call, true);
    else if (call->deferred)
        nghttp2_session_resume_data(g->session, (int32_t)call->stream);
    call->deferred = false;
    conn_dirty(&g->conn);
    return 0;
}

static bool grpc_full(const struct rpc_call *call)
{
    return call->out.len - call->out_taken > OUT_FULL;
}

static const struct call_ops call_ops = {grpc_answer, grpc_send, grpc_full};

/* Requests */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct grpc_conn *g = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct rpc_call *call = call_new(&call_ops, g, (uint32_t)frame->hd.stream_id);
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    list_append(&g->calls, &call->link);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static bool named(const uint8_t *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

static bool is_grpc_type(const char *value)
{
    const char *rest = str_after(value, "application/grpc");
    return rest && (!*rest || *rest == '+' || *rest == ';');
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *data, size_t len, uint8_t flags, void *user)
{
    struct rpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const char *value = (const char *)data; /* nghttp2 puts a NUL after it */
    (void)flags, (void)user;
    if (!call || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (named(name, name_len, ":path")) {
        buffer_clear(&call->path);
        if (buffer_append(&call->path, data, len < PATH_MAX_LEN ? len : PATH_MAX_LEN) < 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    } else if (named(name, name_len, ":method")) {
        call->post = str_eq(value, "POST");
    } else if (named(name, name_len, "content-type")) {
        call->is_grpc = is_grpc_type(value);
    } else if (named(name, name_len, "grpc-encoding")) {
        call->encoded = !str_eq(value, "identity");
    } else if (named(name, name_len, "grpc-timeout")) {
        if (grpc_parse_timeout(value, len, &call->timeout) < 0)
            call->timeout = -1;
    }
    return 0;
}

/* What is no gRPC gets an answer of HTTP's own. */
static void refuse_http(struct grpc_conn *g, struct rpc_call *call)
{
    struct h2_headers h = {0};
    h2_add(&h, ":status", call->post ? "415" : "405");
    call->answered = true;
    nghttp2_submit_response(g->session, (int32_t)call->stream, h.nv, h.count, NULL);
    h2_headers_done(&h);
    conn_dirty(&g->conn);
}

static void begin(struct grpc_conn *g, struct rpc_call *call)
{
    const char *path = buffer_text(&call->path);
    if (!call->post || !call->is_grpc) {
        refuse_http(g, call);
        return;
    }
    const struct route *route = g->server ? map_get(&g->server->routes, path) : NULL;
    if (!route) {
        call_refuse_unknown(call, g->server, path);
        return;
    }
    call_route(call, route);
    if (call->timeout < 0)
        call_refuse(call, RPC_INTERNAL, "malformed grpc-timeout");
    else if (call->timeout != INT64_MAX)
        call_set_deadline(call, call->timeout);
}

static void refuse_message(struct rpc_call *call, int code)
{
    if (code == -EMSGSIZE)
        call_refuse(call, RPC_RESOURCE_EXHAUSTED,
                    "the request has %zu bytes, more than the %d allowed", call->decoder.size,
                    RPC_MESSAGE_MAX);
    else if (code == -EOPNOTSUPP && call->encoded)
        call_refuse(call, RPC_UNIMPLEMENTED, "compressed requests are not supported");
    else if (code == -EOPNOTSUPP)
        call_refuse(call, RPC_UNIMPLEMENTED,
                    "the request is flagged as compressed, but names no grpc-encoding");
    else
        call_refuse(call, code == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL,
                    "the request is not framed as gRPC");
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *user)
{
    struct grpc_conn *g = user;
    struct rpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags;
    nghttp2_session_consume(session, stream, len);
    if (!call || call->answered)
        return 0;
    g->held -= call->decoder.body.len;
    int r = 0;
    while (len && r >= 0 && call->received < 2) {
        if (call->received == 1)
            r = -EPROTO; /* unary and server streaming: one message */
        else
            r = grpc_decode(&call->decoder, &data, &len);
        if (r == 1)
            call->received++;
    }
    g->held += call->decoder.body.len;
    if (r < 0)
        refuse_message(call, r);
    else if (g->held > HELD_MAX)
        call_refuse(call, RPC_RESOURCE_EXHAUSTED,
                    "the unfinished requests of this connection hold more than %d bytes", HELD_MAX);
    return 0;
}

/* The client has said all. */
static void end(struct grpc_conn *g, struct rpc_call *call)
{
    call->ended = true;
    if (call->answered)
        return;
    if (call->received != 1) {
        call_refuse(call, RPC_INTERNAL, "the request ends before its message");
        return;
    }
    g->held -= call->decoder.body.len;
    call_start(call, call->decoder.body.data, call->decoder.body.len);
    buffer_done(&call->decoder.body);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct grpc_conn *g = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct rpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!call)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        /* before begin(): an early answer needs to know whether more will come */
        call->ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
        begin(g, call);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        end(g, call);
    return 0;
}

/* The rest of a request that was answered early is of no use. The reset waits for the answer, since nghttp2 sends
 * nothing on a stream once it is asked to reset it. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct rpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call && !call->ended)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct grpc_conn *g = user;
    struct rpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)code;
    if (call) {
        nghttp2_session_set_stream_user_data(session, stream, NULL);
        g->held -= call->decoder.body.len;
        call_detach(call);
    }
    return 0;
}

/* The connection */

static int received(struct conn *c, const uint8_t *data, size_t len)
{
    struct grpc_conn *g = container_of(c, struct grpc_conn, conn);
    g->busy++;
    ssize_t n = nghttp2_session_mem_recv(g->session, data, len);
    g->busy--;
    conn_dirty(c); /* acknowledgements and window updates */
    return n < 0 ? -EPROTO : 0;
}

static int fill(struct conn *c)
{
    struct grpc_conn *g = container_of(c, struct grpc_conn, conn);
    g->busy++;
    int r = h2_fill(g->session, c);
    g->busy--;
    if (r == 0 && !nghttp2_session_want_read(g->session) && !nghttp2_session_want_write(g->session))
        c->last = true;
    return r;
}

static void closed(struct conn *c, int code)
{
    struct grpc_conn *g = container_of(c, struct grpc_conn, conn);
    struct rpc_call *call;
    (void)code;
    if (g->server)
        g->server->connections--;
    g->server = NULL;
    list_remove(&g->link);
    while ((call = list_first(&g->calls, struct rpc_call, link))) {
        nghttp2_session_set_stream_user_data(g->session, (int32_t)call->stream, NULL);
        call_detach(call);
    }
}

static void released(struct conn *c)
{
    struct grpc_conn *g = container_of(c, struct grpc_conn, conn);
    nghttp2_session_del(g->session);
    free(g);
}

static const struct conn_ops conn_ops = {
    .received = received, .fill = fill, .closed = closed, .released = released};

static int make_session(struct grpc_conn *g)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&callbacks) < 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int r = h2_option_new(&option);
    if (r == 0) {
        if (nghttp2_session_server_new2(&g->session, callbacks, g, option) < 0)
            r = -ENOMEM;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(callbacks);
    return r < 0 ? r : h2_submit_settings(g->session, g->server->streams_max);
}

void grpc_server_take(struct rpc_server *s, int fd)
{
    autoclose int owned = fd;
    struct grpc_conn *g = calloc(1, sizeof *g);
    if (!g)
        return;
    list_init(&g->link);
    list_init(&g->calls);
    g->server = s;
    if (make_session(g) < 0 || conn_init(&g->conn, take_fd(&owned), &conn_ops) < 0) {
        nghttp2_session_del(g->session);
        free(g);
        return;
    }
    s->connections++;
    list_append(&s->grpc, &g->link);
    conn_dirty(&g->conn);
}

void grpc_server_close(struct rpc_server *s)
{
    struct grpc_conn *g;
    while ((g = list_first(&s->grpc, struct grpc_conn, link))) {
        if (!g->busy) {
            nghttp2_submit_goaway(g->session, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(g->session),
                                  NGHTTP2_NO_ERROR, NULL, 0);
            conn_flush(&g->conn);
        }
        conn_close(&g->conn, -ECANCELED);
    }
}
