/* SPDX-License-Identifier: Apache-2.0 */
/* A request's two halves: what libmicrohttpd's callbacks do (http.c) and what its handler does
 * (http_answer.c). */
#pragma once

#include <microhttpd.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/list.h"
#include "loop/loop.h"
#include "rpc/http.h"
#include "rpc/rpc.h"

struct http_server {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles;
    http_handler *handler;
    void *context;
    struct list requests;
};

struct http_request {
    struct list link;                  /* of the server's */
    struct http_server *server;        /* NULL once it is gone */
    struct MHD_Connection *connection; /* NULL once the client has left or the answer is sent */
    char *method, *path;
    struct co_queue wait; /* the handler waits here for whatever happens */
    bool suspended;
    bool gone;       /* the client has closed its end, libmicrohttpd does not know yet */
    uv_poll_t watch; /* for that, while suspended: libmicrohttpd does not look then */
    bool watching;   /* watch is in use */
    bool running;    /* the handler */

    struct buffer body; /* a piece not read yet */
    size_t body_taken;
    bool body_ended;

    struct MHD_Response *response;
    unsigned status;
    bool queued;
    bool streaming;
    bool out_ended;
    struct buffer out;
    size_t out_taken;
    struct header *headers;
};

struct header {
    struct header *next;
    char *name, *value;
};

/* libmicrohttpd goes on with the request at the loop's next turn, not below whoever asks. */
void http_resume(struct http_request *r);
/* From libmicrohttpd's callbacks. */
void http_suspend(struct http_request *r);
