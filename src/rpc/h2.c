/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

int h2_option_new(nghttp2_option **ret)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) < 0)
        return -ENOMEM;
    /* a stream that nobody reads must not be given more window */
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    /* nghttp2's own limit of 1,000 resets and 33 a second ends connections of clients that cancel
     * honestly: a kubelet that gives up its calls in a storm */
    nghttp2_option_set_stream_reset_rate_limit(o, 10000, 1000);
    *ret = o;
    return 0;
}

int h2_submit_settings(nghttp2_session *session, uint32_t streams_max)
{
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADERS_MAX},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
    };
    if (!streams_max)
        entries[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, ARRAY_SIZE(entries)) < 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW) <
            0)
        return -ENOMEM;
    return 0;
}

static void add(struct h2_headers *h, const char *name, const char *value, uint8_t flags)
{
    if (h->count == ARRAY_SIZE(h->nv))
        return;
    h->nv[h->count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                                     .namelen = strlen(name),
                                     .value = (uint8_t *)(uintptr_t)value,
                                     .valuelen = strlen(value),
                                     .flags = flags};
}

void h2_add(struct h2_headers *h, const char *name, const char *value)
{
    add(h, name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

void h2_add_text(struct h2_headers *h, const char *name, const char *value)
{
    add(h, name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

void h2_add_status(struct h2_headers *h, enum rpc_status status, const char *text)
{
    if (status == RPC_OK) {
        h2_add(h, "grpc-status", "0");
        return;
    }
    snprintf(h->status, sizeof h->status, "%u", (unsigned)status % 1000);
    h2_add_text(h, "grpc-status", h->status);
    if (text && grpc_encode_message(&h->encoded, text) == 0)
        h2_add_text(h, "grpc-message", buffer_text(&h->encoded));
}

void h2_headers_done(struct h2_headers *h)
{
    buffer_done(&h->encoded);
}

int h2_fill(nghttp2_session *session, struct conn *c)
{
    while (conn_pending(c) < CONN_OUT_HIGH) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(session, &data);
        if (n < 0)
            return -ENOMEM;
        if (n == 0)
            return 0;
        if (buffer_append(&c->out, data, (size_t)n) < 0)
            return -ENOMEM;
    }
    return 0;
}
