/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "oci/schema.h"
#include "oci/spec.h"

static int print_string(struct buffer *out, const char *s)
{
    int r = buffer_puts(out, "\"");
    while (!r && *s) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
            plain++;
        r = buffer_append(out, s, plain);
        s += plain;
        if (r || !*s)
            continue;
        unsigned char c = (unsigned char)*s++;
        r = c == '"' || c == '\\' ? buffer_printf(out, "\\%c", c)
                                  : buffer_printf(out, "\\u%04x", c);
    }
    return r ? r : buffer_puts(out, "\"");
}

static int print_key(struct buffer *out, const char *name)
{
    int r = 0;
    if (out->data[out->len - 1] != '{')
        r = buffer_puts(out, ",");
    if (!r)
        r = print_string(out, name);
    return r ? r : buffer_puts(out, ":");
}

static int print_number(struct buffer *out, enum oci_kind kind, const void *v)
{
    switch (kind) {
    case OCI_BOOL:
        return buffer_puts(out, *(const bool *)v ? "true" : "false");
    case OCI_I32:
        return buffer_printf(out, "%" PRId32, *(const int32_t *)v);
    case OCI_I64:
        return buffer_printf(out, "%" PRId64, *(const int64_t *)v);
    case OCI_U16:
        return buffer_printf(out, "%" PRIu16, *(const uint16_t *)v);
    case OCI_U32:
        return buffer_printf(out, "%" PRIu32, *(const uint32_t *)v);
    default:
        return buffer_printf(out, "%" PRIu64, *(const uint64_t *)v);
    }
}

static bool number_is_zero(enum oci_kind kind, const void *v)
{
    switch (kind) {
    case OCI_BOOL:
        return !*(const bool *)v;
    case OCI_U16:
        return !*(const uint16_t *)v;
    case OCI_I32:
    case OCI_U32:
        return !*(const uint32_t *)v;
    default:
        return !*(const uint64_t *)v;
    }
}

static int print_object(struct buffer *out, const struct oci_type *type, const char *object);

static int print_list(struct buffer *out, const struct oci_field *f, const char *items,
                      size_t count)
{
    int r = buffer_puts(out, "[");
    for (size_t i = 0; !r && i < count; i++) {
        if (i)
            r = buffer_puts(out, ",");
        if (r)
            break;
        if (f->kind == OCI_STRINGS)
            r = print_string(out, ((char *const *)(const void *)items)[i]);
        else if (f->kind == OCI_NUMBERS)
            r = print_number(out, OCI_U32, items + i * sizeof(uint32_t));
        else
            r = print_object(out, f->type, items + i * f->type->size);
    }
    return r ? r : buffer_puts(out, "]");
}

static int print_map(struct buffer *out, const struct oci_field *f, const char *items, size_t count)
{
    int r = buffer_puts(out, "{");
    for (size_t i = 0; !r && i < count; i++) {
        const char *item =
            items + i * (f->kind == OCI_PAIRS ? sizeof(struct oci_pair) : f->type->size);
        r = print_key(out, *(char *const *)(const void *)item);
        if (r)
            break;
        r = f->kind == OCI_PAIRS
                ? print_string(out, ((const struct oci_pair *)(const void *)item)->value)
                : print_object(out, f->type, item);
    }
    return r ? r : buffer_puts(out, "}");
}

static size_t strings_count(const char *items)
{
    char *const *v = (char *const *)(const void *)items;
    size_t n = 0;
    while (v[n])
        n++;
    return n;
}

static int print_field(struct buffer *out, const struct oci_field *f, const char *object)
{
    const char *at = object + f->at;
    bool scalar = f->kind == OCI_BOOL || (f->kind >= OCI_I32 && f->kind <= OCI_U64);
    const char *pointed = NULL;
    if (f->kind != OCI_STRUCT && (!scalar || f->flags & OCI_OPTIONAL))
        pointed = *(char *const *)(const void *)at;
    if (scalar) {
        const void *value = f->flags & OCI_OPTIONAL ? pointed : at;
        if (f->flags & OCI_OPTIONAL ? !value
                                    : !(f->flags & OCI_ALWAYS) && number_is_zero(f->kind, at))
            return 0;
        int r = print_key(out, f->name);
        return r ? r : print_number(out, f->kind, value);
    }
    if (f->kind != OCI_STRUCT && !pointed && !(f->kind == OCI_STRING && f->flags & OCI_ALWAYS))
        return 0;
    int r = print_key(out, f->name);
    if (r)
        return r;
    size_t count = f->count_at ? *(const size_t *)(const void *)(object + f->count_at) : 0;
    switch (f->kind) {
    case OCI_STRING:
        return print_string(out, pointed ? pointed : "");
    case OCI_STRINGS:
        return print_list(out, f, pointed, strings_count(pointed));
    case OCI_STRUCT:
        return print_object(out, f->type, at);
    case OCI_POINTER:
        return print_object(out, f->type, pointed);
    case OCI_PAIRS:
    case OCI_MAP:
        return print_map(out, f, pointed, count);
    default:
        return print_list(out, f, pointed, count);
    }
}

static int print_object(struct buffer *out, const struct oci_type *type, const char *object)
{
    int r = buffer_puts(out, "{");
    for (const struct oci_field *f = type->fields; !r && f->name; f++)
        r = print_field(out, f, object);
    return r ? r : buffer_puts(out, "}");
}

int oci_spec_print(const struct oci_spec *spec, struct buffer *out, struct error *err)
{
    int r = print_object(out, &oci_spec_type, (const char *)spec);
    return r < 0 ? fail(err, r, "print the OCI spec") : 0;
}

int oci_process_print(const struct oci_process *process, struct buffer *out, struct error *err)
{
    int r = print_object(out, &oci_process_type, (const char *)process);
    return r < 0 ? fail(err, r, "print the OCI process") : 0;
}

int oci_resources_print(const struct oci_resources *resources, struct buffer *out,
                        struct error *err)
{
    int r = print_object(out, &oci_resources_type, (const char *)resources);
    return r < 0 ? fail(err, r, "print the OCI resources") : 0;
}
