/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/store_read.h"
#include "loop/loop.h"

enum { RETRY_NS = 1000000000 };
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
    "CREATE INDEX container_of_pod ON container(pod);"
    "PRAGMA user_version = 1;";

/* beside those of the changes */
enum { FORGET_CONTAINERS = STORE_KINDS, BEGIN, COMMIT, STATEMENTS };

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
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

struct store_op {
    struct list link;
    struct store_change change;
    struct co *waiter; /* NULL: nobody, the op is its own memory */
    struct error *err;
    int result;
    bool done;
    char message[];
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *prepared[STATEMENTS];
    struct list queue;
    bool writing;       /* the writer's coroutine is there */
    struct co *resting; /* the writer, while it waits before it tries again */
    bool refused;       /* the last transaction failed, and somebody was told */
    struct co_queue idle;
};

struct batch {
    struct store *store;
    struct list ops;
};

static int fail_db(struct store *s, struct error *err, const char *what)
{
    return store_fail(s->db, err, what);
}

static int run(struct store *s, const char *sql, struct error *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail_db(s, err, "write the engine's state");
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

static int step(struct store *s, sqlite3_stmt *st, struct error *err)
{
    int r = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return r == SQLITE_DONE ? 0 : fail_db(s, err, "write the engine's state");
}

static int apply(struct store *s, const struct store_change *c, struct error *err)
{
    if (c->kind == STORE_NOTHING)
        return 0;
    bind_change(s->prepared[c->kind], c);
    int r = step(s, s->prepared[c->kind], err);
    if (r == 0 && c->kind == STORE_POD_DELETE) {
        sqlite3_bind_int64(s->prepared[FORGET_CONTAINERS], 1, c->pod.seq);
        r = step(s, s->prepared[FORGET_CONTAINERS], err);
    }
    return r;
}

static int write_batch(void *arg, struct error *err)
{
    struct batch *b = arg;
    struct store_op *op;
    int r = step(b->store, b->store->prepared[BEGIN], err);
    if (r < 0)
        return r;
    list_each(op, &b->ops, link)
    {
        r = apply(b->store, &op->change, err);
        if (r < 0)
            break;
    }
    if (r == 0)
        r = step(b->store, b->store->prepared[COMMIT], err);
    if (r < 0 && !sqlite3_get_autocommit(b->store->db))
        run(b->store, "ROLLBACK", NULL);
    return r;
}

/* Gives the result to who waits. Changes that nobody waits for are kept where they could not be
 * written. */
static bool settle(struct batch *b, int result, const struct error *err)
{
    struct list kept = LIST_INIT(kept);
    struct store_op *op;
    list_each(op, &b->ops, link)
    {
        list_remove(&op->link);
        if (op->waiter) {
            op->result = result;
            if (result < 0)
                fail_with(op->err, err);
            op->done = true;
            co_wake(op->waiter);
        } else if (result < 0) {
            list_append(&kept, &op->link);
        } else {
            free(op);
        }
    }
    bool any = !list_empty(&kept);
    /* they were asked before what waits now */
    while (!list_empty(&b->store->queue)) {
        op = list_first(&b->store->queue, struct store_op, link);
        list_remove(&op->link);
        list_append(&kept, &op->link);
    }
    while (!list_empty(&kept)) {
        op = list_first(&kept, struct store_op, link);
        list_remove(&op->link);
        list_append(&b->store->queue, &op->link);
    }
    return any;
}

static void writer(void *arg)
{
    struct store *s = arg;
    while (!list_empty(&s->queue)) {
        struct batch b = {.store = s, .ops = LIST_INIT(b.ops)};
        struct store_op *op;
        list_each(op, &s->queue, link)
        {
            list_remove(&op->link);
            list_append(&b.ops, &op->link);
        }
        struct error err = {0};
        int r = co_pool(write_batch, &b, &err);
        bool refused = settle(&b, r, &err);
        if (refused) {
            if (!s->refused)
                diag_warning("%s; trying again until it works", err.message);
            s->resting = co_self();
            co_queue_wake_all(&s->idle);
            co_park_until(clock_mono_ns() + RETRY_NS);
            s->resting = NULL;
        }
        s->refused = refused;
    }
    s->writing = false;
    co_queue_wake_all(&s->idle);
}

static void enqueue(struct store *s, struct store_op *op)
{
    list_append(&s->queue, &op->link);
    if (s->resting && op->waiter)
        co_wake(s->resting);
    if (s->writing)
        return;
    s->writing = true;
    co_start(writer, s);
}

int store_commit(struct store *s, const struct store_change *change, struct error *err)
{
    struct store_op op = {.change = *change, .waiter = co_self(), .err = err};
    list_init(&op.link);
    enqueue(s, &op);
    while (!op.done)
        co_park();
    return op.result;
}

void store_later(struct store *s, const struct store_change *change)
{
    const char *message = change->kind == STORE_CONTAINER_SET ? change->container.message : NULL;
    size_t len = message ? strlen(message) + 1 : 0;
    struct store_op *op = calloc(1, sizeof *op + len);
    if (!op)
        abort();
    list_init(&op->link);
    op->change = *change;
    if (message)
        op->change.container.message = memcpy(op->message, message, len);
    enqueue(s, op);
}

/* Opening */

static int check_schema(struct store *s, struct error *err)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return fail_db(s, err, "read its schema's version");
    int version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    if (sqlite3_finalize(st) != SQLITE_OK || version < 0)
        return fail_db(s, err, "read its schema's version");
    if (version > STORE_SCHEMA)
        return fail_plain(
            err, ENOTSUP,
            "a newer Warren has written it (schema %d, this one knows %d): start that "
            "one, or remove its pods with it first",
            version, STORE_SCHEMA);
    if (version == STORE_SCHEMA)
        return 0;
    int r = run(s, "BEGIN IMMEDIATE", err);
    if (r == 0)
        r = run(s, schema, err);
    return r == 0 ? run(s, "COMMIT", err) : r;
}

static int prepare(struct store *s, struct error *err)
{
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[i],
                               NULL) != SQLITE_OK)
            return fail_db(s, err, "prepare its statements");
    return 0;
}

static void store_free(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->prepared[i]);
    sqlite3_close(s->db);
    free(s);
}
CLEANUP_FREE(store, struct store);

int store_open(struct store **ret, const char *path, const struct store_reader *reader,
               struct error *err)
{
    auto(store) struct store *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "open '%s'", path);
    list_init(&s->queue);
    co_queue_init(&s->idle);
    /* one thread at a time has it; locking_mode=EXCLUSIVE spares the shared index and keeps a
     * second engine out */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
        return fail_plain(err, sqlite3_system_errno(s->db) ? sqlite3_system_errno(s->db) : EIO,
                          "open '%s': %s", path, sqlite3_errmsg(s->db));
    int r =
        run(s,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES,
            err);
    if (r == 0)
        r = check_schema(s, err);
    if (r == 0)
        r = prepare(s, err);
    if (r == 0)
        r = store_read(s->db, reader, err);
    if (r == -EBUSY)
        return fail_plain(err, EBUSY, "open '%s': another engine is using it", path);
    if (r < 0)
        return fail_in(err, r, "open '%s'", path);
    *ret = take_ptr(&s);
    return 0;
}

void store_close(struct store *s)
{
    while (s->writing && !s->resting)
        co_queue_wait(&s->idle, INT64_MAX);
    /* a disk that refuses the rest may do so for ever: the next open finds out by the sandboxers'
     * snapshots */
    if (!s->writing)
        store_free(s);
}

void store_abandon(struct store *s)
{
    struct store_op *op;
    list_each(op, &s->queue, link) if (!op->waiter) free(op);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    store_free(s);
}
