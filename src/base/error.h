/* SPDX-License-Identifier: Apache-2.0 */
/* The one error idiom. A function that can fail returns a negative errno and describes the failure
 * in its last parameter, a value on the caller's stack. What a user reads is built from the outside
 * in: the innermost place says what it attempted on what, callers put context before it with
 * fail_in().
 *
 *     struct error err = {0};
 *     if (image_load(store, path, &err) < 0)
 *         diag_error("%s", err.message);
 *
 * A message has no trailing newline and no trailing full stop. NULL is allowed where an error's
 * text is of no interest. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum { ERROR_MESSAGE_MAX = 1024 };

struct error {
    int code; /* negative errno, 0 where nothing failed */
    char message[ERROR_MESSAGE_MAX];
};

/* Records "<text>: <strerror(code)>" and returns -|code|. code may have either sign. */
int fail(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* As fail(), but the text alone: for failures that no errno describes well. */
int fail_plain(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Puts "<text>: " before what err already says and returns -|code|. */
int fail_in(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Copies from into to where to is not NULL; returns from's code. */
int fail_with(struct error *to, const struct error *from);
