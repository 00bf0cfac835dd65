/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be written to the store next: DATA/state.log, a file of fixed size mapped into memory. A change put there survives
 * kill -9 at once, without a system call. It has two halves: changes are put into one while the store writes what the other
 * holds, and clears it.
 *
 * A record is its length, a checksum, a number one above the last record's, and the change. The store keeps the number of the
 * last one that it has written, so that each is written once; what does not follow it without a gap (a power cut writes a file's
 * pages in any order) or is another database's is not read. */
#pragma once

#include <stdbool.h>

#include "engine/store.h"

enum { JOURNAL_HALF = 512 << 10, JOURNAL_CHANGE_MAX = JOURNAL_HALF / 4 };

struct journal;

/* Maps the file at path, made where it is missing. database: whose changes these are, no two have the same. What an earlier process
 * left is to be taken before anything is put: journal_take() to journal_written() until journal_is_empty(), then journal_begin(). */
int journal_open(struct journal **ret, const char *path, uint64_t database, struct error *err);
/* The next change that is put follows the one that has the number written. */
void journal_begin(struct journal *j, uint64_t written);
void journal_free(struct journal *j);

size_t journal_size(const struct store_change *change);
/* False where there is no room, or change is larger than JOURNAL_CHANGE_MAX. */
bool journal_put(struct journal *j, const struct store_change *change);
bool journal_is_empty(const struct journal *j);
/* Whether it is time to write: more than half of what can be put is there. */
bool journal_is_filling(const struct journal *j);

/* Changes to be written, in the order of their putting. */
struct journal_batch {
    const uint8_t *at, *end;
    uint64_t number; /* of the change before the next one */
};
/* What is to be written next, the same again until journal_written(); an empty batch where there is nothing. */
struct journal_batch journal_take(struct journal *j);
/* The next change, which points into the journal. False at the end, when batch->number is the last one's. */
bool journal_next(const struct journal *j, struct journal_batch *batch, struct store_change *ret);
/* What journal_take() gave is in the store. */
void journal_written(struct journal *j);
