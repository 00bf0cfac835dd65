/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store_db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/base.h"
#include "engine/store_read.h"

/* Pages of the log before it is worked in: many changes are to the same pages, and each time costs two syncs of the disk. 16 MiB, which an
 * open reads in a tenth of a second. */
#define CHECKPOINT_PAGES "4096"

static const char schema[] =
    "CREATE TABLE pod(seq INTEGER PRIMARY KEY, id TEXT NOT NULL, key TEXT NOT NULL, handler TEXT "
    "NOT NULL,"
    " phase INTEGER NOT NULL, pid INTEGER NOT NULL, created_ns INTEGER NOT NULL, config BLOB NOT "
    "NULL);"
    "CREATE TABLE container(seq INTEGER PRIMARY KEY, pod INTEGER NOT NULL, id TEXT NOT NULL, name "
    "TEXT NOT NULL,"
    " attempt INTEGER NOT NULL, image_id TEXT NOT NULL, image_ref TEXT NOT NULL, log_path TEXT,"
    " phase INTEGER NOT NULL, pid INTEGER NOT NULL, created_ns INTEGER NOT NULL, started_ns "
    "INTEGER NOT NULL,"
    " finished_ns INTEGER NOT NULL, exit_code INTEGER NOT NULL, reason TEXT, message TEXT, config "
    "BLOB NOT NULL);"
    "CREATE INDEX container_of_pod ON container(pod);";
/* whose changes the journal has, and the number of the last one that is written */
static const char schema_2[] =
    "CREATE TABLE journal(database INTEGER NOT NULL, written INTEGER NOT NULL);"
    "INSERT INTO journal VALUES(random(), 0);"
    "PRAGMA user_version = 2;";

/* beside those of the changes */
enum { FORGET_CONTAINERS = STORE_KINDS, WRITTEN, BEGIN, COMMIT, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [STORE_POD_ADD] = "INSERT INTO pod VALUES(?,?,?,?,?,?,?,?)",
    [STORE_POD_SET] = "UPDATE pod SET phase=?2, pid=?3 WHERE seq=?1",
    [STORE_POD_DELETE] = "DELETE FROM pod WHERE seq=?",
    [STORE_CONTAINER_ADD] = "INSERT INTO container VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?11,?12,?9,?13,"
                            "?14,?15,?16,?17,?10)",
    [STORE_CONTAINER_SET] =
        "UPDATE container SET phase=?2, pid=?3, started_ns=?4, finished_ns=?5, exit_code=?6,"
        " reason=?7, message=?8 WHERE seq=?1",
    [STORE_CONTAINER_CONFIG] = "UPDATE container SET config=?2 WHERE seq=?1",
    [STORE_CONTAINER_DELETE] = "DELETE FROM container WHERE seq=?",
    [FORGET_CONTAINERS] = "DELETE FROM container WHERE pod=?",
    [WRITTEN] = "UPDATE journal SET written=?",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

struct store_db {
    sqlite3 *sqlite;
    sqlite3_stmt *prepared[STATEMENTS];
    uint64_t database, written;
};

static int fail_db(struct store_db *d, struct error *err, const char *what)
{
    return store_fail(d->sqlite, err, what);
}

static int run(struct store_db *d, const char *sql, struct error *err)
{
    if (sqlite3_exec(d->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail_db(d, err, "write the engine's state");
    return 0;
}

/* Writing */

static void bind_text(sqlite3_stmt *st, int i, const char *text)
{
    if (text)
        sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, i);
}

/* An empty configuration is an empty blob, not NULL. */
static void bind_blob(sqlite3_stmt *st, int i, const void *data, size_t len)
{
    sqlite3_bind_blob64(st, i, len ? data : "", len, SQLITE_STATIC);
}

static void bind_pod(sqlite3_stmt *st, const struct pod_row *r)
{
    sqlite3_bind_int64(st, 1, r->seq);
    bind_text(st, 2, r->id);
    bind_text(st, 3, r->key);
    bind_text(st, 4, r->handler);
    sqlite3_bind_int(st, 5, (int)r->phase);
    sqlite3_bind_int(st, 6, r->pid);
    sqlite3_bind_int64(st, 7, r->created_ns);
    bind_blob(st, 8, r->config, r->config_len);
}

/* phase to message, from parameter i on */
static void bind_container_state(sqlite3_stmt *st, int i, const struct container_row *r)
{
    sqlite3_bind_int(st, i++, (int)r->phase);
    sqlite3_bind_int(st, i++, r->pid);
    sqlite3_bind_int64(st, i++, r->started_ns);
    sqlite3_bind_int64(st, i++, r->finished_ns);
    sqlite3_bind_int(st, i++, r->exit_code);
    bind_text(st, i++, r->reason);
    bind_text(st, i, r->message);
}

static void bind_container(sqlite3_stmt *st, const struct container_row *r)
{
    sqlite3_bind_int64(st, 1, r->seq);
    sqlite3_bind_int64(st, 2, r->pod_seq);
    bind_text(st, 3, r->id);
    bind_text(st, 4, r->name);
    sqlite3_bind_int64(st, 5, r->attempt);
    bind_text(st, 6, r->image_id);
    bind_text(st, 7, r->image_ref);
    bind_text(st, 8, r->log_path);
    sqlite3_bind_int64(st, 9, r->created_ns);
    bind_blob(st, 10, r->config, r->config_len);
    bind_container_state(st, 11, r);
}

static void bind_change(sqlite3_stmt *st, const struct store_change *c)
{
    switch (c->kind) {
    case STORE_POD_ADD:
        bind_pod(st, &c->pod);
        break;
    case STORE_POD_SET:
        sqlite3_bind_int64(st, 1, c->pod.seq);
        sqlite3_bind_int(st, 2, (int)c->pod.phase);
        sqlite3_bind_int(st, 3, c->pod.pid);
        break;
    case STORE_POD_DELETE:
        sqlite3_bind_int64(st, 1, c->pod.seq);
        break;
    case STORE_CONTAINER_ADD:
        bind_container(st, &c->container);
        break;
    case STORE_CONTAINER_SET:
        sqlite3_bind_int64(st, 1, c->container.seq);
        bind_container_state(st, 2, &c->container);
        break;
    case STORE_CONTAINER_CONFIG:
        sqlite3_bind_int64(st, 1, c->container.seq);
        bind_blob(st, 2, c->container.config, c->container.config_len);
        break;
    case STORE_CONTAINER_DELETE:
        sqlite3_bind_int64(st, 1, c->container.seq);
        break;
    case STORE_NOTHING:
        break;
    }
}

static int step(struct store_db *d, sqlite3_stmt *st, struct error *err)
{
    int r = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return r == SQLITE_DONE ? 0 : fail_db(d, err, "write the engine's state");
}

static int apply(struct store_db *d, const struct store_change *c, struct error *err)
{
    if (c->kind == STORE_NOTHING)
        return 0;
    bind_change(d->prepared[c->kind], c);
    int r = step(d, d->prepared[c->kind], err);
    if (r == 0 && c->kind == STORE_POD_DELETE) {
        sqlite3_bind_int64(d->prepared[FORGET_CONTAINERS], 1, c->pod.seq);
        r = step(d, d->prepared[FORGET_CONTAINERS], err);
    }
    return r;
}

static int apply_batch(struct store_db *d, const struct journal *journal,
                       struct journal_batch batch, uint64_t *number, struct error *err)
{
    struct store_change change;
    int r = 0;
    while (r == 0 && journal_next(journal, &batch, &change)) {
        if (batch.number <= *number)
            continue; /* written by a process that was killed before it could say so */
        if (batch.number != *number + 1)
            break;
        r = apply(d, &change, err);
        ++*number;
    }
    sqlite3_bind_int64(d->prepared[WRITTEN], 1, (int64_t)*number);
    return r == 0 ? step(d, d->prepared[WRITTEN], err) : r;
}

int store_db_write(struct store_db *d, const struct journal *journal, struct journal_batch batch,
                   const struct store_change *large, struct error *err)
{
    uint64_t number = d->written;
    int r = step(d, d->prepared[BEGIN], err);
    if (r < 0)
        return r;
    r = apply_batch(d, journal, batch, &number, err);
    if (r == 0 && large)
        r = apply(d, large, err);
    if (r == 0)
        r = step(d, d->prepared[COMMIT], err);
    if (r < 0 && !sqlite3_get_autocommit(d->sqlite))
        run(d, "ROLLBACK", NULL);
    if (r == 0)
        d->written = number;
    return r;
}

/* Opening */

static int check_schema(struct store_db *d, struct error *err)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(d->sqlite, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return fail_db(d, err, "read its schema's version");
    int version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    if (sqlite3_finalize(st) != SQLITE_OK || version < 0)
        return fail_db(d, err, "read its schema's version");
    if (version > STORE_SCHEMA)
        return fail_plain(
            err, ENOTSUP,
            "a newer Warren has written it (schema %d, this one knows %d): start that "
            "one, or remove its pods with it first",
            version, STORE_SCHEMA);
    if (version == STORE_SCHEMA)
        return 0;
    int r = run(d, "BEGIN IMMEDIATE", err);
    if (r == 0 && version < 1)
        r = run(d, schema, err);
    if (r == 0)
        r = run(d, schema_2, err);
    return r == 0 ? run(d, "COMMIT", err) : r;
}

static int prepare(struct store_db *d, struct error *err)
{
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(d->sqlite, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &d->prepared[i], NULL) != SQLITE_OK)
            return fail_db(d, err, "prepare its statements");
    return 0;
}

static int read_written(struct store_db *d, struct error *err)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(d->sqlite, "SELECT database, written FROM journal", -1, &st, NULL) !=
        SQLITE_OK)
        return fail_db(d, err, "read which changes are written");
    int r = sqlite3_step(st);
    d->database = (uint64_t)sqlite3_column_int64(st, 0);
    d->written = (uint64_t)sqlite3_column_int64(st, 1);
    sqlite3_finalize(st);
    return r == SQLITE_ROW ? 0 : fail_db(d, err, "read which changes are written");
}

void store_db_free(struct store_db *d)
{
    if (!d)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(d->prepared[i]);
    sqlite3_close(d->sqlite);
    free(d);
}
CLEANUP_FREE(store_db, struct store_db);

int store_db_open(struct store_db **ret, const char *path, struct error *err)
{
    auto(store_db) struct store_db *d = calloc(1, sizeof *d);
    if (!d)
        return fail(err, ENOMEM, "open '%s'", path);
    /* one thread at a time has it; locking_mode=EXCLUSIVE spares the shared index and keeps a
     * second engine out */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &d->sqlite, flags, NULL) != SQLITE_OK)
        return fail_plain(err,
                          sqlite3_system_errno(d->sqlite) ? sqlite3_system_errno(d->sqlite) : EIO,
                          "open '%s': %s", path, sqlite3_errmsg(d->sqlite));
    int r =
        run(d,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES,
            err);
    if (r == 0)
        r = check_schema(d, err);
    if (r == 0)
        r = prepare(d, err);
    if (r == 0)
        r = read_written(d, err);
    if (r == -EBUSY)
        return fail_plain(err, EBUSY, "open '%s': another engine is using it", path);
    if (r < 0)
        return fail_in(err, r, "open '%s'", path);
    *ret = take_ptr(&d);
    return 0;
}

int store_db_read(struct store_db *d, const struct store_reader *reader, struct error *err)
{
    return store_read(d->sqlite, reader, err);
}

uint64_t store_db_id(const struct store_db *d)
{
    return d->database;
}

uint64_t store_db_written(const struct store_db *d)
{
    return d->written;
}

void store_db_abandon(struct store_db *d)
{
    sqlite3_db_config(d->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    store_db_free(d);
}
