/* SPDX-License-Identifier: Apache-2.0 */
/* state.db: the rows, and the number of the journal's last change that is among them. It blocks, and one thread at a time may use
 * it. */
#pragma once

#include "engine/journal.h"

struct store_db;

int store_db_open(struct store_db **ret, const char *path, struct error *err);
void store_db_free(struct store_db *d);
/* As kill -9 leaves it. */
void store_db_abandon(struct store_db *d);
/* No two databases have the same. */
uint64_t store_db_id(const struct store_db *d);
uint64_t store_db_written(const struct store_db *d);
int store_db_read(struct store_db *d, const struct store_reader *reader, struct error *err);
/* One transaction: what of batch is not written yet, and then large, where it is not NULL. */
int store_db_write(struct store_db *d, const struct journal *journal, struct journal_batch batch,
                   const struct store_change *large, struct error *err);
