/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler does with its request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "rpc/http_parts.h"

enum { PIECE = 32 << 10, HELD = 1 << 20 };

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

static const char *lookup(const struct http_request *r, enum MHD_ValueKind kind, const char *name)
{
    const char *value = NULL;
    if (!r->connection || MHD_lookup_connection_value_n(r->connection, kind, name, strlen(name),
                                                        &value, NULL) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *http_query(const struct http_request *r, const char *name)
{
    return lookup(r, MHD_GET_ARGUMENT_KIND, name);
}

struct nth {
    const char *name, *value;
    size_t left;
};

static enum MHD_Result find_nth(void *context, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    struct nth *n = context;
    (void)kind;
    if (!str_eq(name, n->name) || n->left--)
        return MHD_YES;
    n->value = str_or_empty(value);
    return MHD_NO;
}

const char *http_query_at(const struct http_request *r, const char *name, size_t index)
{
    struct nth n = {.name = name, .left = index};
    if (r->connection)
        MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, find_nth, &n);
    return n.value;
}

const char *http_header(const struct http_request *r, const char *name)
{
    return lookup(r, MHD_HEADER_KIND, name);
}

bool http_gone(const struct http_request *r)
{
    return !r->connection || r->gone;
}

bool http_wait(struct http_request *r, int64_t deadline_ns)
{
    if (!http_gone(r))
        co_queue_wait(&r->wait, deadline_ns);
    return !http_gone(r);
}

ssize_t http_read(struct http_request *r, void *data, size_t size, struct error *err)
{
    while (r->connection && !r->gone && !r->body_ended && r->body_taken == r->body.len) {
        http_resume(r);
        co_queue_wait(&r->wait, INT64_MAX);
    }
    size_t n = r->body.len - r->body_taken;
    if (!n)
        return r->body_ended ? 0
                             : fail_plain(err, ECONNRESET, "the client left within its request");
    if (n > size)
        n = size;
    memcpy(data, r->body.data + r->body_taken, n);
    r->body_taken += n;
    if (r->body_taken == r->body.len) {
        buffer_clear(&r->body);
        r->body_taken = 0;
    }
    return (ssize_t)n;
}

void http_set_header(struct http_request *r, const char *name, const char *value)
{
    struct header *h = calloc(1, sizeof *h);
    if (h) {
        h->name = strdup(name);
        h->value = strdup(value);
    }
    if (!h || !h->name || !h->value)
        abort();
    h->next = r->headers;
    r->headers = h;
}

static void begin(struct http_request *r, int status, const char *content_type)
{
    if (content_type)
        MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (struct header *h = r->headers; h; h = h->next)
        MHD_add_response_header(r->response, h->name, h->value);
    r->status = (unsigned)status;
    http_resume(r);
}

static int check(struct http_request *r, struct error *err)
{
    if (!r->connection || r->gone)
        return fail_plain(err, EPIPE, "the client has left");
    if (r->response)
        return fail_plain(err, EALREADY, "this request is answered already");
    return 0;
}

int http_answer(struct http_request *r, int status, const char *content_type, const void *body,
                size_t len, struct error *err)
{
    int code = check(r, err);
    if (code < 0)
        return code;
    r->response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!r->response)
        return fail(err, ENOMEM, "answer a request");
    begin(r, status, content_type);
    return 0;
}

/* Called by libmicrohttpd for the next piece of a stream. */
static ssize_t next_piece(void *context, uint64_t position, char *data, size_t size)
{
    struct http_request *r = context;
    (void)position;
    size_t n = r->out.len - r->out_taken;
    if (r->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (!n && r->out_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!n) {
        http_suspend(r);
        return 0;
    }
    if (n > size)
        n = size;
    memcpy(data, r->out.data + r->out_taken, n);
    r->out_taken += n;
    if (r->out_taken == r->out.len) {
        buffer_clear(&r->out);
        r->out_taken = 0;
    }
    co_queue_wake_all(&r->wait);
    return (ssize_t)n;
}

int http_stream(struct http_request *r, int status, const char *content_type, struct error *err)
{
    int code = check(r, err);
    if (code < 0)
        return code;
    r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, next_piece, r, NULL);
    if (!r->response)
        return fail(err, ENOMEM, "answer a request");
    r->streaming = true;
    begin(r, status, content_type);
    return 0;
}

int http_write(struct http_request *r, const void *data, size_t len, struct error *err)
{
    if (!r->streaming)
        return fail_plain(err, EINVAL, "no stream was begun");
    while (r->connection && !r->gone && r->out.len - r->out_taken >= HELD)
        co_queue_wait(&r->wait, INT64_MAX);
    if (!r->connection || r->gone)
        return fail_plain(err, EPIPE, "the client has left");
    if (r->out_taken) {
        buffer_consume(&r->out, r->out_taken);
        r->out_taken = 0;
    }
    if (buffer_append(&r->out, data, len) < 0)
        return fail(err, ENOMEM, "write an answer");
    http_resume(r);
    return 0;
}
