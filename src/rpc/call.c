/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "rpc/server.h"

struct rpc_call *call_new(const struct call_ops *ops, void *conn, uint32_t stream)
{
    struct rpc_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    list_init(&call->link);
    call->ops = ops;
    call->conn = conn;
    call->stream = stream;
    call->deadline = INT64_MAX;
    call->timeout = INT64_MAX;
    call->decoder.max = RPC_MESSAGE_MAX;
    co_queue_init(&call->room);
    return call;
}

static void call_free(struct rpc_call *call)
{
    arena_done(&call->arena);
    grpc_decoder_done(&call->decoder);
    buffer_done(&call->out);
    buffer_done(&call->path);
    free(call->text);
    free(call);
}

static void timer_closed(uv_handle_t *h)
{
    call_free(h->data);
}

/* Once neither the connection nor the coroutine holds it. */
static void release(struct rpc_call *call)
{
    if (call->conn || call->running)
        return;
    if (call->timed)
        uv_close((uv_handle_t *)&call->timer, timer_closed);
    else
        call_free(call);
}

void call_route(struct rpc_call *call, const struct route *route)
{
    call->service = route->service;
    call->method = route->method;
    call->descriptor = route->descriptor;
}

static void cancel(struct rpc_call *call)
{
    if (call->cancelled)
        return;
    call->cancelled = true;
    call_wake(call);
    void (*fn)(void *arg) = call->cancel_fn;
    call->cancel_fn = NULL;
    if (fn && call->running)
        fn(call->cancel_arg);
}

static void answer(struct rpc_call *call, const ProtobufCMessage *message, enum rpc_status status,
                   const char *text)
{
    if (call->answered)
        return;
    call->answered = true;
    if (call->conn)
        call->ops->answer(call, message, status, text);
}

void call_refuse(struct rpc_call *call, enum rpc_status status, const char *format, ...)
{
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    answer(call, NULL, status, text);
}

static void time_out(uv_timer_t *t)
{
    struct rpc_call *call = t->data;
    call_refuse(call, RPC_DEADLINE_EXCEEDED, "the deadline of this call has passed");
    cancel(call);
}

void call_set_deadline(struct rpc_call *call, int64_t timeout_ns)
{
    int64_t now = clock_mono_ns();
    if (timeout_ns >= INT64_MAX - now)
        return;
    call->deadline = now + timeout_ns;
    uv_timer_init(loop_uv(), &call->timer);
    uv_update_time(loop_uv());
    call->timer.data = call;
    call->timed = true;
    /* a deadline must not keep a program's loop alive */
    uv_unref((uv_handle_t *)&call->timer);
    uv_timer_start(&call->timer, time_out,
                   (uint64_t)((timeout_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC), 0);
}

static void run(void *arg)
{
    struct rpc_call *call = arg;
    struct error err = {0};
    ProtobufCMessage *response = NULL;
    if (!call->method->streaming) {
        response = arena_alloc(&call->arena, call->descriptor->output->sizeof_message);
        protobuf_c_message_init(call->descriptor->output, response);
    }
    int r = call->cancelled ? fail_plain(&err, ECANCELED, "the client has gone")
                            : call->method->handler(call, call->request, response, &err);
    call->cancel_fn = NULL;
    if (r < 0) {
        enum rpc_status status = rpc_status_of(r);
        answer(call, NULL, status, err.message[0] ? err.message : rpc_status_name(status));
    } else {
        answer(call, response, RPC_OK, "");
    }
    call->running = false;
    if (call->timed)
        uv_timer_stop(&call->timer);
    release(call);
}

void call_start(struct rpc_call *call, const void *request, size_t len)
{
    if (call->answered)
        return;
    call->request = rpc_unpack(call->descriptor->input, &call->arena, request, len);
    if (!call->request) {
        call_refuse(call, RPC_INVALID_ARGUMENT, "the request of %s is no %s",
                    call->descriptor->name, call->descriptor->input->name);
        return;
    }
    call->running = true;
    co_start(run, call);
}

void call_wake(struct rpc_call *call)
{
    co_queue_wake_all(&call->room);
}

void call_detach(struct rpc_call *call)
{
    list_remove(&call->link);
    call->conn = NULL;
    if (call->running && !call->answered)
        cancel(call);
    call->answered = true;
    call_wake(call);
    release(call);
}

void call_refuse_unknown(struct rpc_call *call, struct rpc_server *server, const char *path)
{
    const char *slash = path[0] == '/' ? strrchr(path, '/') : NULL;
    if (!slash || slash == path) {
        call_refuse(call, RPC_UNIMPLEMENTED, "malformed method name \"%.200s\"", path);
        return;
    }
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(slash - path - 1), path + 1);
    const struct rpc_service *service = server ? map_get(&server->services, name) : NULL;
    if (!service)
        call_refuse(call, RPC_UNIMPLEMENTED, "unknown service %s", name);
    else if (protobuf_c_service_descriptor_get_method_by_name(service->descriptor, slash + 1))
        call_refuse(call, RPC_UNIMPLEMENTED, "method %.200s of %s is not implemented by Warren yet",
                    slash + 1, name);
    else
        call_refuse(call, RPC_UNIMPLEMENTED, "unknown method %.200s for service %s", slash + 1,
                    name);
}

/* What handlers use */

void *rpc_context(const struct rpc_call *call)
{
    return call->service->context;
}

struct arena *rpc_arena(struct rpc_call *call)
{
    return &call->arena;
}

int64_t rpc_deadline(const struct rpc_call *call)
{
    return call->deadline;
}

bool rpc_cancelled(const struct rpc_call *call)
{
    return call->cancelled;
}

void rpc_on_cancel(struct rpc_call *call, void (*fn)(void *arg), void *arg)
{
    call->cancel_fn = fn;
    call->cancel_arg = arg;
    if (fn && call->cancelled) {
        call->cancel_fn = NULL;
        fn(arg);
    }
}

int rpc_send(struct rpc_call *call, const void *message, struct error *err)
{
    while (!call->answered && !call->cancelled && call->ops->full(call))
        co_queue_wait(&call->room, INT64_MAX);
    if (call->answered || call->cancelled || !call->conn)
        return fail_plain(err, ECANCELED, "the client has gone");
    return call->ops->send(call, message, err);
}
