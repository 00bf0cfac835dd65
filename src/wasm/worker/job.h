/* SPDX-License-Identifier: Apache-2.0 */
/* What a parked guest waits for that others do for it: a request to the files process (ask.h), reading or writing on a disk (disk.h). A
 * guest has one at most. The job owns its memory and its descriptor: a guest that is killed leaves it behind, and whoever is at it
 * never touches the guest.
 *
 * Who holds the guest makes the job, takes the result, or drops it; who has done it ends it, which wakes the guest. One lock guards whose
 * a job is; the scheduler's is taken in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"

struct guest;

struct job {
    struct list link;    /* its owner's: unsent packets, the disk's queue */
    struct guest *guest; /* NULL: nobody waits any more */
    bool done;
    int64_t code;         /* -errno, or what the job says */
    int fd;               /* a descriptor of its own; -1 */
    struct buffer bytes;  /* what goes with it, or came */
    uint64_t tag;         /* ask.c's */
    struct disk_op *disk; /* disk.c's; malloced */
};

/* g's job; NULL where memory is out. */
struct job *job_new(struct guest *g);
/* Frees one that nobody else has. */
void job_free(struct job *j);
/* g's job is done: the caller's to free. NULL: it is under way. */
struct job *job_take(struct guest *g);
static inline void cleanup_job(struct job **j)
{
    job_free(*j);
}
/* g waits for nothing any more. */
void job_drop(struct guest *g);
/* The job is at its end: wakes who waits. False where nobody does: it is the caller's to free. */
bool job_end(struct job *j);
