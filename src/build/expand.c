/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "build/dockerfile.h"

enum { NESTING_MAX = 16 };

struct expansion {
    const char *at;
    const char *word; /* the whole, for messages */
    char escape;
    const char *(*lookup)(void *arg, const char *name);
    void *arg;
    int depth;
};

static int expand_until(struct expansion *x, char end, struct buffer *out, struct error *err);

static char *take_name(struct expansion *x)
{
    const char *start = x->at;
    if (isdigit((unsigned char)*start)) {
        x->at++;
    } else {
        while (isalnum((unsigned char)*x->at) || *x->at == '_')
            x->at++;
    }
    return strndup(start, (size_t)(x->at - start));
}

static int unsupported(const struct expansion *x, struct error *err)
{
    return fail_plain(err, EINVAL, "'%.200s': this substitution is not supported", x->word);
}

static int unclosed_brace(const struct expansion *x, struct error *err)
{
    return fail_plain(err, EINVAL, "'%.200s': a brace is not closed", x->word);
}

/* What follows the name in ${NAME...}. */
static int expand_modifier(struct expansion *x, const char *name, struct buffer *out,
                           struct error *err)
{
    const char *value = x->lookup(x->arg, name);
    bool empty_counts = *x->at == ':'; /* as not set */
    if (empty_counts)
        x->at++;
    char kind = *x->at;
    if (!kind)
        return unclosed_brace(x, err);
    if (kind != '-' && kind != '+' && kind != '?')
        return unsupported(x, err);
    x->at++;
    auto(buffer) struct buffer other = {0};
    int r = expand_until(x, '}', &other, err);
    if (r < 0)
        return r;
    bool set = value && !(empty_counts && !*value);
    if (kind == '?' && !set)
        return fail_plain(err, EINVAL, "%s: %s", name,
                          other.len ? buffer_text(&other) : "is not allowed to be unset");
    const char *text = kind == '+' ? (set ? buffer_text(&other) : "")
                       : set       ? value
                                   : buffer_text(&other);
    return buffer_puts(out, text);
}

static int expand_variable(struct expansion *x, struct buffer *out, struct error *err)
{
    x->at++;
    bool braces = *x->at == '{';
    x->at += braces;
    autofree char *name = take_name(x);
    if (!name)
        return -ENOMEM;
    if (!*name)
        return braces ? unsupported(x, err) : buffer_puts(out, "$");
    if (!braces || *x->at == '}') {
        x->at += braces;
        return buffer_puts(out, str_or_empty(x->lookup(x->arg, name)));
    }
    return expand_modifier(x, name, out, err);
}

static int expand_single(struct expansion *x, struct buffer *out, struct error *err)
{
    const char *end = strchr(++x->at, '\'');
    if (!end)
        return fail_plain(err, EINVAL, "'%.200s': a quote is not closed", x->word);
    int r = buffer_append(out, x->at, (size_t)(end - x->at));
    x->at = end + 1;
    return r;
}

static int expand_double(struct expansion *x, struct buffer *out, struct error *err)
{
    x->at++;
    while (*x->at != '"') {
        int r = 0;
        if (!*x->at)
            return fail_plain(err, EINVAL, "'%.200s': a quote is not closed", x->word);
        if (*x->at == '$') {
            r = expand_variable(x, out, err);
        } else {
            if (*x->at == x->escape && x->at[1] &&
                (strchr("\"$", x->at[1]) || x->at[1] == x->escape))
                x->at++;
            r = buffer_append(out, x->at++, 1);
        }
        if (r < 0)
            return r;
    }
    x->at++;
    return 0;
}

/* Up to end (consumed), which is 0 for the whole word. */
static int expand_until(struct expansion *x, char end, struct buffer *out, struct error *err)
{
    if (++x->depth > NESTING_MAX)
        return fail_plain(err, EINVAL, "'%.200s': substitutions are nested too deep", x->word);
    for (;;) {
        char c = *x->at;
        int r;
        if (!c && end)
            return unclosed_brace(x, err);
        if (c == end) {
            x->at += end != 0;
            x->depth--;
            return 0;
        }
        if (c == '\'') {
            r = expand_single(x, out, err);
        } else if (c == '"') {
            r = expand_double(x, out, err);
        } else if (c == '$') {
            r = expand_variable(x, out, err);
        } else {
            if (c == x->escape && x->at[1])
                x->at++;
            r = buffer_append(out, x->at++, 1);
        }
        if (r < 0)
            return r;
    }
}

int dockerfile_expand(const char *word, char escape, const char *(*lookup)(void *arg, const char *),
                      void *arg, char **ret, struct error *err)
{
    struct expansion x = {.at = word, .word = word, .escape = escape, .lookup = lookup, .arg = arg};
    struct error inner = {0};
    auto(buffer) struct buffer out = {0};
    int r = expand_until(&x, 0, &out, &inner);
    if (r < 0)
        return inner.code ? fail_with(err, &inner) : fail(err, r, "substitute variables");
    *ret = buffer_take_text(&out);
    return *ret ? 0 : fail(err, ENOMEM, "substitute variables");
}
