/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "oci/schema.h"
#include "oci/spec.h"

/* Where in the document we are: a chain on the stack, spelled out only for an error. */
struct place {
    const struct place *parent;
    const char *name; /* NULL: an item of a list */
    size_t index;
};

struct reader {
    struct arena *arena;
    struct error *err;
};

static int place_print(const struct place *p, char *text, size_t size)
{
    int n = p->parent ? place_print(p->parent, text, size) : 0;
    if ((size_t)n >= size)
        return n;
    int more = p->name ? snprintf(text + n, size - (size_t)n, "%s%s", n ? "." : "", p->name)
                       : snprintf(text + n, size - (size_t)n, "[%zu]", p->index);
    return more < 0 ? n : n + more;
}

static int refuse(struct reader *rd, const struct place *at, int code, const char *expected,
                  const char *found)
{
    char text[256];
    text[0] = 0;
    place_print(at, text, sizeof text);
    return fail_plain(rd->err, code, "%s%s%s%s%s", text, text[0] ? ": " : "", expected,
                      found ? ", found " : "", found ? found : "");
}

static const char *describe(struct json_object *v)
{
    switch (json_object_get_type(v)) {
    case json_type_null:
        return "null";
    case json_type_boolean:
        return "a boolean";
    case json_type_double:
        return "a number with a fraction";
    case json_type_int:
        return "an integer";
    case json_type_object:
        return "an object";
    case json_type_array:
        return "a list";
    case json_type_string:
        break;
    }
    return "a string";
}

static int read_string(struct reader *rd, struct json_object *v, const struct place *at, char **ret)
{
    if (!json_object_is_type(v, json_type_string))
        return refuse(rd, at, EINVAL, "expected a string", describe(v));
    size_t len = (size_t)json_object_get_string_len(v);
    const char *s = json_object_get_string(v);
    if (memchr(s, 0, len))
        return refuse(rd, at, EINVAL, "expected text", "a NUL byte in it");
    char *copy = arena_alloc(rd->arena, len + 1);
    memcpy(copy, s, len);
    *ret = copy;
    return 0;
}

static int read_number(struct reader *rd, struct json_object *v, const struct place *at,
                       enum oci_kind kind, void *to)
{
    if (!json_object_is_type(v, json_type_int))
        return refuse(rd, at, EINVAL, "expected an integer", describe(v));
    int64_t n = json_object_get_int64(v);
    uint64_t u = json_object_get_uint64(v);
    bool negative = n < 0;
    /* json-c clamps at the ends of 64 bits and tells so by errno only while it parses the text */
    switch (kind) {
    case OCI_I64:
        if (!negative && u > INT64_MAX)
            break;
        *(int64_t *)to = n;
        return 0;
    case OCI_I32:
        if (n < INT32_MIN || n > INT32_MAX)
            break;
        *(int32_t *)to = (int32_t)n;
        return 0;
    case OCI_U64:
        if (negative)
            break;
        *(uint64_t *)to = u;
        return 0;
    case OCI_U32:
        if (negative || u > UINT32_MAX)
            break;
        *(uint32_t *)to = (uint32_t)u;
        return 0;
    case OCI_U16:
        if (negative || u > UINT16_MAX)
            break;
        *(uint16_t *)to = (uint16_t)u;
        return 0;
    default:
        break;
    }
    char found[32];
    if (negative)
        snprintf(found, sizeof found, "%lld", (long long)n);
    else
        snprintf(found, sizeof found, "%llu", (unsigned long long)u);
    static const char *const ranges[] = {
        [OCI_I32] = "expected an integer of 32 bits",
        [OCI_I64] = "expected an integer of 64 bits",
        [OCI_U16] = "expected an integer from 0 to 65535",
        [OCI_U32] = "expected an integer from 0 to 4294967295",
        [OCI_U64] = "expected an integer that is not negative",
    };
    return refuse(rd, at, EINVAL, ranges[kind], found);
}

static size_t scalar_size(enum oci_kind kind)
{
    switch (kind) {
    case OCI_BOOL:
        return sizeof(bool);
    case OCI_U16:
        return 2;
    case OCI_I32:
    case OCI_U32:
        return 4;
    default:
        return 8;
    }
}

static int read_scalar(struct reader *rd, struct json_object *v, const struct place *at,
                       const struct oci_field *f, char *object)
{
    void *to = object + f->at;
    if (f->flags & OCI_OPTIONAL) {
        void *value = arena_alloc(rd->arena, scalar_size(f->kind));
        *(void **)to = value;
        to = value;
    }
    if (f->kind != OCI_BOOL)
        return read_number(rd, v, at, f->kind, to);
    if (!json_object_is_type(v, json_type_boolean))
        return refuse(rd, at, EINVAL, "expected true or false", describe(v));
    *(bool *)to = json_object_get_boolean(v);
    return 0;
}

static int check_list(struct reader *rd, struct json_object *v, const struct place *at)
{
    if (!json_object_is_type(v, json_type_array))
        return refuse(rd, at, EINVAL, "expected a list", describe(v));
    if (json_object_array_length(v) > OCI_LIST_MAX)
        return refuse(rd, at, E2BIG, "more than 65536 items", NULL);
    return 0;
}

static int check_object(struct reader *rd, struct json_object *v, const struct place *at)
{
    if (!json_object_is_type(v, json_type_object))
        return refuse(rd, at, EINVAL, "expected an object", describe(v));
    if (json_object_object_length(v) > OCI_LIST_MAX)
        return refuse(rd, at, E2BIG, "more than 65536 members", NULL);
    return 0;
}

static int read_strings(struct reader *rd, struct json_object *v, const struct place *at,
                        char ***ret)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    size_t n = json_object_array_length(v);
    char **list = arena_array(rd->arena, char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct place item = {at, NULL, i};
        r = read_string(rd, json_object_array_get_idx(v, i), &item, &list[i]);
        if (r < 0)
            return r;
    }
    *ret = list;
    return 0;
}

static int read_numbers(struct reader *rd, struct json_object *v, const struct place *at,
                        uint32_t **ret, size_t *ret_count)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    size_t n = json_object_array_length(v);
    uint32_t *list = arena_array(rd->arena, uint32_t, n);
    for (size_t i = 0; i < n; i++) {
        struct place item = {at, NULL, i};
        r = read_number(rd, json_object_array_get_idx(v, i), &item, OCI_U32, &list[i]);
        if (r < 0)
            return r;
    }
    *ret = list;
    *ret_count = n;
    return 0;
}

static int read_object(struct reader *rd, struct json_object *v, const struct place *at,
                       const struct oci_type *type, char *to);

static int read_list(struct reader *rd, struct json_object *v, const struct place *at,
                     const struct oci_field *f, char *object)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    size_t n = json_object_array_length(v);
    char *list = arena_alloc(rd->arena, n * f->type->size);
    for (size_t i = 0; i < n; i++) {
        struct place item = {at, NULL, i};
        r = read_object(rd, json_object_array_get_idx(v, i), &item, f->type,
                        list + i * f->type->size);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = list;
    *(size_t *)(object + f->count_at) = n;
    return 0;
}

static int read_pairs(struct reader *rd, struct json_object *v, const struct place *at,
                      const struct oci_field *f, char *object)
{
    int r = check_object(rd, v, at);
    if (r < 0)
        return r;
    struct oci_pair *pairs =
        arena_array(rd->arena, struct oci_pair, (size_t)json_object_object_length(v));
    size_t n = 0;
    json_object_object_foreach(v, key, value)
    {
        struct place item = {at, key, 0};
        pairs[n].key = arena_strdup(rd->arena, key);
        r = read_string(rd, value, &item, &pairs[n++].value);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = pairs;
    *(size_t *)(object + f->count_at) = n;
    return 0;
}

static int read_map(struct reader *rd, struct json_object *v, const struct place *at,
                    const struct oci_field *f, char *object)
{
    int r = check_object(rd, v, at);
    if (r < 0)
        return r;
    char *items = arena_alloc(rd->arena, (size_t)json_object_object_length(v) * f->type->size);
    size_t n = 0;
    json_object_object_foreach(v, key, value)
    {
        struct place item = {at, key, 0};
        char *to = items + n++ * f->type->size;
        *(char **)(void *)to = arena_strdup(rd->arena, key);
        r = read_object(rd, value, &item, f->type, to);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = items;
    *(size_t *)(object + f->count_at) = n;
    return 0;
}

static int read_field(struct reader *rd, struct json_object *v, const struct place *at,
                      const struct oci_field *f, char *object)
{
    char *to = object + f->at;
    switch (f->kind) {
    case OCI_STRING:
        return read_string(rd, v, at, (char **)(void *)to);
    case OCI_STRINGS:
        return read_strings(rd, v, at, (char ***)(void *)to);
    case OCI_NUMBERS:
        return read_numbers(rd, v, at, (uint32_t **)(void *)to,
                            (size_t *)(void *)(object + f->count_at));
    case OCI_STRUCT:
        return read_object(rd, v, at, f->type, to);
    case OCI_POINTER:
        *(void **)(void *)to = arena_alloc(rd->arena, f->type->size);
        return read_object(rd, v, at, f->type, *(char **)(void *)to);
    case OCI_LIST:
        return read_list(rd, v, at, f, object);
    case OCI_PAIRS:
        return read_pairs(rd, v, at, f, object);
    case OCI_MAP:
        return read_map(rd, v, at, f, object);
    default:
        return read_scalar(rd, v, at, f, object);
    }
}

static int read_object(struct reader *rd, struct json_object *v, const struct place *at,
                       const struct oci_type *type, char *to)
{
    int r = check_object(rd, v, at);
    for (const struct oci_field *f = type->fields; !r && f->name; f++) {
        struct json_object *member = json_object_object_get(v, f->name);
        if (!member) /* absent, or null: what Go's encoder writes for a nil */
            continue;
        struct place below = {at, f->name, 0};
        r = read_field(rd, member, &below, f, to);
    }
    return r;
}

static int parse(const void *json, size_t len, struct arena *a, const struct oci_type *type,
                 void **ret, const char *what, struct error *err)
{
    if (len > OCI_JSON_MAX)
        return fail_plain(err, E2BIG, "%s of %zu bytes: at most %d are allowed", what, len,
                          OCI_JSON_MAX);
    struct json_tokener *tok = json_tokener_new_ex(OCI_DEPTH_MAX);
    if (!tok)
        return fail(err, ENOMEM, "read %s", what);
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    struct json_object *root = json_tokener_parse_ex(tok, json, (int)len);
    enum json_tokener_error e = json_tokener_get_error(tok);
    size_t end = json_tokener_get_parse_end(tok);
    json_tokener_free(tok);
    if (e == json_tokener_continue || (e == json_tokener_success && !root)) {
        json_object_put(root);
        return fail_plain(err, EINVAL, "%s is no JSON: %s", what,
                          e == json_tokener_continue ? "it ends too early" : "it is null");
    }
    if (e != json_tokener_success)
        return fail_plain(err, EINVAL, "%s is no JSON: %s at byte %zu", what,
                          json_tokener_error_desc(e), end);
    struct reader rd = {a, err};
    struct place at = {NULL, "", 0};
    void *object = arena_alloc(a, type->size);
    int r = read_object(&rd, root, &at, type, object);
    json_object_put(root);
    if (r < 0)
        return fail_in(err, r, "%s", what);
    *ret = object;
    return 0;
}

int oci_spec_parse(const void *json, size_t len, struct arena *a, struct oci_spec **ret,
                   struct error *err)
{
    void *object;
    int r = parse(json, len, a, &oci_spec_type, &object, "the OCI spec", err);
    if (r < 0)
        return r;
    *ret = object;
    return 0;
}

int oci_process_parse(const void *json, size_t len, struct arena *a, struct oci_process **ret,
                      struct error *err)
{
    void *object;
    int r = parse(json, len, a, &oci_process_type, &object, "the OCI process", err);
    if (r < 0)
        return r;
    *ret = object;
    return 0;
}

int oci_resources_parse(const void *json, size_t len, struct arena *a, struct oci_resources **ret,
                        struct error *err)
{
    void *object;
    int r = parse(json, len, a, &oci_resources_type, &object, "the OCI resources", err);
    if (r < 0)
        return r;
    *ret = object;
    return 0;
}

const char *oci_annotation(const struct oci_spec *spec, const char *key)
{
    for (size_t i = 0; i < spec->annotations_count; i++)
        if (str_eq(spec->annotations[i].key, key))
            return spec->annotations[i].value;
    return NULL;
}
