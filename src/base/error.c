/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int negative(int code)
{
    return code < 0 ? code : -code;
}

int fail(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return negative(code);
    err->code = negative(code);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", strerror(-err->code));
    return err->code;
}

int fail_plain(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return negative(code);
    err->code = negative(code);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return err->code;
}

int fail_in(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return negative(code);
    char below[ERROR_MESSAGE_MAX];
    memcpy(below, err->message, sizeof below);
    err->code = negative(code);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if (below[0] && (size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", below);
    return err->code;
}

int fail_with(struct error *to, const struct error *from)
{
    if (to)
        *to = *from;
    return from->code;
}
