/* SPDX-License-Identifier: Apache-2.0 */
/* How docker writes times, sizes and tables. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUMAN_MAX = 48 };
/* "About an hour", "3 days", ...; returns text. */
char *human_duration(int64_t seconds, char text[HUMAN_MAX]);
/* "4.26MB": three significant digits, powers of 1000. */
char *human_size(uint64_t bytes, char text[HUMAN_MAX]);

/* Prints rows of count columns each, padded so that they stand below each other. */
void table_print(char *const *cells, size_t count, size_t rows);
