/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's store: DATA/state.db, SQLite in WAL with synchronous=NORMAL, and before it a journal, DATA/state.log
 * (engine/journal.h). Both survive kill -9. It is read at open only; the records in memory are what the engine works with. A
 * change is committed when it is in the journal, which takes no time; a writer on the pool puts what has gathered there for some
 * milliseconds into state.db, in the order of its asking, in one transaction. Where the disk refuses that, it refuses what is
 * asked from then on. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct store;

enum { STORE_SCHEMA = 2 };

enum pod_phase { POD_PHASE_CREATING, POD_PHASE_READY, POD_PHASE_NOT_READY, POD_PHASE_REMOVING };
enum container_phase {
    CONTAINER_PHASE_CREATED,
    CONTAINER_PHASE_RUNNING,
    CONTAINER_PHASE_EXITED,
    CONTAINER_PHASE_REMOVING,
};

struct pod_row {
    int64_t seq; /* order of creation; never used twice while the row is there */
    const char *id, *key, *handler;
    enum pod_phase phase;
    pid_t pid;
    int64_t created_ns;
    const void *config;
    size_t config_len;
};

struct container_row {
    int64_t seq, pod_seq;
    const char *id, *name;
    uint32_t attempt;
    const char *image_id, *image_ref, *log_path; /* log_path NULL: none */
    enum container_phase phase;
    pid_t pid;
    int64_t created_ns, started_ns, finished_ns;
    int exit_code;
    const char *reason, *message; /* NULL: none */
    const void *config;
    size_t config_len;
};

enum store_kind {
    STORE_POD_ADD,          /* all of pod */
    STORE_POD_SET,          /* phase, pid */
    STORE_POD_DELETE,       /* pod.seq, and its containers */
    STORE_CONTAINER_ADD,    /* all of container */
    STORE_CONTAINER_SET,    /* phase to message */
    STORE_CONTAINER_CONFIG, /* config */
    STORE_CONTAINER_DELETE, /* container.seq */
    STORE_KINDS,
    STORE_NOTHING = STORE_KINDS, /* waits for what came before */
};

struct store_change {
    enum store_kind kind;
    struct pod_row pod;
    struct container_row container;
};

/* What the rows of the file are given to at open, pods first, in the order of creation. */
struct store_reader {
    int (*pod)(void *arg, const struct pod_row *row, struct error *err);
    int (*container)(void *arg, const struct container_row *row, struct error *err);
    void *arg;
};

/* Blocks: for the pool. path ends in ".db". -EBUSY where another engine has it open, -ENOTSUP where a newer Warren
 * wrote it. */
int store_open(struct store **ret, const char *path, const struct store_reader *reader,
               struct error *err);
/* [parks] Returns when change is committed: at once, but where the writer has fallen behind or the disk refuses. What it points to
 * must stay until then. */
int store_commit(struct store *s, const struct store_change *change, struct error *err);
/* Writes change some time soon, before whatever is asked later; tries again where the disk refuses
 * it. For STORE_POD_SET and STORE_CONTAINER_SET: message is copied, reason is not. */
void store_later(struct store *s, const struct store_change *change);
/* [parks] Waits until all that was asked is written, and closes. */
void store_close(struct store *s);
/* As kill -9 leaves it: what is not committed is lost. For the simulation. */
void store_abandon(struct store *s);
