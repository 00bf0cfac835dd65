/* SPDX-License-Identifier: Apache-2.0 */
#include "log/format.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static const char *stream_name(enum log_stream stream)
{
    return stream == LOG_STDERR ? "stderr" : "stdout";
}

int log_format_cri(struct buffer *out, enum log_stream stream, const uint8_t *text, size_t len,
                   bool partial, int64_t wall_ns)
{
    char time[CLOCK_TEXT_MAX];
    size_t before = out->len;
    int r = buffer_reserve(out, CLOCK_TEXT_MAX + 16 + len);
    if (r < 0)
        return r;
    r = buffer_printf(out, "%s %s %c ", clock_format(wall_ns, time), stream_name(stream),
                      partial ? 'P' : 'F');
    if (!r)
        r = buffer_append(out, text, len);
    if (!r)
        r = buffer_append(out, "\n", 1);
    if (r < 0)
        out->len = before;
    return r;
}

/* The length of the character at text, 0 where it is none: overlong forms, surrogates and what is
 * above U+10FFFF are none (Unicode 15, table 3-7). */
static size_t utf8_len(const uint8_t *text, size_t len)
{
    uint8_t c = text[0], low = 0x80, high = 0xbf;
    size_t n;
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        low = c == 0xe0 ? 0xa0 : 0x80;
        high = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        low = c == 0xf0 ? 0x90 : 0x80;
        high = c == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (len < n || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static bool plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static int escape(struct buffer *out, uint8_t c)
{
    switch (c) {
    case '"':
        return buffer_append(out, "\\\"", 2);
    case '\\':
        return buffer_append(out, "\\\\", 2);
    case '\n':
        return buffer_append(out, "\\n", 2);
    case '\r':
        return buffer_append(out, "\\r", 2);
    case '\t':
        return buffer_append(out, "\\t", 2);
    default:
        return buffer_printf(out, "\\u%04x", c);
    }
}

static int append_string(struct buffer *out, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t run = i;
        while (run < len && plain(text[run]))
            run++;
        int r = buffer_append(out, text + i, run - i);
        i = run;
        if (!r && i < len) {
            size_t n = utf8_len(text + i, len - i);
            if (n == 1)
                r = escape(out, text[i]);
            else if (n)
                r = buffer_append(out, text + i, n);
            else
                r = buffer_append(out, "\\ufffd", 6);
            i += n ? n : 1;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int log_format_json(struct buffer *out, enum log_stream stream, const uint8_t *text, size_t len,
                    bool ended, int64_t wall_ns)
{
    char time[CLOCK_TEXT_MAX];
    size_t before = out->len;
    int r = buffer_reserve(out, CLOCK_TEXT_MAX + 48 + len);
    if (!r)
        r = buffer_puts(out, "{\"log\":\"");
    if (!r)
        r = append_string(out, text, len);
    if (!r)
        r = buffer_printf(out, "%s\",\"stream\":\"%s\",\"time\":\"%s\"}\n", ended ? "\\n" : "",
                          stream_name(stream), clock_format(wall_ns, time));
    if (r < 0)
        out->len = before;
    return r;
}

size_t log_whole(const uint8_t *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back < len; back++) {
        uint8_t c = text[len - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return n > back ? len - back : len;
    }
    return len;
}
