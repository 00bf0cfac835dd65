/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow. The zero value is empty; after the first append that worked, data is followed by
 * a NUL that len does not count, so that text needs no more. A failed append leaves the buffer as
 * it was. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buffer {
    uint8_t *data; /* NULL where nothing was ever appended */
    size_t len;
    size_t size;
};

void buffer_done(struct buffer *b);
CLEANUP_DONE(buffer, struct buffer);

/* Makes room for n more bytes (and the NUL). 0 or -ENOMEM, as all below. */
int buffer_reserve(struct buffer *b, size_t n);
int buffer_append(struct buffer *b, const void *data, size_t len);
int buffer_puts(struct buffer *b, const char *s);
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buffer_vprintf(struct buffer *b, const char *format, va_list args);
/* Drops the first n bytes (n <= len). */
void buffer_consume(struct buffer *b, size_t n);
/* Empties it and keeps its memory. */
void buffer_clear(struct buffer *b);
/* Hands the text on, never NULL but where memory is out; the buffer is empty afterwards. */
char *buffer_take_text(struct buffer *b);
/* The text, "" where it is empty. Valid until the next change. */
const char *buffer_text(const struct buffer *b);
