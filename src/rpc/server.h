/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a server share: the services by path, the connections, and how a protocol takes
 * an accepted descriptor over. */
#pragma once

#include "base/map.h"
#include "rpc/call.h"
#include "rpc/conn.h"
#include "rpc/http.h"

struct http_server;

struct rpc_server {
    struct map services; /* by name */
    struct map routes;   /* "/service/method" -> struct route */
    struct list listeners;
    struct list waiting;  /* accepted, first bytes not there yet */
    struct list grpc;     /* struct grpc_conn */
    struct list ttrpc;    /* struct ttrpc_conn */
    size_t connections;   /* of all kinds but HTTP's */
    uint32_t streams_max; /* of a connection */
    struct http_server *http;
};

enum {
    CONNECTIONS_MAX = 4096, /* a server; the hard limit of descriptors may be 20,000 */
    WAITING_MAX = 256,      /* of them silent so far; the oldest has to go */
    STREAMS_MAX = 1000,     /* a gRPC connection, unless set */
    CALLS_MAX = 65536,      /* a ttrpc connection */
    HELD_MAX = 64 << 20,    /* bytes of unfinished requests of a connection */
};

/* Each takes fd over, success or not. */
void grpc_server_take(struct rpc_server *s, int fd);
void ttrpc_server_take(struct rpc_server *s, int fd);
/* Closes all connections of the server; they live on without it until their calls have ended. */
void grpc_server_close(struct rpc_server *s);
void ttrpc_server_close(struct rpc_server *s);

int http_server_new(struct http_server **ret, http_handler *handler, void *context,
                    struct error *err);
void http_server_free(struct http_server *h);
void http_server_take(struct http_server *h, int fd);
