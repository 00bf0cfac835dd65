/* SPDX-License-Identifier: Apache-2.0 */
/* .dockerignore, and the wildcards of COPY. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct ignore {
    char **patterns; /* cleaned; an exception begins with '!' */
    bool exceptions;
};

/* 0 or -ENOMEM. */
int ignore_parse(const char *text, size_t len, struct ignore *ret);
void ignore_done(struct ignore *i);
CLEANUP_DONE(ignore, struct ignore);

/* Whether a path of the context (no leading slash) is left out: the last pattern that matches it or a directory above it
 * decides. */
bool ignore_matches(const struct ignore *i, const char *path);

/* One pattern against a whole path: * and ? and [a-z] stay within a name, "**" crosses, \ takes the next literally. */
bool pattern_matches(const char *pattern, const char *path);
bool pattern_has_wildcard(const char *text);
