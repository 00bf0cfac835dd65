/* SPDX-License-Identifier: Apache-2.0 */
/* What the client's parts share: a call under way, and what a protocol does with it. */
#pragma once

#include "base/list.h"
#include "loop/loop.h"
#include "rpc/conn.h"
#include "rpc/wire.h"

struct client_message {
    struct list link;
    struct buffer data;
};

struct client_call {
    struct list link;         /* of the connection's calls */
    struct client_conn *conn; /* NULL once it is over */
    struct co *co;            /* woken by whatever happens */
    const char *service, *method;
    const ProtobufCMessage *request;
    int64_t deadline;
    bool streaming;
    uint32_t stream;
    uint64_t position; /* of the connection's bytes where it began */
    struct list messages;
    bool done; /* status is final, no message will come */
    enum rpc_status status;
    char *text;
    bool transport; /* failed below the RPC */
    bool unseen;    /* the peer has not acted on it: may be tried again */

    /* gRPC's */
    struct grpc_decoder decoder;
    struct buffer out;
    size_t out_taken;
    size_t unconsumed; /* of the stream's window */
    int http_status;
    int grpc_status; /* -1 until it came */
    bool is_grpc;
};

struct client_conn_ops {
    /* Sends the request. 0, or negative with the call not begun. */
    int (*start)(struct client_conn *conn, struct client_call *call, struct error *err);
    /* The caller has lost interest. Unlinks the call. */
    void (*cancel)(struct client_conn *conn, struct client_call *call);
    /* All messages received so far were taken; may be NULL. */
    void (*taken)(struct client_conn *conn, struct client_call *call);
    void (*shutdown)(struct client_conn *conn);
};

struct client_conn {
    struct conn conn;
    const struct client_conn_ops *ops;
    struct list link;          /* of the client's */
    struct rpc_client *client; /* NULL once it is gone */
    struct list calls;
};

struct rpc_client {
    enum rpc_protocol protocol;
    char *path;
    struct client_conn *current; /* where new calls go; NULL: connect */
    struct list conns;
    bool connecting;
    struct co_queue connected;
    bool transport_error;
    bool freed;
    unsigned users; /* calls under way */
};

int grpc_client_open(struct client_conn **ret, int fd);
int ttrpc_client_open(struct client_conn **ret, int fd);

/* Ends a call. text may be NULL. */
void client_call_finish(struct client_call *call, enum rpc_status status, const char *text);
/* Appends a message; takes data over. */
int client_call_message(struct client_call *call, struct buffer *data);
/* New calls go elsewhere; it closes after its last. */
void client_conn_retire(struct client_conn *conn);
/* A call has left the connection. */
void client_conn_check(struct client_conn *conn);
/* Ends all calls of a connection that broke. */
void client_conn_broken(struct client_conn *conn, int code);
