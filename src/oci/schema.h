/* SPDX-License-Identifier: Apache-2.0 */
/* The spec's structs described as tables, walked by the reader (parse.c) and the writer (print.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum oci_kind {
    OCI_STRING,
    OCI_BOOL,
    OCI_I32,
    OCI_I64,
    OCI_U16,
    OCI_U32,
    OCI_U64,
    OCI_STRINGS, /* char ** */
    OCI_NUMBERS, /* uint32_t * and a count */
    OCI_STRUCT,  /* embedded */
    OCI_POINTER, /* pointer to a struct */
    OCI_LIST,    /* pointer to structs and a count */
    OCI_PAIRS,   /* struct oci_pair * and a count: an object of strings */
    OCI_MAP, /* pointer to structs that begin with char *key, and a count: an object of objects */
};

enum oci_flag {
    OCI_OPTIONAL = 1, /* a pointer to the value */
    OCI_ALWAYS = 2,   /* printed even where it is zero: the spec's REQUIRED */
};

struct oci_field {
    const char *name;
    enum oci_kind kind;
    unsigned flags;
    size_t at, count_at;
    const struct oci_type *type;
};

struct oci_type {
    size_t size;
    const struct oci_field *fields; /* ends with name NULL */
};

extern const struct oci_type oci_spec_type, oci_process_type, oci_resources_type;
