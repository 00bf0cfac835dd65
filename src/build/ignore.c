/* SPDX-License-Identifier: Apache-2.0 */
#include "build/ignore.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "image/tar.h"

bool pattern_has_wildcard(const char *text)
{
    return strpbrk(text, "*?[\\") != NULL;
}

/* [a-c], [^a-c]: *pattern is behind the bracket and moves behind the closing one. */
static bool class_matches(const char **pattern, char c)
{
    const char *p = *pattern;
    bool negated = *p == '^' || *p == '!', found = false;
    p += negated;
    for (bool first = true; *p && (*p != ']' || first); first = false) {
        if (*p == '\\' && p[1])
            p++;
        char low = *p++, high = low;
        if (*p == '-' && p[1] && p[1] != ']') {
            p += 1 + (p[1] == '\\' && p[2]);
            high = *p++;
        }
        found = found || (c >= low && c <= high);
    }
    *pattern = *p ? p + 1 : p;
    return found != negated;
}

/* budget bounds what a pattern of many stars costs. */
static bool match(const char *p, const char *s, int *budget)
{
    while (*p) {
        if (--*budget < 0)
            return false;
        if (p[0] == '*' && p[1] == '*') {
            p += 2;
            if (!*p)
                return true;
            if (*p == '/' && match(p + 1, s, budget)) /* it may stand for no directory at all */
                return true;
            for (; *s; s++)
                if (match(p, s, budget))
                    return true;
            return false;
        }
        if (*p == '*') {
            p++;
            for (;; s++) {
                if (match(p, s, budget))
                    return true;
                if (!*s || *s == '/')
                    return false;
            }
        }
        if (!*s || (*s == '/' && *p != '/'))
            return false;
        if (*p == '[') {
            p++;
            if (!class_matches(&p, *s))
                return false;
        } else if (*p == '?') {
            p++;
        } else {
            if (*p == '\\' && p[1])
                p++;
            if (*p++ != *s)
                return false;
        }
        s++;
    }
    return !*s;
}

bool pattern_matches(const char *pattern, const char *path)
{
    int budget = 100000;
    return match(pattern, path, &budget);
}

int ignore_parse(const char *text, size_t len, struct ignore *ret)
{
    auto(ignore) struct ignore ignore = {0};
    autofree char *copy = strndup(text, len);
    if (!copy)
        return -ENOMEM;
    char *rest = copy + (strncmp(copy, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (*line == '#')
            continue;
        while (isspace((unsigned char)*line))
            line++;
        for (size_t n = strlen(line); n && isspace((unsigned char)line[n - 1]); n--)
            line[n - 1] = 0;
        bool exception = *line == '!';
        line += exception;
        while (exception && isspace((unsigned char)*line))
            line++;
        autofree char *clean = NULL;
        if (!*line || tar_clean_path(line, &clean, NULL) < 0 || !*clean)
            continue; /* "." and what leads out of the context match nothing */
        autofree char *pattern = str_format("%s%s", exception ? "!" : "", clean);
        if (!pattern || strv_add(&ignore.patterns, pattern) < 0)
            return -ENOMEM;
        ignore.exceptions = ignore.exceptions || exception;
    }
    *ret = ignore;
    ignore = (struct ignore){0};
    return 0;
}

void ignore_done(struct ignore *i)
{
    strv_free(i->patterns);
    *i = (struct ignore){0};
}

static bool matches_or_parent(const char *pattern, const char *path)
{
    if (pattern_matches(pattern, path))
        return true;
    autofree char *up = strdup(path);
    for (char *slash; up && (slash = strrchr(up, '/'));) {
        *slash = 0;
        if (pattern_matches(pattern, up))
            return true;
    }
    return false;
}

bool ignore_matches(const struct ignore *i, const char *path)
{
    bool out = false;
    for (char **p = i->patterns; p && *p; p++) {
        bool exception = **p == '!';
        if (out == exception && matches_or_parent(*p + exception, path))
            out = !exception;
    }
    return out;
}
