/* SPDX-License-Identifier: Apache-2.0 */
/* The API's messages that both the server and the CLI know, each field's name in one place. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "image/image.h"

struct image_summary { /* of GET /images/json */
    char *id;
    char **tags;    /* "busybox:latest" */
    char **digests; /* "busybox@sha256:..." */
    char **labels;  /* "key=value" */
    int64_t created_s;
    uint64_t size;
};
void image_summary_done(struct image_summary *s);
CLEANUP_DONE(image_summary, struct image_summary);
json_object *image_summary_json(const struct image *image);
int image_summary_read(json_object *o, struct image_summary *ret, struct error *err);

struct version_message { /* of GET /version */
    const char *version, *api_version, *min_api_version, *os, *architecture, *kernel;
};
json_object *version_json(const struct version_message *v);
/* The texts are o's. */
void version_read(json_object *o, struct version_message *ret);

struct
    stream_message { /* a line of a build's or load's answer; the texts are the document's, NULL where absent */
    const char *stream, *status, *id, *error, *image_id;
};
void stream_read(json_object *o, struct stream_message *ret);
json_object *stream_text_json(const char *text);
json_object *stream_error_json(const char *message);

json_object *error_json(const char *message);
/* The message of an error's body, NULL where it has none. */
const char *error_read(json_object *o);
