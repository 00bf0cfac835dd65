/* SPDX-License-Identifier: Apache-2.0 */
#include "image/json.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/base.h"

enum { JSON_DEPTH = 32 };

int json_parse(const char *what, const void *text, size_t len, json_object **ret, struct error *err)
{
    if (len >= INT_MAX)
        return fail(err, EFBIG, "parse %s", what);
    struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH);
    if (!t)
        return fail(err, ENOMEM, "parse %s", what);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    json_object *o = json_tokener_parse_ex(t, text, (int)len);
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t end = json_tokener_get_parse_end(t);
    json_tokener_free(t);
    while (end < len && e == json_tokener_success && isspace(((const unsigned char *)text)[end]))
        end++;
    if (e != json_tokener_success || end != len) {
        json_object_put(o);
        return fail_plain(err, EINVAL, "%s is not JSON: at byte %zu: %s", what, end,
                          e == json_tokener_success    ? "more follows"
                          : e == json_tokener_continue ? "it ends too early"
                                                       : json_tokener_error_desc(e));
    }
    *ret = o;
    return 0;
}

json_object *json_member(json_object *o, const char *name, json_type type)
{
    json_object *m = NULL;
    if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &m))
        return NULL;
    return m && json_object_is_type(m, type) ? m : NULL;
}

const char *json_text(json_object *o, const char *name)
{
    json_object *m = json_member(o, name, json_type_string);
    /* a NUL inside would make what is checked differ from what is used */
    if (!m || strlen(json_object_get_string(m)) != (size_t)json_object_get_string_len(m))
        return NULL;
    return json_object_get_string(m);
}

int64_t json_number(json_object *o, const char *name, int64_t otherwise)
{
    json_object *m = json_member(o, name, json_type_int);
    return m ? json_object_get_int64(m) : otherwise;
}

size_t json_length(json_object *array)
{
    return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

char **json_texts(json_object *o, const char *name)
{
    json_object *array = json_member(o, name, json_type_array);
    char **v = NULL;
    for (size_t i = 0; i < json_length(array); i++) {
        json_object *item = json_object_array_get_idx(array, i);
        if (strv_add(&v, json_object_is_type(item, json_type_string) ? json_object_get_string(item)
                                                                     : "") < 0) {
            strv_free(v);
            return NULL;
        }
    }
    return v;
}

static json_object *must(json_object *o)
{
    if (!o)
        abort();
    return o;
}

json_object *json_string(const char *text)
{
    return must(json_object_new_string(str_or_empty(text)));
}

json_object *json_strings(char *const *texts)
{
    if (!texts)
        return NULL;
    json_object *array = must(json_object_new_array());
    for (; *texts; texts++)
        json_object_array_add(array, json_string(*texts));
    return array;
}

int json_print(json_object *o, struct buffer *out)
{
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    return text ? buffer_printf(out, "%s\n", text) : -ENOMEM;
}
