/* SPDX-License-Identifier: Apache-2.0 */
#include "image/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

enum { SCHEMA_VERSION = 1 };

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE images(id TEXT PRIMARY KEY, manifest TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE names(name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id))"
    " WITHOUT ROWID;"
    "CREATE TABLE layers(chain TEXT PRIMARY KEY, size TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version=1;"
    "COMMIT;";

static int db_errno(struct sqlite3 *db)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EUCLEAN;
    default:
        return EIO;
    }
}

static int db_fail(struct sqlite3 *db, const char *what, struct error *err)
{
    return fail_plain(err, db_errno(db), "%s images.db: %s", what, sqlite3_errmsg(db));
}

static int version_row(void *arg, const char *first, const char *second, struct error *err)
{
    (void)second;
    int64_t version;
    if (str_parse_int(first, 0, INT32_MAX, &version) < 0)
        return fail_plain(err, EINVAL, "images.db has no version");
    *(int *)arg = (int)version;
    return 0;
}

static int prepare_schema(struct sqlite3 *db, struct error *err)
{
    int version = 0;
    if (sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
                     NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(db, "open", err);
    int r =
        db_each(db, "SELECT user_version, '' FROM pragma_user_version", version_row, &version, err);
    if (r < 0)
        return r;
    if (version > SCHEMA_VERSION)
        return fail_plain(err, EINVAL,
                          "images.db has schema version %d, this program knows up to %d: it was "
                          "written by a newer Warren",
                          version, SCHEMA_VERSION);
    if (!version && sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(db, "create", err);
    return 0;
}

int db_open(const char *path, struct sqlite3 **ret, struct error *err)
{
    struct sqlite3 *db = NULL;
    int r = 0;
    if (sqlite3_open_v2(path, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        NULL) != SQLITE_OK)
        r = db_fail(db, "open", err);
    if (!r)
        r = prepare_schema(db, err);
    if (r < 0) {
        db_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

void db_close(struct sqlite3 *db)
{
    sqlite3_close_v2(db);
}

int db_run(struct sqlite3 *db, const char *sql, const char *const *params, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int r = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    for (int i = 0; r == SQLITE_OK && params[i]; i++)
        r = sqlite3_bind_text(s, i + 1, params[i], -1, SQLITE_STATIC);
    if (r == SQLITE_OK)
        r = sqlite3_step(s);
    int status = r == SQLITE_DONE || r == SQLITE_ROW ? 0 : db_fail(db, "write", err);
    sqlite3_finalize(s);
    return status;
}

void db_rollback(struct sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int db_each(struct sqlite3 *db, const char *sql,
            int (*row)(void *arg, const char *first, const char *second, struct error *err),
            void *arg, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int r = sqlite3_prepare_v2(db, sql, -1, &s, NULL), status = 0;
    while (r == SQLITE_OK || r == SQLITE_ROW) {
        r = sqlite3_step(s);
        if (r != SQLITE_ROW)
            break;
        status = row(arg, str_or_empty((const char *)sqlite3_column_text(s, 0)),
                     str_or_empty((const char *)sqlite3_column_text(s, 1)), err);
        if (status < 0)
            break;
    }
    if (!status && r != SQLITE_DONE)
        status = db_fail(db, "read", err);
    sqlite3_finalize(s);
    return status;
}
