/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC's two sides share of nghttp2: options, settings, header lists, sending. */
#pragma once

#include <nghttp2/nghttp2.h>

#include "rpc/conn.h"
#include "rpc/wire.h"

enum { H2_STREAM_WINDOW = 1 << 20, H2_CONNECTION_WINDOW = 16 << 20, H2_HEADERS_MAX = 64 << 10 };

/* Owned by the caller: nghttp2_option_del. */
int h2_option_new(nghttp2_option **ret);
/* streams_max: 0 for a client. */
int h2_submit_settings(nghttp2_session *session, uint32_t streams_max);

struct h2_headers {
    nghttp2_nv nv[10];
    size_t count;
    struct buffer encoded; /* grpc-message */
    char status[4];
};

/* name and value are string literals, or live until nghttp2 has copied them at the submit; so must
 * h. */
void h2_add(struct h2_headers *h, const char *name, const char *value);
void h2_add_text(struct h2_headers *h, const char *name, const char *value);
/* grpc-status and grpc-message. text may be NULL. */
void h2_add_status(struct h2_headers *h, enum rpc_status status, const char *text);
void h2_headers_done(struct h2_headers *h);

/* conn_ops.fill of a session. */
int h2_fill(nghttp2_session *session, struct conn *c);
