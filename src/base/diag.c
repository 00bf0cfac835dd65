/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

static const char *program_name = "warren";
static enum diag_level limit = DIAG_INFO;

void diag_init(const char *program, enum diag_level level)
{
    program_name = program;
    limit = level;
}

bool diag_parse_level(const char *text, enum diag_level *ret)
{
    static const struct {
        const char *name;
        enum diag_level level;
    } names[] = {
        {"debug", DIAG_DEBUG},  {"trace", DIAG_DEBUG},     {"info", DIAG_INFO},
        {"warn", DIAG_WARNING}, {"warning", DIAG_WARNING}, {"error", DIAG_ERROR},
        {"fatal", DIAG_ERROR},  {"panic", DIAG_ERROR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(text, names[i].name)) {
            *ret = names[i].level;
            return true;
        }
    return false;
}

bool diag_enabled(enum diag_level level)
{
    return level <= limit;
}

void diag(enum diag_level level, const char *format, ...)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    if (!diag_enabled(level))
        return;
    char line[2048];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s[%d] %s: ", now.tv_nsec / 1000000,
                          program_name, getpid(), words[level]);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (m > 0)
        n += (size_t)m < sizeof line - n - 1 ? (size_t)m : sizeof line - n - 2;
    line[n++] = '\n';
    /* one write, so that lines of several processes do not mix; nobody to tell where it fails */
    if (write(STDERR_FILENO, line, n) < 0)
        return;
}
