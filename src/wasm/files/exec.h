/* SPDX-License-Identifier: Apache-2.0 */
/* An exec's streams, and the module that it may name in its container's tree. */
#pragma once

struct buffer;
struct wire_reader;

/* Appends the answer to a FILES_EXEC request, which *ret_fd goes with (-1 for none, the caller's to close). Any thread. */
void files_exec(struct wire_reader *r, struct buffer *out, int *ret_fd);
