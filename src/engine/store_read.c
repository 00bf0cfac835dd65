/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store_read.h"

#include <errno.h>

#include "base/base.h"

int store_fail(sqlite3 *db, struct error *err, const char *what)
{
    int code = sqlite3_extended_errcode(db), posix = EIO;
    switch (code & 0xff) {
    case SQLITE_FULL:
        posix = ENOSPC;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        posix = EBUSY;
        break;
    case SQLITE_NOMEM:
        posix = ENOMEM;
        break;
    case SQLITE_READONLY:
        posix = EROFS;
        break;
    default:
        break;
    }
    return fail_plain(err, posix, "%s: %s", what, sqlite3_errmsg(db));
}

static const char *text(sqlite3_stmt *st, int i)
{
    return (const char *)sqlite3_column_text(st, i);
}

static int read_pods(sqlite3_stmt *st, const struct store_reader *reader, struct error *err)
{
    while (sqlite3_step(st) == SQLITE_ROW) {
        struct pod_row r = {
            .seq = sqlite3_column_int64(st, 0),
            .id = str_or_empty(text(st, 1)),
            .key = str_or_empty(text(st, 2)),
            .handler = str_or_empty(text(st, 3)),
            .phase = (enum pod_phase)sqlite3_column_int(st, 4),
            .pid = sqlite3_column_int(st, 5),
            .created_ns = sqlite3_column_int64(st, 6),
            .config = sqlite3_column_blob(st, 7),
            .config_len = (size_t)sqlite3_column_bytes(st, 7),
        };
        int bad = reader->pod(reader->arg, &r, err);
        if (bad < 0)
            return bad;
    }
    return 0;
}

static int read_containers(sqlite3_stmt *st, const struct store_reader *reader, struct error *err)
{
    while (sqlite3_step(st) == SQLITE_ROW) {
        struct container_row r = {
            .seq = sqlite3_column_int64(st, 0),
            .pod_seq = sqlite3_column_int64(st, 1),
            .id = str_or_empty(text(st, 2)),
            .name = str_or_empty(text(st, 3)),
            .attempt = (uint32_t)sqlite3_column_int64(st, 4),
            .image_id = str_or_empty(text(st, 5)),
            .image_ref = str_or_empty(text(st, 6)),
            .log_path = text(st, 7),
            .phase = (enum container_phase)sqlite3_column_int(st, 8),
            .pid = sqlite3_column_int(st, 9),
            .created_ns = sqlite3_column_int64(st, 10),
            .started_ns = sqlite3_column_int64(st, 11),
            .finished_ns = sqlite3_column_int64(st, 12),
            .exit_code = sqlite3_column_int(st, 13),
            .reason = text(st, 14),
            .message = text(st, 15),
            .config = sqlite3_column_blob(st, 16),
            .config_len = (size_t)sqlite3_column_bytes(st, 16),
        };
        int bad = reader->container(reader->arg, &r, err);
        if (bad < 0)
            return bad;
    }
    return 0;
}

int store_read(sqlite3 *db, const struct store_reader *reader, struct error *err)
{
    static const struct {
        const char *sql;
        int (*read)(sqlite3_stmt *st, const struct store_reader *reader, struct error *err);
    } tables[] = {
        {"SELECT * FROM pod ORDER BY seq", read_pods},
        {"SELECT * FROM container ORDER BY seq", read_containers},
    };
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        sqlite3_stmt *st;
        if (sqlite3_prepare_v2(db, tables[i].sql, -1, &st, NULL) != SQLITE_OK)
            return store_fail(db, err, "read the engine's state");
        int r = tables[i].read(st, reader, err);
        if (sqlite3_finalize(st) != SQLITE_OK && r == 0)
            r = store_fail(db, err, "read the engine's state");
        if (r < 0)
            return r;
    }
    return 0;
}
