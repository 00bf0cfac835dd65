/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics of our own programs, on standard error: one line each,
 * 2026-01-02T03:04:05.678Z warrend info: text. Only programs and loop-level handlers log; library
 * code returns errors. Any thread. */
#pragma once

#include <stdbool.h>

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_INFO, DIAG_DEBUG };

/* program is kept by reference. */
void diag_init(const char *program, enum diag_level level);
/* "debug", "info", "warn" or "warning", "error" ("fatal" and "panic" count as error): dockerd's
 * words. False where text is none of them. */
bool diag_parse_level(const char *text, enum diag_level *ret);
bool diag_enabled(enum diag_level level);

void diag(enum diag_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define diag_error(...)   diag(DIAG_ERROR, __VA_ARGS__)
#define diag_warning(...) diag(DIAG_WARNING, __VA_ARGS__)
#define diag_info(...)    diag(DIAG_INFO, __VA_ARGS__)
#define diag_debug(...)   (diag_enabled(DIAG_DEBUG) ? diag(DIAG_DEBUG, __VA_ARGS__) : (void)0)
