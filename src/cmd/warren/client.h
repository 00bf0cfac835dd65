/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over the engine's unix socket, on libcurl. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"

struct error;

struct client_call {
    const char *method, *path; /* path with its query, escaped */
    const char *content_type;  /* of the body; NULL: none */
    /* The body; -1 ends the call. NULL: none. */
    ssize_t (*read)(void *arg, void *data, size_t size);
    /* The answer, as it comes, where its status is below 400; not 0 ends the call. NULL: it is collected. */
    int (*write)(void *arg, const void *data, size_t len);
    void *arg;
    struct buffer answer; /* collected; the caller's to be done with */
};

/* Calls the engine at host (unix://PATH). An answer of 400 and above is an error that says what the engine said; -ECONNREFUSED
 * where none answers says what to do. */
int client_do(const char *host, struct client_call *call, struct error *err);
/* A call without a body whose answer is JSON; *ret is NULL where the answer is empty. The caller puts it. */
int client_json(const char *host, const char *method, const char *path, json_object **ret,
                struct error *err);

/* Appends "&name=value" ("?" first), escaped. 0 or -ENOMEM. */
int query_add(struct buffer *path, const char *name, const char *value);
/* A part of a path, escaped but for its slashes. Malloced. */
char *path_escape(const char *text);
