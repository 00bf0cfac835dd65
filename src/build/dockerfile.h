/* SPDX-License-Identifier: Apache-2.0 */
/* The Dockerfile as a list of instructions, and the substitution of variables in their words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct error;

enum { DOCKERFILE_MAX = 1 << 20, INSTRUCTIONS_MAX = 2000 };

struct instruction {
    int line;      /* of its first word */
    char *keyword; /* upper case */
    char *text;    /* the whole, continuation lines joined, for people */
    char **flags;  /* "--chown=1:2" */
    char *rest;    /* what follows the flags */
    char **json;   /* rest as a JSON array of strings; NULL where it is none */
};

struct dockerfile {
    char *name;  /* for messages */
    char escape; /* '\\' or '`' */
    struct instruction *instructions;
    size_t count;
};

/* name is for messages ("Dockerfile"). Knows no instruction but checks that each has a keyword. */
int dockerfile_parse(const char *name, const char *text, size_t len, struct dockerfile *ret,
                     struct error *err);
void dockerfile_done(struct dockerfile *d);
CLEANUP_DONE(dockerfile, struct dockerfile);

/* The value of a flag "--NAME=value", "" where it has none, NULL where it is absent. */
const char *instruction_flag(const struct instruction *i, const char *name);

/* Splits at blanks that are neither quoted nor escaped; quotes and escapes stay. NULL where memory is out. */
char **dockerfile_words(const char *text, char escape);

/* Substitutes $X, ${X}, ${X:-y}, ${X:+y}, ${X-y}, ${X+y} and removes quotes and escapes, as a shell's word. lookup returns
 * NULL for what is not set. Malloced; -EINVAL says what is wrong. */
int dockerfile_expand(const char *word, char escape, const char *(*lookup)(void *arg, const char *),
                      void *arg, char **ret, struct error *err);
