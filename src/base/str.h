/* SPDX-License-Identifier: Apache-2.0 */
/* Strings: comparing, splitting, checking what comes from outside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct error;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline bool str_eq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static inline bool str_empty(const char *s)
{
    return !s || !*s;
}

/* s where it is not NULL, else "". */
static inline const char *str_or_empty(const char *s)
{
    return s ? s : "";
}

/* What follows prefix in s, NULL where s does not begin with it. */
static inline const char *str_after(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_ends(const char *s, const char *suffix);

/* asprintf that returns the string, owned by the caller, or NULL where memory is out. */
char *str_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number between min and max, the whole string. 0, or -EINVAL / -ERANGE. */
int str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* An id that may be part of a path or a socket name: 1 to 128 of [a-zA-Z0-9_.-], the first a letter
 * or a digit. -EINVAL with a message that shows the id, where it is not. what names it ("container
 * id"). */
int str_check_id(const char *what, const char *id, struct error *err);

/* A NULL-terminated array of strings, each and the array malloced. */
void strv_free(char **v);
size_t strv_len(char *const *v);
char **strv_copy(char *const *v);
/* Appends a copy of s; returns 0 or -ENOMEM. *v may be NULL. */
int strv_add(char ***v, const char *s);
/* Splits at each of the separators; empty pieces are left out. NULL where memory is out. */
char **str_split(const char *s, const char *separators);

static inline void cleanup_strv(char ***v)
{
    strv_free(*v);
}
