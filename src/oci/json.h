/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) as a tree in an arena: a spec comes with every container, and a library's objects took longer than the container.
 * What is not well-formed is refused; bytes that are no UTF-8 are let through. Of members of one name the last counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum oci_json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INTEGER,
    JSON_FRACTION, /* a number with a point or an exponent; its value is not kept */
    JSON_STRING,
    JSON_LIST,
    JSON_OBJECT,
};

struct oci_json {
    enum oci_json_kind kind;
    bool yes;      /* JSON_BOOL */
    bool negative; /* JSON_INTEGER */
    uint64_t n;    /* JSON_INTEGER: what comes behind the sign, UINT64_MAX where it is more */
    size_t len;    /* of a string; items or members */
    char *text;    /* JSON_STRING, with a NUL behind */
    struct oci_json *first;
    char *key;             /* of a member */
    struct oci_json *next; /* of the same list or object */
};

struct oci_json_failure {
    const char *reason; /* NULL: the text ends too early */
    size_t at;          /* byte */
};

/* The value that the text is, without anything behind it but blanks; NULL where it is none, or nested more than depth deep. */
struct oci_json *oci_json_parse(const void *text, size_t len, unsigned depth, struct arena *arena,
                                struct oci_json_failure *failure);
/* NULL where there is none, and where it is null. */
struct oci_json *oci_json_member(const struct oci_json *object, const char *key);
