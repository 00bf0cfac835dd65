/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's client, in its parts: client.c and client_make.c make calls, follow.c watches, foreign.c speaks with sandboxers that have only the
 * published services. */
#pragma once

#include "loop/loop.h"
#include "rpc/rpc.h"
#include "sandbox/peer.h"

enum remote_kind { REMOTE_UNKNOWN, REMOTE_WARREN, REMOTE_FOREIGN };

struct remote {
    struct peer peer;
    char *path;    /* of the socket */
    char *bundles; /* or NULL */
    struct rpc_client *grpc, *ttrpc;
    enum remote_kind kind; /* known after the first answer; asked again after a break */
    unsigned users;        /* calls and coroutines under way */
    bool freeing;
    bool connected;
    const struct peer_observer *observer;
    void *observer_arg;
    char *instance; /* of the watch, with */
    uint64_t cursor;
    struct co_queue stop; /* woken when it is being freed */
    struct foreign *foreign;
};

enum {
    REMOTE_CALL_S = 120,    /* no call may hold its caller for ever */
    REMOTE_SMALL = 3 << 20, /* bytes of a message that ttrpc takes for sure */
};

/* One call; -ENOTCONN where the sandboxer is not there. */
struct remote_call {
    const ProtobufCServiceDescriptor *service;
    const char *method;
    const void *request;
    const char *id;    /* of the container, of a task call */
    int64_t timeout_s; /* 0: REMOTE_CALL_S; < 0: none */
    bool large;        /* request or answer may pass REMOTE_SMALL, and needs gRPC */
};
int remote_call(struct remote *c, const struct remote_call *call, struct arena *arena,
                void **ret_response, struct error *err);
/* Finds out whom it speaks with. -ENOTCONN. */
int remote_probe(struct remote *c, struct error *err);

void remote_hold(struct remote *c);
void remote_release(struct remote *c); /* frees it when it is the last of a freed one */
static inline void cleanup_remote_held(struct remote **c)
{
    if (*c)
        remote_release(*c);
}

/* follow.c: the coroutine that watches until the client is freed. */
void remote_follow(void *remote);
void remote_tell_begin(struct remote *c);
void remote_tell_end(struct remote *c);
/* Sleeps; false where the client is being freed. */
bool remote_pause(struct remote *c, int64_t ns);
