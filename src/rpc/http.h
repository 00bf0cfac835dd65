/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 for the Docker Engine API: one coroutine a request, on libmicrohttpd, which takes the
 * accepted connection over. A request is valid until its handler returns; a handler that returns
 * without an answer answers 500. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct http_request;

const char *http_method(const struct http_request *r);
/* Decoded, without the query. */
const char *http_path(const struct http_request *r);
/* NULL where it is not there; "" where it has no value. */
const char *http_query(const struct http_request *r, const char *name);
/* The index-th (from 0) of a name that is given several times ("t=a&t=b"); NULL past the last. */
const char *http_query_at(const struct http_request *r, const char *name, size_t index);
const char *http_header(const struct http_request *r, const char *name);

/* Up to size bytes of the body; 0 at its end; parks. -ECONNRESET where the client left. */
ssize_t http_read(struct http_request *r, void *data, size_t size, struct error *err);

/* Before an answer. Both are copied. */
void http_set_header(struct http_request *r, const char *name, const char *value);
/* The whole answer at once; the body is copied. */
int http_answer(struct http_request *r, int status, const char *content_type, const void *body,
                size_t len, struct error *err);
/* An answer piece by piece, chunked; a write parks while the client does not read (at most 1 MiB is
 * held), and is -EPIPE once it has left. The end of the handler ends the answer. */
int http_stream(struct http_request *r, int status, const char *content_type, struct error *err);
int http_write(struct http_request *r, const void *data, size_t len, struct error *err);
/* Whether the client has left; a handler that waits for long asks, or waits by http_wait(). */
bool http_gone(const struct http_request *r);
/* Parks until the client leaves (false) or deadline (clock_mono_ns; true). May return early: look again. */
bool http_wait(struct http_request *r, int64_t deadline_ns);
