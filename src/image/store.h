/* SPDX-License-Identifier: Apache-2.0 */
/* The store's insides, shared by the files of this folder.
 *
 * Blobs and layers are counted: an image has each of its own once, a change under way (struct
 * ingest) holds what it needs. At zero they are renamed into ingest/ and removed there. What is on
 * disk and has no count at open is left over from a crash and removed.
 *
 * Locks. `write` serialises changes of disk and database; it is taken before `lock`. `lock` guards
 * the maps and counts and is held for no more than that, never over I/O, so that readers answer at
 * once. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "image/digest.h"
#include "image/image.h"

enum { DOCUMENT_MAX = 8 << 20 /* bytes of a manifest, index or config */ };

struct stored {               /* a blob or a layer */
    char digest[DIGEST_TEXT]; /* of the blob; the layer's chain id */
    bool layer;
    uint64_t size; /* a layer's: bytes of its files */
    unsigned users;
};

struct record {
    char id[DIGEST_TEXT];
    struct image *image;
    char **blobs;    /* manifest, config, layers */
    struct map pins; /* who uses it: each key is its value, and not ours */
};

struct name {
    char *name; /* expanded */
    struct record *record;
};

struct image_store {
    char *dir;
    int dir_fd, blobs_fd, layers_fd, ingest_fd, lock_fd;
    struct sqlite3 *db;
    pthread_mutex_t write, lock;
    struct map blobs, layers; /* struct stored */
    struct map images;        /* struct record by id */
    struct map names;         /* struct name */
};

static inline void cleanup_locked(pthread_mutex_t **m)
{
    if (*m)
        pthread_mutex_unlock(*m);
}
/* Holds to the end of the scope: autounlock held = hold(&s->lock); */
#define autounlock __attribute__((cleanup(cleanup_locked), unused)) pthread_mutex_t *
static inline pthread_mutex_t *hold(pthread_mutex_t *m)
{
    pthread_mutex_lock(m);
    return m;
}

/* Counts one user more. False where the store has it not. */
bool store_hold(struct image_store *s, bool layer, const char *digest);
/* Counts one user less and removes what has none. `write` is held. */
void store_release(struct image_store *s, bool layer, const char *digest);
/* Moves a synced file or directory of ingest/ to its final name, or drops it where the store has it
 * already; counts a user either way. `write` is held. */
int store_place(struct image_store *s, bool layer, const char *digest, uint64_t size, int from_dir,
                const char *from, struct error *err);

/* Adds an image whose blobs and layers the store has; takes counts on them. The index only. `lock`
 * is held. image->size is set. Takes a reference on image. */
int store_add_record(struct image_store *s, struct image *image, char *const *blobs,
                     struct record **ret, struct error *err);
/* Points a name to a record, in the index only. `lock` is held. */
int store_set_name(struct image_store *s, const char *name, struct record *record);
/* Makes record's image anew with the names that point to it. `lock` is held. */
int store_retag(struct image_store *s, struct record *record);
/* Takes the record out of the index. Its counts are the caller's to release, without `lock`. `lock`
 * is held. */
void store_forget_record(struct image_store *s, struct record *record);
void record_free(struct record *r);
CLEANUP_FREE(record, struct record);

/* A blob as a whole, appended to out; its digest is checked. */
int store_read_blob(struct image_store *s, const char *digest, struct buffer *out,
                    struct error *err);
/* -errno; the caller closes. */
int store_open_blob(struct image_store *s, const char *digest);
/* For qsort() of strings. */
int store_compare_texts(const void *a, const void *b);
/* Finds the record of a reference. `lock` is held. */
int store_find(struct image_store *s, const char *reference, struct record **ret,
               struct error *err);
