/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as docker's clients expect them. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "docker/docker.h"
#include "rpc/http.h"

struct error;

/* Takes o over. */
void answer_json(struct http_request *r, int status, json_object *o);
/* {"message": ...} with the status that docker has for the error. */
void answer_error(struct http_request *r, const struct error *err);
void answer_message(struct http_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "1", "true": as Go's strconv.ParseBool, with anything else but "0" and "false" true as docker has it. */
bool query_flag(const struct http_request *r, const char *name);
/* All values of a repeated name, malloced; NULL where there are none or memory is out. */
char **query_all(const struct http_request *r, const char *name);
/* A query that is JSON; 0 with *ret NULL where it is absent or empty. */
int query_json(const struct http_request *r, const char *name, json_object **ret,
               struct error *err);

/* images.c, build.c: each one path. name is what is between /images/ and the last word. */
void serve_images_list(struct docker *d, struct http_request *r);
void serve_images_load(struct docker *d, struct http_request *r);
/* names: NULL-terminated. */
void serve_images_save(struct docker *d, struct http_request *r, char *const *names);
void serve_image_inspect(struct docker *d, struct http_request *r, const char *name);
void serve_image_history(struct docker *d, struct http_request *r, const char *name);
void serve_image_tag(struct docker *d, struct http_request *r, const char *name);
void serve_image_remove(struct docker *d, struct http_request *r, const char *name);
void serve_build(struct docker *d, struct http_request *r);
void serve_info(struct docker *d, struct http_request *r);
