/* SPDX-License-Identifier: Apache-2.0 */
/* The client: one connection that is made when it is needed, and its calls. */
#include "rpc/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

enum { ATTEMPTS = 3, BACKLOG_RETRY_MS = 2 };

int rpc_client_new(struct rpc_client **ret, enum rpc_protocol protocol, const char *path,
                   struct error *err)
{
    const char *after = str_after(path, "unix://");
    struct rpc_client *c = calloc(1, sizeof *c);
    char *copy = strdup(after ? after : path);
    if (!c || !copy) {
        free(c);
        free(copy);
        return fail(err, ENOMEM, "make a client of '%s'", path);
    }
    c->protocol = protocol;
    c->path = copy;
    list_init(&c->conns);
    co_queue_init(&c->connected);
    *ret = c;
    return 0;
}

static void client_release(struct rpc_client *c)
{
    if (!c->freed || c->users)
        return;
    free(c->path);
    free(c);
}

void rpc_client_free(struct rpc_client *c)
{
    if (!c || c->freed)
        return;
    struct client_conn *conn;
    c->freed = true;
    c->current = NULL;
    co_queue_wake_all(&c->connected);
    while ((conn = list_first(&c->conns, struct client_conn, link))) {
        struct client_call *call;
        while ((call = list_first(&conn->calls, struct client_call, link)))
            client_call_finish(call, RPC_CANCELLED, "the client was closed");
        conn->ops->shutdown(conn);
        conn_close(&conn->conn, -ECANCELED);
    }
    client_release(c);
}

bool rpc_is_transport_error(const struct rpc_client *c)
{
    return c->transport_error;
}

/* What the protocols tell */

void client_call_finish(struct client_call *call, enum rpc_status status, const char *text)
{
    if (call->done)
        return;
    call->done = true;
    call->status = status;
    free(call->text); /* a grpc-message whose status never came */
    call->text = text && *text ? strdup(text) : NULL;
    list_remove(&call->link);
    if (call->conn)
        client_conn_check(call->conn);
    call->conn = NULL;
    if (call->co)
        co_wake(call->co);
}

int client_call_message(struct client_call *call, struct buffer *data)
{
    struct client_message *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->data = *data;
    *data = (struct buffer){0};
    list_append(&call->messages, &m->link);
    if (call->co && call->streaming)
        co_wake(call->co);
    return 0;
}

void client_conn_retire(struct client_conn *conn)
{
    if (conn->client && conn->client->current == conn)
        conn->client->current = NULL;
    client_conn_check(conn);
}

void client_conn_check(struct client_conn *conn)
{
    if (list_empty(&conn->calls) && !(conn->client && conn->client->current == conn))
        conn_finish(&conn->conn);
}

void client_conn_broken(struct client_conn *conn, int code)
{
    struct client_call *call;
    if (conn->client && conn->client->current == conn)
        conn->client->current = NULL;
    conn->client = NULL;
    list_remove(&conn->link);
    while ((call = list_first(&conn->calls, struct client_call, link))) {
        char text[80];
        snprintf(text, sizeof text, "the connection broke: %s", strerror(-code));
        call->transport = true;
        call->unseen = conn->conn.sent <= call->position;
        client_call_finish(call, RPC_UNAVAILABLE, text);
    }
}

/* Connecting */

/* A listener whose queue is full makes connect fail with EAGAIN: there is nothing to poll for. */
static int dial(struct rpc_client *c, int64_t deadline, struct error *err)
{
    for (;;) {
        int fd = unix_connect(c->path);
        if (fd >= 0)
            return fd;
        if (fd != -EAGAIN)
            return fail(err, fd, "connect to '%s'", c->path);
        if (clock_mono_ns() >= deadline)
            return fail_plain(err, ETIMEDOUT, "'%s' accepts no connection", c->path);
        co_sleep(BACKLOG_RETRY_MS * NSEC_PER_MSEC);
        if (c->freed)
            return fail_plain(err, ECANCELED, "the client was closed");
    }
}

static int connect_now(struct rpc_client *c, int64_t deadline, struct error *err)
{
    struct client_conn *conn = NULL;
    int fd = dial(c, deadline, err);
    if (fd < 0)
        return fd;
    int r = c->protocol == RPC_GRPC ? grpc_client_open(&conn, fd) : ttrpc_client_open(&conn, fd);
    if (r < 0)
        return fail(err, r, "connect to '%s'", c->path);
    conn->client = c;
    list_append(&c->conns, &conn->link);
    c->current = conn;
    return 0;
}

static int ensure_connected(struct rpc_client *c, int64_t deadline, struct error *err)
{
    while (!c->freed && !c->current && c->connecting)
        if (!co_queue_wait(&c->connected, deadline))
            return fail_plain(err, ETIMEDOUT, "'%s' accepts no connection", c->path);
    if (c->freed)
        return fail_plain(err, ECANCELED, "the client was closed");
    if (c->current)
        return 0;
    c->connecting = true;
    int r = connect_now(c, deadline, err);
    c->connecting = false;
    co_queue_wake_all(&c->connected);
    return r;
}

/* Calls */

static void call_init(struct client_call *call, const ProtobufCServiceDescriptor *service,
                      const char *service_name, const char *method, const void *request,
                      int64_t deadline)
{
    *call = (struct client_call){
        .service = service_name ? service_name : service->name,
        .method = method,
        .request = request,
        .deadline = deadline,
        .grpc_status = -1,
        .decoder.max = RPC_MESSAGE_MAX,
    };
    list_init(&call->link);
    list_init(&call->messages);
}

static void message_free(struct client_message *m)
{
    list_remove(&m->link);
    buffer_done(&m->data);
    free(m);
}

static void call_done(struct client_call *call)
{
    struct client_message *m;
    if (call->conn) {
        struct client_conn *conn = call->conn;
        conn->ops->cancel(conn, call);
        list_remove(&call->link);
        call->conn = NULL;
        client_conn_check(conn);
    }
    while ((m = list_first(&call->messages, struct client_message, link)))
        message_free(m);
    grpc_decoder_done(&call->decoder);
    buffer_done(&call->out);
    free(call->text);
    call->text = NULL;
}

static int start(struct rpc_client *c, struct client_call *call, struct error *err)
{
    c->transport_error = false;
    int r = ensure_connected(c, call->deadline, err);
    if (r < 0) {
        c->transport_error = r != -ECANCELED;
        return r;
    }
    struct client_conn *conn = c->current;
    call->position = conn_position(&conn->conn);
    list_append(&conn->calls, &call->link);
    r = conn->ops->start(conn, call, err);
    if (r < 0) {
        list_remove(&call->link);
        client_conn_check(conn);
        return r;
    }
    call->conn = conn;
    conn_dirty(&conn->conn);
    return 0;
}

static int fail_late(const struct client_call *call, struct error *err)
{
    return fail_plain(err, ETIMEDOUT, "%s of %s took longer than its deadline allows", call->method,
                      call->service);
}

static int status_error(struct rpc_client *c, const struct client_call *call, struct error *err)
{
    c->transport_error = call->transport;
    int code = call->transport ? ECONNRESET : rpc_errno_of(call->status);
    if (call->text)
        fail_plain(err, code, "%s", call->text);
    else
        fail_plain(err, code, "%s", rpc_status_name(call->status));
    if (call->transport)
        fail_in(err, code, "call %s at '%s'", call->method, c->path);
    return -code;
}

static int take_message(struct client_call *call, const ProtobufCMessageDescriptor *type,
                        struct arena *arena, void **ret, struct error *err)
{
    struct client_message *m = list_first(&call->messages, struct client_message, link);
    void *message = rpc_unpack(type, arena, m->data.data, m->data.len);
    message_free(m);
    if (list_empty(&call->messages) && call->conn && call->conn->ops->taken)
        call->conn->ops->taken(call->conn, call);
    if (!message)
        return fail_plain(err, EBADMSG, "the answer to %s is no %s", call->method, type->name);
    *ret = message;
    return 0;
}

static int call_once(struct rpc_client *c, struct client_call *call,
                     const ProtobufCMethodDescriptor *method, struct arena *arena, void **ret,
                     struct error *err)
{
    int r = start(c, call, err);
    if (r < 0)
        return r;
    call->co = co_self();
    while (!call->done)
        if (!co_park_until(call->deadline) && !call->done)
            return fail_late(call, err);
    if (call->status != RPC_OK)
        return status_error(c, call, err);
    if (list_empty(&call->messages))
        return fail_plain(err, EBADMSG, "%s was answered without a message", call->method);
    return take_message(call, method->output, arena, ret, err);
}

static const ProtobufCMethodDescriptor *find(const ProtobufCServiceDescriptor *service,
                                             const char *method, struct error *err)
{
    const ProtobufCMethodDescriptor *m =
        protobuf_c_service_descriptor_get_method_by_name(service, method);
    if (!m)
        fail_plain(err, EINVAL, "%s has no method %s", service->name, method);
    return m;
}

int rpc_client_call(struct rpc_client *c, const ProtobufCServiceDescriptor *service,
                    const char *service_name, const char *method, const void *request,
                    struct arena *arena, void **ret_response, int64_t deadline_ns,
                    struct error *err)
{
    const ProtobufCMethodDescriptor *m = find(service, method, err);
    if (!m)
        return -EINVAL;
    int r;
    bool again;
    c->users++;
    for (int i = 0;; i++) {
        struct client_call call;
        call_init(&call, service, service_name, method, request, deadline_ns);
        r = call_once(c, &call, m, arena, ret_response, err);
        again = r < 0 && call.done && call.unseen && !c->freed && i + 1 < ATTEMPTS;
        call_done(&call);
        if (!again)
            break;
    }
    c->users--;
    client_release(c);
    return r;
}

/* Streams */

struct rpc_stream {
    struct client_call call;
    struct rpc_client *client;
    const ProtobufCMethodDescriptor *method;
    char *service_name, *method_name;
};

int rpc_client_stream(struct rpc_client *c, const ProtobufCServiceDescriptor *service,
                      const char *service_name, const char *method, const void *request,
                      struct rpc_stream **ret, int64_t deadline_ns, struct error *err)
{
    const ProtobufCMethodDescriptor *m = find(service, method, err);
    if (!m)
        return -EINVAL;
    struct rpc_stream *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "call %s", method);
    s->client = c;
    s->method = m;
    c->users++;
    call_init(&s->call, service, service_name, method, request, deadline_ns);
    s->call.streaming = true;
    s->service_name = strdup(s->call.service);
    s->method_name = strdup(method);
    int r = s->service_name && s->method_name ? start(c, &s->call, err)
                                              : fail(err, ENOMEM, "call %s", method);
    if (r < 0) {
        rpc_stream_free(s);
        return r;
    }
    s->call.service = s->service_name;
    s->call.method = s->method_name;
    *ret = s;
    return 0;
}

int rpc_stream_receive(struct rpc_stream *s, struct arena *arena, void **ret_message,
                       struct error *err)
{
    struct client_call *call = &s->call;
    call->co = co_self();
    while (list_empty(&call->messages) && !call->done)
        if (!co_park_until(call->deadline) && list_empty(&call->messages) && !call->done) {
            call->co = NULL;
            return fail_late(call, err);
        }
    call->co = NULL;
    s->client->transport_error = false;
    if (!list_empty(&call->messages)) {
        int r = take_message(call, s->method->output, arena, ret_message, err);
        return r < 0 ? r : 1;
    }
    return call->status == RPC_OK ? 0 : status_error(s->client, call, err);
}

void rpc_stream_free(struct rpc_stream *s)
{
    if (!s)
        return;
    struct rpc_client *c = s->client;
    call_done(&s->call);
    free(s->service_name);
    free(s->method_name);
    free(s);
    c->users--;
    client_release(c);
}
