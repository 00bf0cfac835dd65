/* SPDX-License-Identifier: Apache-2.0 */
/* The logs of containers: one thread writes them all, in the order of the worker's records. Of a container that has not
 * written for a while there is no state, unless it left a line unfinished; a bounded number of files is open. One lock, held while a
 * record is written. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "log/log.h"

struct error;
struct files_container;

struct files_log {
    struct list link; /* of those that are open, the longest unused first */
    struct files_container *container;
    int64_t used_ns;
    struct log_writer writer;
};

/* Makes the file, so that readers find it, where the container has a log. -EINVAL where it is no regular file. */
int logs_create(struct files_container *c, struct error *err);
/* Opens it anew. */
int logs_reopen(struct files_container *c, struct error *err);
/* Drops what there is of it. */
void logs_forget(struct files_container *c);
/* Closes those that nobody has used for a while; whether others are open. */
bool logs_rest(void);
/* Reads records and writes logs until the stream ends (0) or is no such stream (-EPROTO). */
int logs_run(int records, struct error *err);
