/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "log/log.h"

static const struct {
    const char *prefix;
    enum log_format format;
} schemes[] = {
    {"log+cri://", LOG_CRI},
    {"log+json://", LOG_JSON},
    {"file://", LOG_RAW},
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text up to end with its %XX decoded; a NUL would end the path early and is refused. */
static char *decode(const char *text, const char *end)
{
    char *path = malloc((size_t)(end - text) + 1), *to = path;
    if (!path)
        return NULL;
    while (text < end) {
        int high = *text == '%' && end - text > 2 ? hex(text[1]) : -1;
        int low = high >= 0 ? hex(text[2]) : -1;
        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            text += 3;
        } else {
            *to++ = *text++;
        }
    }
    *to = 0;
    return path;
}

static int parse_query(const char *query, struct log_target *t, const char *address,
                       struct error *err)
{
    auto(strv) char **pairs = str_split(query, "&");
    if (!pairs)
        return fail(err, ENOMEM, "read the log address '%s'", address);
    for (char **p = pairs; *p; p++) {
        int64_t n;
        const char *value;
        if ((value = str_after(*p, "max-size="))) {
            if (str_parse_int(value, 0, INT64_MAX, &n) < 0)
                return fail_plain(err, EINVAL,
                                  "log address '%s': max-size is a number of bytes, not '%s'",
                                  address, value);
            t->max_size = (uint64_t)n;
        } else if ((value = str_after(*p, "max-files="))) {
            if (str_parse_int(value, 0, 1000, &n) < 0)
                return fail_plain(
                    err, EINVAL, "log address '%s': max-files is a number from 0 to 1000, not '%s'",
                    address, value);
            t->max_files = (unsigned)n;
        } else {
            return fail_plain(
                err, EINVAL,
                "log address '%s': unknown option '%s'; max-size and max-files are known", address,
                *p);
        }
    }
    return 0;
}

int log_target_parse(const char *address, struct log_target *ret, struct error *err)
{
    struct log_target t = {0};
    if (str_empty(address)) {
        *ret = t;
        return 0;
    }
    const char *path = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(schemes) && !path; i++) {
        path = str_after(address, schemes[i].prefix);
        t.format = schemes[i].format;
    }
    if (!path || *path != '/')
        return fail_plain(
            err, EINVAL,
            "log address '%s' is none of log+cri:///PATH, log+json:///PATH, file:///PATH", address);
    const char *end = path + strcspn(path, "?");
    int r = *end ? parse_query(end + 1, &t, address, err) : 0;
    if (r < 0)
        return r;
    t.path = decode(path, end);
    if (!t.path)
        return fail(err, ENOMEM, "read the log address '%s'", address);
    *ret = t;
    return 0;
}

void log_target_done(struct log_target *t)
{
    free(t->path);
    *t = (struct log_target){0};
}

char *log_target_address(const struct log_target *t)
{
    auto(buffer) struct buffer b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (schemes[i].format == t->format && buffer_puts(&b, schemes[i].prefix) < 0)
            return NULL;
    for (const char *p = t->format == LOG_NONE ? "" : t->path; *p; p++)
        if (buffer_printf(&b, *p == '%' || *p == '?' ? "%%%02X" : "%c", (unsigned char)*p) < 0)
            return NULL;
    if (t->format != LOG_NONE && t->max_size &&
        buffer_printf(&b, "?max-size=%llu&max-files=%u", (unsigned long long)t->max_size,
                      t->max_files) < 0)
        return NULL;
    return buffer_take_text(&b);
}
