/* SPDX-License-Identifier: Apache-2.0 */
/* How one line is written: bytes in, bytes out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "log/log.h"

/* Appends one record. partial: more of the line follows; ended: the line had its newline. 0 or
 * -ENOMEM. */
int log_format_cri(struct buffer *out, enum log_stream stream, const uint8_t *text, size_t len,
                   bool partial, int64_t wall_ns);
/* As docker's json-file: {"log":"...","stream":"stdout","time":"..."}. What is not UTF-8 becomes
 * U+FFFD. */
int log_format_json(struct buffer *out, enum log_stream stream, const uint8_t *text, size_t len,
                    bool ended, int64_t wall_ns);

/* len less the bytes of a UTF-8 character at the end of text that is cut in two there; at least 1
 * of len >= 1. */
size_t log_whole(const uint8_t *text, size_t len);
