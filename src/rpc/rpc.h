/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: gRPC, ttrpc and HTTP/1.1 on Unix sockets. Moves bytes and messages and knows no service.
 *
 * Messages are protobuf-c's; a service is its generated descriptor and a table of handlers. gRPC
 * and ttrpc serve the same tables. A listening socket may speak several protocols, told apart by a
 * connection's first bytes: the HTTP/2 preface is gRPC, a first byte of 0 is ttrpc (the high byte
 * of a length of at most 4 MiB), else HTTP/1.1.
 *
 * Each call runs its handler in a coroutine of its own. A request and what the handler allocates
 * for its answer live in the call's arena until the answer is sent. A handler's failure becomes a
 * status by rpc_status_of(); err.message is what the client reads. Everything is for the loop's
 * thread.
 *
 * Protocol sources: grpc/doc/PROTOCOL-HTTP2.md, RFC 9113, containerd/ttrpc PROTOCOL.md. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

struct error;

/* gRPC's status codes (google.rpc.Code). */
enum rpc_status {
    RPC_OK,
    RPC_CANCELLED,
    RPC_UNKNOWN,
    RPC_INVALID_ARGUMENT,
    RPC_DEADLINE_EXCEEDED,
    RPC_NOT_FOUND,
    RPC_ALREADY_EXISTS,
    RPC_PERMISSION_DENIED,
    RPC_RESOURCE_EXHAUSTED,
    RPC_FAILED_PRECONDITION,
    RPC_ABORTED,
    RPC_OUT_OF_RANGE,
    RPC_UNIMPLEMENTED,
    RPC_INTERNAL,
    RPC_UNAVAILABLE,
    RPC_DATA_LOSS,
    RPC_UNAUTHENTICATED,
};

/* The one table between errno and status; rpc_errno_of(rpc_status_of(e)) keeps the meaning, not
 * every code. ENOENT NOT_FOUND, EEXIST ALREADY_EXISTS, EINVAL INVALID_ARGUMENT, EOPNOTSUPP
 * UNIMPLEMENTED, ETIMEDOUT DEADLINE_EXCEEDED, ECANCELED CANCELLED, EBUSY and EPROTO
 * FAILED_PRECONDITION, EACCES and EPERM PERMISSION_DENIED, ENOSPC ENOMEM EMFILE E2BIG
 * RESOURCE_EXHAUSTED, ECONNREFUSED ECONNRESET EPIPE ENOTCONN UNAVAILABLE, the rest UNKNOWN. */
enum rpc_status rpc_status_of(int code);
int rpc_errno_of(enum rpc_status status); /* positive errno */

/* Sizes from outside. A gRPC request of more than this is RESOURCE_EXHAUSTED; so is an answer that
 * is larger, with the sizes in its message (clients accept 16 MiB). ttrpc's limit is its own 4 MiB.
 */
enum { RPC_MESSAGE_MAX = 16 << 20, TTRPC_MESSAGE_MAX = 4 << 20 };

/* Server */

struct rpc_call; /* one call being served; valid until its handler returns */

/* request: the unpacked message. response: initialised, to be filled from the call's arena (or with
 * what lives until the handler returns); NULL for a streaming method, which answers by rpc_send().
 * 0, or a negative errno. */
typedef int rpc_handler(struct rpc_call *call, const void *request, void *response,
                        struct error *err);

struct rpc_method {
    const char *name; /* as in the .proto */
    rpc_handler *handler;
    bool streaming; /* the server streams; protobuf-c does not tell */
};

struct rpc_service {
    const ProtobufCServiceDescriptor *descriptor;
    const char *name; /* full name to serve as, where it is not the descriptor's own; else NULL */
    const struct rpc_method *methods;
    size_t method_count; /* those left out answer UNIMPLEMENTED, with a sentence */
    void *context;       /* for rpc_context() */
};

void *rpc_context(const struct rpc_call *call);
struct arena *rpc_arena(struct rpc_call *call);
/* Absolute (clock_mono_ns), INT64_MAX where the client set none. */
int64_t rpc_deadline(const struct rpc_call *call);
/* True once the client has cancelled, gone, or the deadline has passed. A handler that waits for
 * long registers itself by rpc_on_cancel, and is called once on the loop. */
bool rpc_cancelled(const struct rpc_call *call);
void rpc_on_cancel(struct rpc_call *call, void (*fn)(void *arg), void *arg);
/* Sends one message of a stream; parks while the client's window is full. -ECANCELED when nobody is
 * there. */
int rpc_send(struct rpc_call *call, const void *message, struct error *err);

enum rpc_protocol { RPC_GRPC = 1, RPC_TTRPC = 2, RPC_HTTP = 4 };

struct http_request; /* rpc/http.h */
typedef void http_handler(struct http_request *request, void *context);

struct rpc_server;
int rpc_server_new(struct rpc_server **ret, struct error *err);
/* Closes listeners and connections; running calls are cancelled and finish on their own. NULL is
 * allowed. */
void rpc_server_free(struct rpc_server *s);
/* service is kept by reference. -EEXIST where its name is served already. */
int rpc_server_add(struct rpc_server *s, const struct rpc_service *service, struct error *err);
/* Before the first connection; once. */
int rpc_server_set_http(struct rpc_server *s, http_handler *handler, void *context,
                        struct error *err);
/* How many gRPC calls one connection may have under way; 1,000 unless set. More for who waits by
 * calls, one a sandbox. */
void rpc_server_set_streams_max(struct rpc_server *s, uint32_t streams);
/* Listens at path (a stale socket there is replaced; one that answers is -EADDRINUSE), with mode.
 * protocols: a set of enum rpc_protocol. A path of more than 107 bytes is bound by /proc/self/fd.
 */
int rpc_server_listen(struct rpc_server *s, const char *path, mode_t mode, unsigned protocols,
                      struct error *err);
/* Takes over a listening Unix socket (systemd activation, tests). */
int rpc_server_listen_fd(struct rpc_server *s, int fd, unsigned protocols, struct error *err);

/* Client */

struct rpc_client; /* one connection for all calls, made at the first and again after it broke */

/* protocol: RPC_GRPC or RPC_TTRPC. path may begin with unix:// ; it is copied. No I/O. */
int rpc_client_new(struct rpc_client **ret, enum rpc_protocol protocol, const char *path,
                   struct error *err);
/* Calls under way fail with -ECANCELED. NULL is allowed. */
void rpc_client_free(struct rpc_client *c);

/* One unary call; parks. service_name: full name to call where it is not the descriptor's own (Task
 * v3), else NULL. *ret_response lives in arena. A status other than OK is returned as
 * -rpc_errno_of(status) with the peer's message as err's; a peer that is not there is -ECONNREFUSED
 * or -ENOENT with the path in the message (told apart from a peer's NOT_FOUND by
 * rpc_is_transport_error). deadline: absolute (clock_mono_ns), INT64_MAX for none. */
int rpc_client_call(struct rpc_client *c, const ProtobufCServiceDescriptor *service,
                    const char *service_name, const char *method, const void *request,
                    struct arena *arena, void **ret_response, int64_t deadline_ns,
                    struct error *err);
/* Whether the last failed call on c of this coroutine's turn failed below the RPC: nobody there,
 * connection broken. Valid right after the call. */
bool rpc_is_transport_error(const struct rpc_client *c);

struct rpc_stream;
int rpc_client_stream(struct rpc_client *c, const ProtobufCServiceDescriptor *service,
                      const char *service_name, const char *method, const void *request,
                      struct rpc_stream **ret, int64_t deadline_ns, struct error *err);
/* 1 with a message in arena, 0 at the end with status OK, or negative. Parks. */
int rpc_stream_receive(struct rpc_stream *s, struct arena *arena, void **ret_message,
                       struct error *err);
/* Cancels what is under way. NULL is allowed. */
void rpc_stream_free(struct rpc_stream *s);

/* Packs into / unpacks from arena memory. unpack: NULL where bytes are no such message. */
void *rpc_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena, const void *data,
                 size_t len);
