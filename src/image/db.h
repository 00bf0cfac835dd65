/* SPDX-License-Identifier: Apache-2.0 */
/* images.db: which images and names there are. WAL, synchronous=FULL: what was committed survives a
 * power cut. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct error;
struct sqlite3;

/* Opens or makes it. -EINVAL for one of a newer version. */
int db_open(const char *path, struct sqlite3 **ret, struct error *err);
void db_close(struct sqlite3 *db);

/* One statement without a result; params are bound as text, NULL-terminated. */
int db_run(struct sqlite3 *db, const char *sql, const char *const *params, struct error *err);
#define db_do(db, err, sql, ...)                                                                   \
    db_run((db), (sql), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, (err))
/* Rolls back; nothing where no transaction is open. */
void db_rollback(struct sqlite3 *db);

/* Calls row for each row of two columns of text; stops where it returns an error. */
int db_each(struct sqlite3 *db, const char *sql,
            int (*row)(void *arg, const char *first, const char *second, struct error *err),
            void *arg, struct error *err);
