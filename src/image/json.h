/* SPDX-License-Identifier: Apache-2.0 */
/* json-c with what reading documents from outside needs: wrong types read as absent, sizes are
 * bounded. */
#pragma once

#include <json-c/json.h>

#include "base/cleanup.h"

struct buffer;
struct error;

static inline void cleanup_json(json_object **o)
{
    json_object_put(*o);
}

/* The whole text is one value. -EINVAL says at which byte it is not. what names the document. The
 * caller puts it. */
int json_parse(const char *what, const void *text, size_t len, json_object **ret,
               struct error *err);
/* NULL where o is no object, has no such member, or it is of another type. Borrowed. */
json_object *json_member(json_object *o, const char *name, json_type type);
/* The text, or NULL. Borrowed. */
const char *json_text(json_object *o, const char *name);
int64_t json_number(json_object *o, const char *name, int64_t otherwise);
size_t json_length(json_object *array); /* 0 where it is no array */
/* A member that is an array of strings, as a malloced vector; NULL where it is absent, null or
 * memory is out. */
char **json_texts(json_object *o, const char *name);

/* Never NULL: memory out ends the process, as it does in json-c itself halfway. */
json_object *json_string(const char *text);    /* NULL becomes "" */
json_object *json_strings(char *const *texts); /* NULL becomes null */
/* Appends a document and a newline. 0 or -ENOMEM. */
int json_print(json_object *o, struct buffer *out);
