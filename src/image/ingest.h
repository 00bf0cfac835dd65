/* SPDX-License-Identifier: Apache-2.0 */
/* A change that adds to the store: everything is brought together under ingest/, then appears at
 * once or not at all.
 *
 *     auto(ingest) struct ingest in = {0};
 *     ingest_open(&in, store, err);       a directory of its own
 *     ingest_file(), ingest_blob(), ingest_layer(), ingest_image()
 *     ingest_commit(&in, err);            synced, renamed, in the database, in the index
 *
 * What the store has already is held from the moment it is wanted, so that nobody removes it
 * meanwhile. */
#pragma once

#include "image/manifest.h"
#include "image/store.h"

struct ingest_item {
    char digest[DIGEST_TEXT]; /* a blob's; a layer's chain id */
    char file[24];            /* its name below ingest's directory */
    uint64_t size;
    bool layer, held; /* held: it is in the store, and counted for this change */
};

struct ingest_image {
    struct image *image;
    char **blobs, **names;
};

struct ingest {
    struct image_store *store;
    int dir;
    char id[65];
    unsigned files;
    struct ingest_item *items;
    size_t item_count;
    struct ingest_image *images;
    size_t image_count;
};

int ingest_open(struct ingest *in, struct image_store *s, struct error *err);
void ingest_done(struct ingest *in);
CLEANUP_DONE(ingest, struct ingest);

/* A new empty file in the change's directory; the caller closes *ret_fd. */
int ingest_file(struct ingest *in, char file[24], int *ret_fd, struct error *err);
/* Makes file, whose content is digest, a blob of the change. */
int ingest_blob(struct ingest *in, const char *digest, const char *file, struct error *err);
/* As ingest_blob(), of text. digest is filled in. */
int ingest_text(struct ingest *in, const void *data, size_t len, char digest[DIGEST_TEXT],
                struct error *err);
/* A blob of the change or of the store, to read. The caller closes; or -errno. */
int ingest_open_blob(struct ingest *in, const char *digest);
/* Unpacks a layer that fd holds, unless the change or the store has it. What it uncompresses to
 * must be diff_id either way. */
int ingest_layer(struct ingest *in, int fd, const char *diff_id, const char *chain_id,
                 struct error *err);
/* Takes a reference on image; copies blobs and names (expanded; may be NULL). */
int ingest_image(struct ingest *in, struct image *image, char *const *blobs, char *const *names,
                 struct error *err);
/* Keeps a blob or layer of the store as long as the change lasts. -ENOENT where it is gone. */
int ingest_hold(struct ingest *in, bool layer, const char *digest, struct error *err);
int ingest_commit(struct ingest *in, struct error *err);
