/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_done(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

int buffer_reserve(struct buffer *b, size_t n)
{
    if (n >= SIZE_MAX / 2 - b->len)
        return -ENOMEM;
    size_t need = b->len + n + 1;
    if (need <= b->size)
        return 0;
    size_t size = b->size ? b->size : 64;
    while (size < need)
        size *= 2;
    uint8_t *grown = realloc(b->data, size);
    if (!grown)
        return -ENOMEM;
    b->data = grown;
    b->size = size;
    return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t len)
{
    int r = buffer_reserve(b, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
    return 0;
}

int buffer_puts(struct buffer *b, const char *s)
{
    return buffer_append(b, s, strlen(s));
}

int buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        return -EINVAL;
    int r = buffer_reserve(b, (size_t)n);
    if (r < 0)
        return r;
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, args);
    b->len += (size_t)n;
    return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = buffer_vprintf(b, format, args);
    va_end(args);
    return r;
}

void buffer_consume(struct buffer *b, size_t n)
{
    if (!n)
        return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

char *buffer_take_text(struct buffer *b)
{
    if (buffer_reserve(b, 0) < 0)
        return NULL;
    b->data[b->len] = 0;
    char *text = (char *)b->data;
    *b = (struct buffer){0};
    return text;
}

const char *buffer_text(const struct buffer *b)
{
    return b->data ? (const char *)b->data : "";
}
