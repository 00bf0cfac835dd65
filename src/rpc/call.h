/* SPDX-License-Identifier: Apache-2.0 */
/* A call being served, whichever protocol brought it: its arena, coroutine, deadline and
 * cancellation. The protocol makes it, feeds it the request and is told the answer by its ops. Two
 * hold it: the protocol, until the answer is sent or the connection is gone (call_detach), and its
 * coroutine. */
#pragma once

#include <uv.h>

#include "base/list.h"
#include "loop/loop.h"
#include "rpc/wire.h"

struct rpc_call;

struct route { /* "/service/method" */
    const struct rpc_service *service;
    const struct rpc_method *method;
    const ProtobufCMethodDescriptor *descriptor;
    char path[];
};

struct call_ops {
    /* The one answer of a unary call, or the end of a stream (message NULL). text: why, where
     * status is not OK. */
    void (*answer)(struct rpc_call *call, const ProtobufCMessage *message, enum rpc_status status,
                   const char *text);
    /* Queues one message of a stream; 0 or negative. */
    int (*send)(struct rpc_call *call, const ProtobufCMessage *message, struct error *err);
    /* Whether the stream holds so much unsent that the handler has to wait. */
    bool (*full)(const struct rpc_call *call);
};

struct rpc_call {
    struct list link; /* of the connection's calls */
    const struct call_ops *ops;
    void *conn; /* the protocol's connection; NULL once detached */
    uint32_t stream;
    const struct rpc_service *service;
    const struct rpc_method *method;
    const ProtobufCMethodDescriptor *descriptor;
    struct arena arena;
    int64_t deadline;
    uv_timer_t timer;
    bool timed;    /* timer is in use */
    bool running;  /* its coroutine exists */
    bool answered; /* nothing may be sent any more */
    bool cancelled;
    void (*cancel_fn)(void *arg);
    void *cancel_arg;
    struct co_queue room; /* rpc_send waits here */
    ProtobufCMessage *request;

    /* gRPC's */
    struct grpc_decoder decoder;
    struct buffer out; /* framed messages not yet in DATA frames */
    size_t out_taken;
    struct buffer path; /* while its headers arrive */
    enum rpc_status status;
    char *text;
    int64_t timeout;
    unsigned received; /* messages */
    bool post, is_grpc, encoded, ended, submitted, deferred;
};

struct rpc_call *call_new(const struct call_ops *ops, void *conn, uint32_t stream);
void call_route(struct rpc_call *call, const struct route *route);
/* timeout: from now, INT64_MAX for none. */
void call_set_deadline(struct rpc_call *call, int64_t timeout_ns);
/* Unpacks and runs the handler in a coroutine; answers where it cannot. */
void call_start(struct rpc_call *call, const void *request, size_t len);
/* An answer from the protocol itself. */
void call_refuse(struct rpc_call *call, enum rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* There is room again. */
void call_wake(struct rpc_call *call);
/* The client is no longer there, or the answer is sent: the protocol lets go of it. */
void call_detach(struct rpc_call *call);
/* Answers UNIMPLEMENTED, naming what is not there. */
void call_refuse_unknown(struct rpc_call *call, struct rpc_server *server, const char *path);
