/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

enum { NAME_MAX_LEN = 128, PLACE_MAX = 256, DEPTH_MAX = 32 };

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* protobuf-c has maps as lists of entries. */
static bool is_map(const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    return entry->n_fields == 2 && str_ends(entry->short_name, "Entry") &&
           str_eq(entry->fields[0].name, "key") && str_eq(entry->fields[1].name, "value") &&
           entry->fields[0].type == PROTOBUF_C_TYPE_STRING;
}

static void camel_case(const char *name, char text[NAME_MAX_LEN])
{
    size_t n = 0;
    bool upper = false;
    for (; *name && n + 1 < NAME_MAX_LEN; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        text[n++] = upper ? (char)toupper((unsigned char)*name) : *name;
        upper = false;
    }
    text[n] = 0;
}

/* To JSON */

static json_object *of_bytes(const ProtobufCBinaryData *b)
{
    auto(buffer) struct buffer text = {0};
    if (buffer_reserve(&text, (b->len + 2) / 3 * 4) < 0)
        return NULL;
    for (size_t i = 0; i < b->len; i += 3) {
        size_t left = b->len - i;
        uint32_t v = (uint32_t)b->data[i] << 16 | (left > 1 ? (uint32_t)b->data[i + 1] << 8 : 0) |
                     (left > 2 ? b->data[i + 2] : 0);
        text.data[text.len++] = (uint8_t)base64_digits[v >> 18];
        text.data[text.len++] = (uint8_t)base64_digits[v >> 12 & 63];
        text.data[text.len++] = left > 1 ? (uint8_t)base64_digits[v >> 6 & 63] : '=';
        text.data[text.len++] = left > 2 ? (uint8_t)base64_digits[v & 63] : '=';
    }
    return json_object_new_string_len((const char *)text.data, (int)text.len);
}

static json_object *of_enum(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
    return v ? json_object_new_string(v->name) : json_object_new_int(value);
}

static json_object *of_number_text(bool is_signed, unsigned long long value)
{
    char text[32];
    if (is_signed)
        snprintf(text, sizeof text, "%lld", (long long)value);
    else
        snprintf(text, sizeof text, "%llu", value);
    return json_object_new_string(text);
}

static json_object *of_value(const ProtobufCFieldDescriptor *f, const void *p)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_object_new_int(*(const int32_t *)p);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_object_new_int64(*(const uint32_t *)p);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return of_number_text(true, (unsigned long long)*(const int64_t *)p);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return of_number_text(false, *(const uint64_t *)p);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_object_new_double((double)*(const float *)p);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_object_new_double(*(const double *)p);
    case PROTOBUF_C_TYPE_BOOL:
        return json_object_new_boolean(*(const protobuf_c_boolean *)p);
    case PROTOBUF_C_TYPE_ENUM:
        return of_enum(f->descriptor, *(const int *)p);
    case PROTOBUF_C_TYPE_STRING:
        return json_object_new_string(str_or_empty(*(char *const *)p));
    case PROTOBUF_C_TYPE_BYTES:
        return of_bytes(p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return json_of_message(*(ProtobufCMessage *const *)p);
    }
    return NULL;
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static json_object *of_map(const ProtobufCFieldDescriptor *f, size_t n, ProtobufCMessage **entries)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    json_object *map = json_object_new_object();
    for (size_t i = 0; i < n; i++) {
        const char *base = (const char *)entries[i];
        const char *key = *(char *const *)(const void *)(base + entry->fields[0].offset);
        json_object_object_add(map, str_or_empty(key),
                               of_value(&entry->fields[1], base + entry->fields[1].offset));
    }
    return map;
}

static json_object *of_repeated(const ProtobufCFieldDescriptor *f, const char *base)
{
    size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
    const char *items = *(char *const *)(const void *)(base + f->offset);
    if (is_map(f))
        return of_map(f, n, (ProtobufCMessage **)(uintptr_t)items);
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(list, of_value(f, items + i * size_of(f)));
    return list;
}

static bool is_set(const ProtobufCFieldDescriptor *f, const char *base)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + f->quantifier_offset) == f->id;
    return f->type != PROTOBUF_C_TYPE_MESSAGE || *(void *const *)(const void *)(base + f->offset);
}

json_object *json_of_message(const ProtobufCMessage *message)
{
    const char *base = (const char *)message;
    json_object *object = json_object_new_object();
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
        char name[NAME_MAX_LEN];
        camel_case(f->name, name);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            json_object_object_add(object, name, of_repeated(f, base));
        else if (is_set(f, base))
            json_object_object_add(object, name, of_value(f, base + f->offset));
    }
    return object;
}

/* From JSON */

struct place {
    struct arena *arena;
    bool plain_bytes;
    void (*unknown)(const char *place);
    struct error *err;
    char path[PLACE_MAX];
    unsigned depth;
};

/* Goes to a part, by name or by index; the length to go back to. */
static size_t enter(struct place *p, const char *name, size_t index)
{
    size_t n = strlen(p->path);
    if (name)
        snprintf(p->path + n, sizeof p->path - n, "%s%s", n ? "." : "", name);
    else
        snprintf(p->path + n, sizeof p->path - n, "[%zu]", index);
    return n;
}

static int expected(struct place *p, const char *what, json_object *json)
{
    return fail_plain(p->err, EINVAL, "%s: expected %s, found %.100s", p->path, what,
                      json ? json_object_to_json_string(json) : "null");
}

static int to_integer(struct place *p, json_object *json, int64_t min, uint64_t max, void *to,
                      size_t size)
{
    char *end = NULL;
    bool text = json_object_is_type(json, json_type_string);
    const char *s = json_object_get_string(json);
    if ((!text && !json_object_is_type(json, json_type_int)) || !s || !*s)
        return expected(p, "an integer", json);
    errno = 0;
    if (*s == '-') {
        long long v = strtoll(s, &end, 10);
        if (*end || errno || v < min)
            return expected(p, "an integer in its range", json);
        memcpy(to, &v, size); /* little-endian: the low bytes */
        return 0;
    }
    unsigned long long v = strtoull(s, &end, 10);
    if (*end || errno || v > max || *s == ' ' || *s == '+')
        return expected(p, "an integer in its range", json);
    memcpy(to, &v, size);
    return 0;
}

static int to_bytes(struct place *p, json_object *json, ProtobufCBinaryData *to)
{
    if (!json_object_is_type(json, json_type_string))
        return expected(p, "base64 text", json);
    const char *s = json_object_get_string(json);
    size_t len = strlen(s);
    if (p->plain_bytes) {
        to->data = arena_copy(p->arena, s, len);
        to->len = len;
        return 0;
    }
    to->data = arena_alloc(p->arena, len / 4 * 3 + 3);
    uint32_t v = 0;
    unsigned bits = 0;
    for (; *s && *s != '='; s++) {
        const char *digit = strchr(base64_digits, *s);
        if (!digit)
            return expected(p, "base64 text", json);
        v = v << 6 | (uint32_t)(digit - base64_digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to->data[to->len++] = (uint8_t)(v >> bits);
        }
    }
    return 0;
}

static int to_enum(struct place *p, json_object *json, const ProtobufCEnumDescriptor *type, int *to)
{
    if (json_object_is_type(json, json_type_string)) {
        const ProtobufCEnumValue *v =
            protobuf_c_enum_descriptor_get_value_by_name(type, json_object_get_string(json));
        if (v) {
            *to = v->value;
            return 0;
        }
    }
    int r = to_integer(p, json, INT32_MIN, INT32_MAX, to, sizeof *to);
    return r < 0 || protobuf_c_enum_descriptor_get_value(type, *to)
               ? r
               : expected(p, type->short_name, json);
}

static int to_message(struct place *p, json_object *json, const ProtobufCMessageDescriptor *type,
                      void **ret);

static int to_value(struct place *p, const ProtobufCFieldDescriptor *f, json_object *json, void *to)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return to_integer(p, json, INT32_MIN, INT32_MAX, to, 4);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return to_integer(p, json, 0, UINT32_MAX, to, 4);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return to_integer(p, json, INT64_MIN, INT64_MAX, to, 8);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return to_integer(p, json, 0, UINT64_MAX, to, 8);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!json_object_is_type(json, json_type_double) &&
            !json_object_is_type(json, json_type_int))
            return expected(p, "a number", json);
        if (f->type == PROTOBUF_C_TYPE_FLOAT)
            *(float *)to = (float)json_object_get_double(json);
        else
            *(double *)to = json_object_get_double(json);
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_object_is_type(json, json_type_boolean))
            return expected(p, "true or false", json);
        *(protobuf_c_boolean *)to = json_object_get_boolean(json);
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        return to_enum(p, json, f->descriptor, to);
    case PROTOBUF_C_TYPE_STRING:
        if (!json_object_is_type(json, json_type_string))
            return expected(p, "text", json);
        *(char **)to = arena_strdup(p->arena, json_object_get_string(json));
        return 0;
    case PROTOBUF_C_TYPE_BYTES:
        return to_bytes(p, json, to);
    case PROTOBUF_C_TYPE_MESSAGE:
        return to_message(p, json, f->descriptor, to);
    }
    return 0;
}

static int to_map(struct place *p, const ProtobufCFieldDescriptor *f, json_object *json, char *base)
{
    const ProtobufCMessageDescriptor *type = f->descriptor;
    if (!json_object_is_type(json, json_type_object))
        return expected(p, "an object", json);
    size_t n = 0;
    void **entries = arena_array(p->arena, void *, (size_t)json_object_object_length(json) + 1);
    json_object_object_foreach(json, key, value)
    {
        char *entry = arena_alloc(p->arena, type->sizeof_message);
        size_t back = enter(p, key, 0);
        protobuf_c_message_init(type, entry);
        *(char **)(void *)(entry + type->fields[0].offset) = arena_strdup(p->arena, key);
        int r = to_value(p, &type->fields[1], value, entry + type->fields[1].offset);
        p->path[back] = 0;
        if (r < 0)
            return r;
        entries[n++] = entry;
    }
    *(void **)(void *)(base + f->offset) = entries;
    *(size_t *)(void *)(base + f->quantifier_offset) = n;
    return 0;
}

static int to_repeated(struct place *p, const ProtobufCFieldDescriptor *f, json_object *json,
                       char *base)
{
    if (is_map(f))
        return to_map(p, f, json, base);
    if (!json_object_is_type(json, json_type_array))
        return expected(p, "a list", json);
    size_t n = json_object_array_length(json), size = size_of(f);
    char *items = arena_alloc(p->arena, (n + 1) * size);
    for (size_t i = 0; i < n; i++) {
        size_t back = enter(p, NULL, i);
        int r = to_value(p, f, json_object_array_get_idx(json, i), items + i * size);
        p->path[back] = 0;
        if (r < 0)
            return r;
    }
    *(void **)(void *)(base + f->offset) = items;
    *(size_t *)(void *)(base + f->quantifier_offset) = n;
    return 0;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  const char *key)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        char camel[NAME_MAX_LEN];
        camel_case(type->fields[i].name, camel);
        if (str_eq(type->fields[i].name, key) || str_eq(camel, key))
            return &type->fields[i];
    }
    return NULL;
}

static int to_field(struct place *p, const ProtobufCFieldDescriptor *f, json_object *json,
                    char *base)
{
    if (!json)
        return 0; /* null is the default */
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return to_repeated(p, f, json, base);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)(void *)(base + f->quantifier_offset) = f->id;
    return to_value(p, f, json, base + f->offset);
}

static int to_message(struct place *p, json_object *json, const ProtobufCMessageDescriptor *type,
                      void **ret)
{
    if (!json_object_is_type(json, json_type_object))
        return expected(p, "an object", json);
    if (p->depth >= DEPTH_MAX)
        return fail_plain(p->err, EINVAL, "%s: too deep", p->path);
    char *message = arena_alloc(p->arena, type->sizeof_message);
    protobuf_c_message_init(type, message);
    json_object_object_foreach(json, key, value)
    {
        const ProtobufCFieldDescriptor *f = find_field(type, key);
        size_t back = enter(p, key, 0);
        p->depth++;
        int r = f ? to_field(p, f, value, message) : 0;
        p->depth--;
        if (!f && p->unknown)
            p->unknown(p->path);
        p->path[back] = 0;
        if (r < 0)
            return r;
    }
    *ret = message;
    return 0;
}

int json_to_message(json_object *json, const ProtobufCMessageDescriptor *type, struct arena *arena,
                    bool plain_bytes, void (*unknown)(const char *place), void **ret,
                    struct error *err)
{
    struct place p = {.arena = arena, .plain_bytes = plain_bytes, .unknown = unknown, .err = err};
    return to_message(&p, json, type, ret);
}
