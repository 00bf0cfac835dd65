/* SPDX-License-Identifier: Apache-2.0 */
/* What may wait for a disk, done by threads of its own while the guest is parked. They work on a duplicate of the descriptor and on
 * the job's bytes, never on a guest's memory. There are as many threads as are busy and one more, within a bound, and none at rest. */
#pragma once

#include <stdint.h>

#include "wasm/worker/job.h"

enum disk_kind {
    DISK_READ, /* length bytes into the job's */
    DISK_WRITE,
    DISK_SYNC,
    DISK_DATASYNC,
    DISK_TRUNCATE, /* to length */
    DISK_ALLOCATE,
    DISK_ADVISE,
    DISK_CLOSE, /* ours */
};

enum { DISK_MOST = 1 << 20 }; /* bytes of one job */

struct disk_op {
    enum disk_kind kind;
    int advice;
    int64_t offset; /* -1: the descriptor's own position */
    int64_t length;
};

/* g has a job that does op on fd, with what is in data (taken over; NULL for none): 0, or -errno. Its code is the count or -errno. Who holds
 * g. */
int disk_do(struct guest *g, int fd, const struct disk_op *op, struct buffer *data);
/* Closes fd, which may be the last of a file that is to be freed; nobody waits. */
void disk_close(int fd);
