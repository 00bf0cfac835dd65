/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "oci/json.h"
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

static const char *describe(const struct oci_json *v)
{
    static const char *const kinds[] = {
        [JSON_NULL] = "null",          [JSON_BOOL] = "a boolean",
        [JSON_INTEGER] = "an integer", [JSON_FRACTION] = "a number with a fraction",
        [JSON_STRING] = "a string",    [JSON_LIST] = "a list",
        [JSON_OBJECT] = "an object",
    };
    return kinds[v->kind];
}

static int read_string(struct reader *rd, const struct oci_json *v, const struct place *at,
                       char **ret)
{
    if (v->kind != JSON_STRING)
        return refuse(rd, at, EINVAL, "expected a string", describe(v));
    if (memchr(v->text, 0, v->len))
        return refuse(rd, at, EINVAL, "expected text", "a NUL byte in it");
    *ret = v->text;
    return 0;
}

static int read_number(struct reader *rd, const struct oci_json *v, const struct place *at,
                       enum oci_kind kind, void *to)
{
    if (v->kind != JSON_INTEGER)
        return refuse(rd, at, EINVAL, "expected an integer", describe(v));
    bool negative = v->negative && v->n;
    uint64_t n = v->n;
    switch (kind) {
    case OCI_I64:
        if (n > INT64_MAX + (uint64_t)negative)
            break;
        *(int64_t *)to = (int64_t)(negative ? -n : n);
        return 0;
    case OCI_I32:
        if (n > INT32_MAX + (uint64_t)negative)
            break;
        *(int32_t *)to = (int32_t)(negative ? -(int64_t)n : (int64_t)n);
        return 0;
    case OCI_U64:
        if (negative)
            break;
        *(uint64_t *)to = n;
        return 0;
    case OCI_U32:
        if (negative || n > UINT32_MAX)
            break;
        *(uint32_t *)to = (uint32_t)n;
        return 0;
    case OCI_U16:
        if (negative || n > UINT16_MAX)
            break;
        *(uint16_t *)to = (uint16_t)n;
        return 0;
    default:
        break;
    }
    char found[32];
    snprintf(found, sizeof found, "%s%llu", negative ? "-" : "", (unsigned long long)n);
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

static int read_scalar(struct reader *rd, const struct oci_json *v, const struct place *at,
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
    if (v->kind != JSON_BOOL)
        return refuse(rd, at, EINVAL, "expected true or false", describe(v));
    *(bool *)to = v->yes;
    return 0;
}

static int check_list(struct reader *rd, const struct oci_json *v, const struct place *at)
{
    if (v->kind != JSON_LIST)
        return refuse(rd, at, EINVAL, "expected a list", describe(v));
    if (v->len > OCI_LIST_MAX)
        return refuse(rd, at, E2BIG, "more than 65536 items", NULL);
    return 0;
}

static int check_object(struct reader *rd, const struct oci_json *v, const struct place *at)
{
    if (v->kind != JSON_OBJECT)
        return refuse(rd, at, EINVAL, "expected an object", describe(v));
    if (v->len > OCI_LIST_MAX)
        return refuse(rd, at, E2BIG, "more than 65536 members", NULL);
    return 0;
}

static int read_strings(struct reader *rd, const struct oci_json *v, const struct place *at,
                        char ***ret)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    char **list = arena_array(rd->arena, char *, v->len + 1);
    size_t i = 0;
    for (const struct oci_json *one = v->first; one; one = one->next, i++) {
        struct place item = {at, NULL, i};
        r = read_string(rd, one, &item, &list[i]);
        if (r < 0)
            return r;
    }
    *ret = list;
    return 0;
}

static int read_numbers(struct reader *rd, const struct oci_json *v, const struct place *at,
                        uint32_t **ret, size_t *ret_count)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    uint32_t *list = arena_array(rd->arena, uint32_t, v->len);
    size_t i = 0;
    for (const struct oci_json *one = v->first; one; one = one->next, i++) {
        struct place item = {at, NULL, i};
        r = read_number(rd, one, &item, OCI_U32, &list[i]);
        if (r < 0)
            return r;
    }
    *ret = list;
    *ret_count = v->len;
    return 0;
}

static int read_object(struct reader *rd, const struct oci_json *v, const struct place *at,
                       const struct oci_type *type, char *to);

static int read_list(struct reader *rd, const struct oci_json *v, const struct place *at,
                     const struct oci_field *f, char *object)
{
    int r = check_list(rd, v, at);
    if (r < 0)
        return r;
    char *list = arena_alloc(rd->arena, v->len * f->type->size);
    size_t i = 0;
    for (const struct oci_json *one = v->first; one; one = one->next, i++) {
        struct place item = {at, NULL, i};
        r = read_object(rd, one, &item, f->type, list + i * f->type->size);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = list;
    *(size_t *)(object + f->count_at) = v->len;
    return 0;
}

static int read_pairs(struct reader *rd, const struct oci_json *v, const struct place *at,
                      const struct oci_field *f, char *object)
{
    int r = check_object(rd, v, at);
    if (r < 0)
        return r;
    struct oci_pair *pairs = arena_array(rd->arena, struct oci_pair, v->len), *to = pairs;
    for (const struct oci_json *one = v->first; one; one = one->next, to++) {
        struct place item = {at, one->key, 0};
        to->key = one->key;
        r = read_string(rd, one, &item, &to->value);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = pairs;
    *(size_t *)(object + f->count_at) = v->len;
    return 0;
}

static int read_map(struct reader *rd, const struct oci_json *v, const struct place *at,
                    const struct oci_field *f, char *object)
{
    int r = check_object(rd, v, at);
    if (r < 0)
        return r;
    char *items = arena_alloc(rd->arena, v->len * f->type->size), *to = items;
    for (const struct oci_json *one = v->first; one; one = one->next, to += f->type->size) {
        struct place item = {at, one->key, 0};
        *(char **)(void *)to = one->key;
        r = read_object(rd, one, &item, f->type, to);
        if (r < 0)
            return r;
    }
    *(void **)(object + f->at) = items;
    *(size_t *)(object + f->count_at) = v->len;
    return 0;
}

static int read_field(struct reader *rd, const struct oci_json *v, const struct place *at,
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

static int read_object(struct reader *rd, const struct oci_json *v, const struct place *at,
                       const struct oci_type *type, char *to)
{
    int r = check_object(rd, v, at);
    for (const struct oci_field *f = type->fields; !r && f->name; f++) {
        const struct oci_json *member = oci_json_member(v, f->name);
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
    struct oci_json_failure failure;
    const struct oci_json *root = oci_json_parse(json, len, OCI_DEPTH_MAX, a, &failure);
    if (!root && failure.reason)
        return fail_plain(err, EINVAL, "%s is no JSON: %s at byte %zu", what, failure.reason,
                          failure.at);
    if (!root || root->kind == JSON_NULL)
        return fail_plain(err, EINVAL, "%s is no JSON: %s", what,
                          root ? "it is null" : "it ends too early");
    struct reader rd = {a, err};
    struct place at = {NULL, "", 0};
    void *object = arena_alloc(a, type->size);
    int r = read_object(&rd, root, &at, type, object);
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
