/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && str_eq(s + n - m, suffix);
}

char *str_format(const char *format, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&s, format, args);
    va_end(args);
    return n < 0 ? NULL : s;
}

int str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    char *end;
    if (!*s || *s == ' ' || *s == '+')
        return -EINVAL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno == ERANGE || v < min || v > max)
        return -ERANGE;
    *ret = v;
    return 0;
}

static bool id_char(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return !first && (c == '_' || c == '.' || c == '-');
}

int str_check_id(const char *what, const char *id, struct error *err)
{
    size_t n = id ? strnlen(id, 129) : 0;
    bool good = n >= 1 && n <= 128;
    for (size_t i = 0; good && i < n; i++)
        good = id_char(id[i], i == 0);
    if (good)
        return 0;
    return fail_plain(err, EINVAL,
                      "%s '%.130s' is not valid: 1 to 128 of [a-zA-Z0-9_.-], "
                      "the first a letter or a digit",
                      what, str_or_empty(id));
}

void strv_free(char **v)
{
    for (char **p = v; p && *p; p++)
        free(*p);
    free(v);
}

size_t strv_len(char *const *v)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    return n;
}

char **strv_copy(char *const *v)
{
    size_t n = strv_len(v);
    auto(strv) char **copy = calloc(n + 1, sizeof *copy);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!(copy[i] = strdup(v[i])))
            return NULL;
    return take_ptr(&copy);
}

static int strv_push(char ***v, char *owned)
{
    size_t n = strv_len(*v);
    char **grown = realloc(*v, (n + 2) * sizeof *grown);
    if (!grown) {
        free(owned);
        return -ENOMEM;
    }
    grown[n] = owned;
    grown[n + 1] = NULL;
    *v = grown;
    return 0;
}

int strv_add(char ***v, const char *s)
{
    char *copy = strdup(s);
    return copy ? strv_push(v, copy) : -ENOMEM;
}

char **str_split(const char *s, const char *separators)
{
    auto(strv) char **v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    while (*(s += strspn(s, separators))) {
        size_t n = strcspn(s, separators);
        char *piece = strndup(s, n);
        if (!piece || strv_push(&v, piece) < 0)
            return NULL;
        s += n;
    }
    return take_ptr(&v);
}
