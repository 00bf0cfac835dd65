/* SPDX-License-Identifier: Apache-2.0 */
/* Records: what of a sandbox or a process must survive the sandboxer, as bytes that its holder
 * keeps.
 *
 * Byte 0 is 'S' or 'P', byte 1 the version (1); then the fields in the order below: strings and
 * bytes as a length of four bytes (little endian) and their bytes, times as eight bytes, flags as
 * one. What follows the last known field is skipped, so that a later version may add fields without
 * a new number. A record is read as untrusted: a holder can be taken over by what it runs. */
#pragma once

#include "sandbox/server.h"

/* -ENOMEM. */
int record_of_sandbox(const struct sandbox *sb, struct buffer *b);
int record_of_process(const struct process *p, struct buffer *b);

struct record { /* strings in the arena, never NULL */
    struct sandbox_request sandbox;
    struct process_request process;
    int64_t created_ns;
};
/* -EINVAL with what is wrong. */
int record_read_sandbox(const void *data, size_t len, struct arena *arena, struct record *ret,
                        struct error *err);
int record_read_process(const void *data, size_t len, struct arena *arena, struct record *ret,
                        struct error *err);
