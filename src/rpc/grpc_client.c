/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's client side on nghttp2: a call is a stream. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "rpc/client.h"
#include "rpc/h2.h"

struct grpc_client_conn {
    struct client_conn base;
    nghttp2_session *session;
    unsigned busy; /* inside nghttp2 */
};

static struct grpc_client_conn *of(struct conn *c)
{
    return container_of(c, struct grpc_client_conn, base.conn);
}

/* The answer */

static struct client_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static void set_text(struct client_call *call, const uint8_t *data, size_t len)
{
    char text[ERROR_MESSAGE_MAX];
    grpc_decode_message(data, len, text, sizeof text);
    free(call->text);
    call->text = text[0] ? strdup(text) : NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
    struct client_call *call = call_of(session, frame->hd.stream_id);
    const char *key = (const char *)name, *text = (const char *)value; /* NUL-terminated both */
    int64_t number;
    (void)flags, (void)user, (void)name_len;
    if (!call || call->done)
        return 0;
    if (str_eq(key, ":status")) {
        call->http_status = str_parse_int(text, 100, 999, &number) == 0 ? (int)number : 0;
    } else if (str_eq(key, "content-type")) {
        call->is_grpc = str_after(text, "application/grpc");
    } else if (str_eq(key, "grpc-status")) {
        bool known = str_parse_int(text, 0, RPC_UNAUTHENTICATED, &number) == 0;
        call->grpc_status = known ? (int)number : RPC_UNKNOWN;
    } else if (str_eq(key, "grpc-message")) {
        set_text(call, value, len);
    }
    return 0;
}

static void reset(struct grpc_client_conn *g, struct client_call *call, uint32_t code)
{
    nghttp2_session_set_stream_user_data(g->session, (int32_t)call->stream, NULL);
    nghttp2_submit_rst_stream(g->session, NGHTTP2_FLAG_NONE, (int32_t)call->stream, code);
    conn_dirty(&g->base.conn);
}

/* Ends a call whose answer makes no sense. */
static void give_up(struct grpc_client_conn *g, struct client_call *call, enum rpc_status status,
                    const char *text)
{
    reset(g, call, NGHTTP2_CANCEL);
    client_call_finish(call, status, text);
}

static void take_data(struct grpc_client_conn *g, struct client_call *call, const uint8_t *data,
                      size_t len)
{
    while (len) {
        int r = grpc_decode(&call->decoder, &data, &len);
        if (r == 1)
            r = client_call_message(call, &call->decoder.body);
        if (r < 0) {
            char text[120];
            if (r == -EMSGSIZE)
                snprintf(text, sizeof text, "the answer has %zu bytes, more than the %d allowed",
                         call->decoder.size, RPC_MESSAGE_MAX);
            else
                snprintf(text, sizeof text, "the answer is not framed as gRPC: %s", strerror(-r));
            give_up(g, call, r == -EMSGSIZE ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL, text);
            return;
        }
    }
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *user)
{
    struct grpc_client_conn *g = user;
    struct client_call *call = call_of(session, stream);
    (void)flags;
    nghttp2_session_consume_connection(session, len);
    if (!call || call->done || call->http_status != 200) {
        nghttp2_session_consume_stream(session, stream, len);
        return 0;
    }
    take_data(g, call, data, len);
    /* a stream whose reader is behind gets no more window; a message in pieces must */
    if (call->streaming && !list_empty(&call->messages) && !call->done)
        call->unconsumed += len;
    else
        nghttp2_session_consume_stream(session, stream, len);
    return 0;
}

/* grpc/doc/http-grpc-status-mapping.md */
static enum rpc_status status_of_http(int http)
{
    switch (http) {
    case 400:
        return RPC_INTERNAL;
    case 401:
        return RPC_UNAUTHENTICATED;
    case 403:
        return RPC_PERMISSION_DENIED;
    case 404:
        return RPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return RPC_UNAVAILABLE;
    default:
        return RPC_UNKNOWN;
    }
}

/* grpc/doc/PROTOCOL-HTTP2.md, "Errors" */
static enum rpc_status status_of_reset(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return RPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return RPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return RPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return RPC_PERMISSION_DENIED;
    default:
        return RPC_INTERNAL;
    }
}

static void finish_reset(struct client_call *call, uint32_t code)
{
    char text[96];
    call->unseen = code == NGHTTP2_REFUSED_STREAM;
    call->transport = call->unseen;
    snprintf(text, sizeof text, "the server ended the call: %s", nghttp2_http2_strerror(code));
    client_call_finish(call, status_of_reset(code), text);
}

static void finish(struct client_call *call, uint32_t code)
{
    char text[96];
    if (call->grpc_status >= 0 && (call->http_status == 200 || call->is_grpc)) {
        char *message = take_ptr(&call->text);
        client_call_finish(call, (enum rpc_status)call->grpc_status, message);
        free(message);
    } else if (code != NGHTTP2_NO_ERROR) {
        finish_reset(call, code);
    } else if (call->http_status != 200 || !call->is_grpc) {
        snprintf(text, sizeof text, "the server answers HTTP status %d%s", call->http_status,
                 call->is_grpc ? "" : " and no gRPC");
        client_call_finish(call, status_of_http(call->http_status), text);
    } else {
        client_call_finish(call, RPC_INTERNAL, "the answer ends without a status");
    }
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct client_call *call = call_of(session, stream);
    (void)user;
    if (call) {
        nghttp2_session_set_stream_user_data(session, stream, NULL);
        finish(call, code);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct grpc_client_conn *g = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client_conn_retire(&g->base);
    return 0;
}

/* A request that nghttp2 held back and then could not send. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)code, (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct client_call *call = call_of(session, frame->hd.stream_id);
    if (call) {
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, NULL);
        finish_reset(call, NGHTTP2_REFUSED_STREAM);
    }
    return 0;
}

/* The request */

static ssize_t read_out(nghttp2_session *session, int32_t stream, uint8_t *data, size_t size,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    /* the call may be gone: it is looked up, not passed */
    struct client_call *call = call_of(session, stream);
    (void)source, (void)user;
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t n = call->out.len - call->out_taken;
    if (n > size)
        n = size;
    memcpy(data, call->out.data + call->out_taken, n);
    call->out_taken += n;
    if (call->out_taken == call->out.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int pack(struct client_call *call, struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(call->request);
    if (size > UINT32_MAX || buffer_reserve(&call->out, GRPC_PREFIX + size) < 0)
        return fail(err, ENOMEM, "pack the request of %s", call->method);
    grpc_write_prefix(call->out.data, size);
    protobuf_c_message_pack(call->request, call->out.data + GRPC_PREFIX);
    call->out.len = GRPC_PREFIX + size;
    return 0;
}

static int start(struct client_conn *conn, struct client_call *call, struct error *err)
{
    struct grpc_client_conn *g = of(&conn->conn);
    char path[512], timeout[GRPC_TIMEOUT_MAX];
    int n = snprintf(path, sizeof path, "/%s/%s", call->service, call->method);
    if ((size_t)n >= sizeof path)
        return fail_plain(err, EINVAL, "the name %s is too long", call->service);
    int r = pack(call, err);
    if (r < 0)
        return r;
    struct h2_headers h = {0};
    h2_add(&h, ":method", "POST");
    h2_add(&h, ":scheme", "http");
    h2_add_text(&h, ":path", path);
    h2_add(&h, ":authority", "localhost");
    h2_add(&h, "content-type", "application/grpc");
    h2_add(&h, "te", "trailers");
    h2_add(&h, "user-agent", "warren/" WARREN_VERSION);
    if (call->deadline != INT64_MAX) {
        grpc_format_timeout(call->deadline - clock_mono_ns(), timeout);
        h2_add_text(&h, "grpc-timeout", timeout);
    }
    nghttp2_data_provider provider = {.read_callback = read_out};
    int32_t stream = nghttp2_submit_request(g->session, NULL, h.nv, h.count, &provider, call);
    if (stream == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
        client_conn_retire(conn);
        return fail_plain(err, EAGAIN, "the connection has used up its streams; try again");
    }
    if (stream < 0)
        return fail_plain(err, ENOMEM, "call %s: %s", call->method, nghttp2_strerror(stream));
    call->stream = (uint32_t)stream;
    return 0;
}

static void cancel(struct client_conn *conn, struct client_call *call)
{
    reset(of(&conn->conn), call, NGHTTP2_CANCEL);
}

static void taken(struct client_conn *conn, struct client_call *call)
{
    struct grpc_client_conn *g = of(&conn->conn);
    if (!call->unconsumed)
        return;
    nghttp2_session_consume_stream(g->session, (int32_t)call->stream, call->unconsumed);
    call->unconsumed = 0;
    conn_dirty(&conn->conn);
}

static void shut(struct client_conn *conn)
{
    struct grpc_client_conn *g = of(&conn->conn);
    if (g->busy)
        return;
    nghttp2_submit_goaway(g->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    conn_flush(&conn->conn);
}

static const struct client_conn_ops client_ops = {start, cancel, taken, shut};

/* The connection */

static int received(struct conn *c, const uint8_t *data, size_t len)
{
    struct grpc_client_conn *g = of(c);
    g->busy++;
    ssize_t n = nghttp2_session_mem_recv(g->session, data, len);
    g->busy--;
    if (nghttp2_session_want_write(g->session))
        conn_dirty(c);
    return n < 0 ? -EPROTO : 0;
}

static int fill(struct conn *c)
{
    struct grpc_client_conn *g = of(c);
    g->busy++;
    int r = h2_fill(g->session, c);
    g->busy--;
    return r;
}

static void closed(struct conn *c, int code)
{
    struct grpc_client_conn *g = of(c);
    struct client_call *call;
    list_each(call, &g->base.calls, link)
        nghttp2_session_set_stream_user_data(g->session, (int32_t)call->stream, NULL);
    client_conn_broken(&g->base, code);
}

static void released(struct conn *c)
{
    struct grpc_client_conn *g = of(c);
    nghttp2_session_del(g->session);
    free(g);
}

static const struct conn_ops conn_ops = {
    .received = received, .fill = fill, .closed = closed, .released = released};

static int make_session(struct grpc_client_conn *g)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&callbacks) < 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int r = h2_option_new(&option);
    if (r == 0) {
        if (nghttp2_session_client_new2(&g->session, callbacks, g, option) < 0)
            r = -ENOMEM;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(callbacks);
    return r < 0 ? r : h2_submit_settings(g->session, 0);
}

int grpc_client_open(struct client_conn **ret, int fd)
{
    autoclose int owned = fd;
    struct grpc_client_conn *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->base.ops = &client_ops;
    list_init(&g->base.link);
    list_init(&g->base.calls);
    int r = make_session(g);
    if (r == 0)
        r = conn_init(&g->base.conn, take_fd(&owned), &conn_ops);
    if (r < 0) {
        nghttp2_session_del(g->session);
        free(g);
        return r;
    }
    conn_dirty(&g->base.conn);
    *ret = &g->base;
    return 0;
}
