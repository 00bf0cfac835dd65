/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/journal.h"
#include "engine/store_db.h"
#include "loop/loop.h"

/* How long changes gather before they are written in one transaction: the journal has them meanwhile. */
enum { RETRY_NS = 1000000000, GATHER_NS = 25000000 };
/* What nobody waits for and the journal has no room for. */
struct late {
    struct list link;
    struct store_change change;
    char message[];
};

struct store {
    struct store_db *db;
    struct journal *journal;
    struct list late;
    bool writing;         /* the writer's coroutine is there */
    struct co *gathering; /* the writer, while it lets changes gather */
    struct co *resting;   /* the writer, while it waits before it tries again */
    bool hurried;         /* somebody waits for the writer's next try */
    bool closing;
    struct co_mutex turn; /* who has a change that is too large for the journal */
    const struct store_change *large;
    unsigned tries;
    struct co_queue tried;
    bool refused; /* the last try failed; why, in error */
    struct error error;
    struct co_queue idle;
};

/* One transaction: what the journal has, and then what is too large for it. */
struct work {
    struct store *store;
    struct journal_batch batch;
    const struct store_change *large;
};

static int write_work(void *arg, struct error *err)
{
    struct work *w = arg;
    return store_db_write(w->store->db, w->store->journal, w->batch, w->large, err);
}

static void put_late(struct store *s)
{
    struct late *l;
    list_each(l, &s->late, link)
    {
        if (!journal_put(s->journal, &l->change))
            return;
        list_remove(&l->link);
        free(l);
    }
}

static void try_to_write(struct store *s)
{
    struct error err = {0};
    /* while the disk refuses, the batch is an earlier one, which something in the journal follows */
    bool all = !s->refused && list_empty(&s->late);
    struct work w = {.store = s, .batch = journal_take(s->journal), .large = all ? s->large : NULL};
    s->hurried = false;
    int r = co_pool(write_work, &w, &err);
    if (r == 0) {
        journal_written(s->journal);
        if (w.large)
            s->large = NULL;
        put_late(s);
    } else if (!s->refused) {
        diag_warning("%s; trying again until it works", err.message);
    }
    s->refused = r < 0;
    s->error = err;
    s->tries++;
    co_queue_wake_all(&s->tried);
}

static void gather(struct store *s)
{
    if (s->hurried || s->closing || journal_is_filling(s->journal))
        return;
    s->gathering = co_self();
    co_park_until(clock_mono_ns() + GATHER_NS);
    s->gathering = NULL;
}

static void rest(struct store *s)
{
    s->resting = co_self();
    co_queue_wake_all(&s->idle);
    co_park_until(clock_mono_ns() + RETRY_NS);
    s->resting = NULL;
}

static void writer(void *arg)
{
    struct store *s = arg;
    while (!journal_is_empty(s->journal) || !list_empty(&s->late) || s->large) {
        if (!s->refused)
            gather(s);
        try_to_write(s);
        if (s->refused)
            rest(s);
    }
    s->writing = false;
    co_queue_wake_all(&s->idle);
}

static void begin_writing(struct store *s)
{
    if (s->gathering && journal_is_filling(s->journal))
        co_wake(s->gathering);
    if (s->writing)
        return;
    s->writing = true;
    co_start(writer, s);
}

static void hurry(struct store *s)
{
    if (s->gathering)
        co_wake(s->gathering);
    if (s->resting)
        co_wake(s->resting);
}

/* Waits for the writer's next try, and makes it come at once; what became of it. */
static int await_try(struct store *s, struct error *err)
{
    unsigned before = s->tries;
    s->hurried = true;
    begin_writing(s);
    hurry(s);
    while (s->tries == before)
        co_queue_wait(&s->tried, INT64_MAX);
    return s->refused ? fail_with(err, &s->error) : 0;
}

static bool put(struct store *s, const struct store_change *change)
{
    return list_empty(&s->late) &&
           (change->kind == STORE_NOTHING || journal_put(s->journal, change));
}

static int commit_large(struct store *s, const struct store_change *change, struct error *err)
{
    auto(co_locked) struct co_mutex *held = co_lock(&s->turn);
    int r = 0;
    s->large = change;
    while (r == 0 && s->large)
        r = await_try(s, err);
    s->large = NULL;
    return r;
}

int store_commit(struct store *s, const struct store_change *change, struct error *err)
{
    if (change->kind != STORE_NOTHING && journal_size(change) > JOURNAL_CHANGE_MAX)
        return commit_large(s, change, err);
    while (s->refused || !put(s, change)) {
        int r = await_try(s, err);
        if (r < 0)
            return r;
    }
    if (change->kind != STORE_NOTHING)
        begin_writing(s);
    return 0;
}

void store_later(struct store *s, const struct store_change *change)
{
    if (!put(s, change)) {
        const char *message =
            change->kind == STORE_CONTAINER_SET ? change->container.message : NULL;
        size_t len = message ? strlen(message) + 1 : 0;
        struct late *l = calloc(1, sizeof *l + len);
        if (!l)
            abort();
        list_init(&l->link);
        l->change = *change;
        if (message)
            l->change.container.message = memcpy(l->message, message, len);
        list_append(&s->late, &l->link);
    }
    begin_writing(s);
}

/* Opening */

static void store_free(struct store *s)
{
    if (!s)
        return;
    store_db_free(s->db);
    journal_free(s->journal);
    free(s);
}
CLEANUP_FREE(store, struct store);

/* Writes what a process that was killed had in its journal. */
static int open_journal(struct store *s, const char *path, struct error *err)
{
    autofree char *log = str_format("%.*s.log", (int)(strlen(path) - strlen(".db")), path);
    int r = log ? journal_open(&s->journal, log, store_db_id(s->db), err)
                : fail(err, ENOMEM, "open the journal");
    while (r == 0 && !journal_is_empty(s->journal)) {
        struct work w = {.store = s, .batch = journal_take(s->journal)};
        r = write_work(&w, err);
        if (r == 0)
            journal_written(s->journal);
    }
    if (r < 0)
        return fail_in(err, r, "open '%s'", path);
    journal_begin(s->journal, store_db_written(s->db));
    return 0;
}

int store_open(struct store **ret, const char *path, const struct store_reader *reader,
               struct error *err)
{
    auto(store) struct store *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "open '%s'", path);
    list_init(&s->late);
    co_mutex_init(&s->turn);
    co_queue_init(&s->tried);
    co_queue_init(&s->idle);
    int r = store_db_open(&s->db, path, err);
    if (r == 0)
        r = open_journal(s, path, err);
    if (r == 0)
        r = store_db_read(s->db, reader, err);
    if (r < 0)
        return r;
    *ret = take_ptr(&s);
    return 0;
}

void store_close(struct store *s)
{
    unsigned before = s->tries;
    s->closing = true;
    hurry(s);
    while (s->writing && (!s->resting || s->tries == before))
        co_queue_wait(&s->idle, INT64_MAX);
    /* a disk that refuses the rest may do so for ever: the next open finds it in the journal */
    if (!s->writing)
        store_free(s);
}

void store_abandon(struct store *s)
{
    struct late *l;
    list_each(l, &s->late, link) free(l);
    store_db_abandon(take_ptr(&s->db));
    store_free(s);
}
