/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/db.h"
#include "image/extract.h"
#include "image/tar.h"

enum { LAYER_ENTRIES_MAX = 2000000 };

int ingest_open(struct ingest *in, struct image_store *s, struct error *err)
{
    *in = (struct ingest){.store = s, .dir = -1};
    id_new(in->id);
    if (mkdirat(s->ingest_fd, in->id, 0700) < 0)
        return fail(err, errno, "make a directory in '%s/ingest'", s->dir);
    in->dir = openat(s->ingest_fd, in->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return in->dir < 0 ? fail(err, errno, "open '%s/ingest/%s'", s->dir, in->id) : 0;
}

void ingest_done(struct ingest *in)
{
    if (!in->store)
        return;
    {
        autounlock writing = hold(&in->store->write);
        for (size_t i = 0; i < in->item_count; i++)
            if (in->items[i].held)
                store_release(in->store, in->items[i].layer, in->items[i].digest);
    }
    close_fd(&in->dir);
    dir_remove(in->store->ingest_fd, in->id, NULL);
    for (size_t i = 0; i < in->image_count; i++) {
        image_unref(in->images[i].image);
        strv_free(in->images[i].blobs);
        strv_free(in->images[i].names);
    }
    free(in->items);
    free(in->images);
    *in = (struct ingest){.dir = -1};
}

static void next_file(struct ingest *in, char file[24])
{
    snprintf(file, 24, "%u", in->files++);
}

int ingest_file(struct ingest *in, char file[24], int *ret_fd, struct error *err)
{
    next_file(in, file);
    *ret_fd = openat(in->dir, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *ret_fd < 0 ? fail(err, errno, "make a file in '%s/ingest'", in->store->dir) : 0;
}

static struct ingest_item *find_item(struct ingest *in, bool layer, const char *digest)
{
    for (size_t i = 0; i < in->item_count; i++)
        if (in->items[i].layer == layer && str_eq(in->items[i].digest, digest))
            return &in->items[i];
    return NULL;
}

static struct ingest_item *add_item(struct ingest *in, bool layer, const char *digest)
{
    struct ingest_item *items = realloc(in->items, (in->item_count + 1) * sizeof *items);
    if (!items)
        return NULL;
    in->items = items;
    struct ingest_item *item = &items[in->item_count++];
    *item = (struct ingest_item){.layer = layer};
    memcpy(item->digest, digest, DIGEST_TEXT);
    return item;
}

/* Whether the change or the store has it; *ret_item is NULL where memory is out. */
static bool want(struct ingest *in, bool layer, const char *digest, struct ingest_item **ret_item)
{
    *ret_item = find_item(in, layer, digest);
    if (*ret_item)
        return true;
    *ret_item = add_item(in, layer, digest);
    if (*ret_item)
        (*ret_item)->held = store_hold(in->store, layer, digest);
    return *ret_item && (*ret_item)->held;
}

int ingest_blob(struct ingest *in, const char *digest, const char *file, struct error *err)
{
    struct ingest_item *item;
    if (!want(in, false, digest, &item) && item)
        snprintf(item->file, sizeof item->file, "%s", file);
    return item ? 0 : fail(err, ENOMEM, "keep blob %s", digest);
}

int ingest_hold(struct ingest *in, bool layer, const char *digest, struct error *err)
{
    struct ingest_item *item;
    if (want(in, layer, digest, &item))
        return 0;
    if (!item)
        return fail(err, ENOMEM, "keep %s", digest);
    in->item_count--;
    return fail_plain(err, ENOENT, "%s %s has just been removed", layer ? "layer" : "blob", digest);
}

int ingest_text(struct ingest *in, const void *data, size_t len, char digest[DIGEST_TEXT],
                struct error *err)
{
    char file[24];
    autoclose int fd = -1;
    int r = ingest_file(in, file, &fd, err);
    if (r < 0)
        return r;
    r = fd_write_all(fd, data, len);
    if (r < 0)
        return fail(err, r, "write into '%s/ingest'", in->store->dir);
    digest_of(data, len, digest);
    return ingest_blob(in, digest, file, err);
}

int ingest_open_blob(struct ingest *in, const char *digest)
{
    const struct ingest_item *item = find_item(in, false, digest);
    if (!item)
        return -ENOENT;
    if (item->held)
        return store_open_blob(in->store, digest);
    int fd = openat(in->dir, item->file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int check_diff_id(struct tar_input *t, const char *diff_id, struct error *err)
{
    char digest[DIGEST_TEXT];
    int r = tar_input_finish(t, digest, err);
    if (r < 0)
        return r;
    if (!str_eq(digest, diff_id))
        return fail_plain(err, EINVAL, "its content is %s, the image's config says %s", digest,
                          diff_id);
    return 0;
}

static int unpack(struct ingest *in, struct tar_input *t, const char *diff_id,
                  struct ingest_item *item, struct error *err)
{
    static const struct extract_options options = {.layer = true};
    next_file(in, item->file);
    if (mkdirat(in->dir, item->file, 0755) < 0 || fchmodat(in->dir, item->file, 0755, 0) < 0)
        return fail(err, errno, "make a directory in '%s/ingest'", in->store->dir);
    autoclose int root = openat(in->dir, item->file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail(err, errno, "open a directory in '%s/ingest'", in->store->dir);
    int r = tar_extract(t, root, &options, &item->size, err);
    return r < 0 ? r : check_diff_id(t, diff_id, err);
}

int ingest_layer(struct ingest *in, int fd, const char *diff_id, const char *chain_id,
                 struct error *err)
{
    auto(tar_input) struct tar_input t = {0};
    struct ingest_item *item;
    bool there = want(in, true, chain_id, &item);
    if (!item)
        return fail(err, ENOMEM, "unpack layer %s", diff_id);
    int r = tar_input_open(&t, fd, LAYER_ENTRIES_MAX, err);
    if (!r)
        r = there ? check_diff_id(&t, diff_id, err) : unpack(in, &t, diff_id, item, err);
    return r < 0 ? fail_in(err, r, "layer %.19s", diff_id) : 0;
}

int ingest_image(struct ingest *in, struct image *image, char *const *blobs, char *const *names,
                 struct error *err)
{
    struct ingest_image *images = realloc(in->images, (in->image_count + 1) * sizeof *images);
    if (!images)
        return fail(err, ENOMEM, "keep image %s", image->id);
    in->images = images;
    struct ingest_image *i = &images[in->image_count++];
    *i = (struct ingest_image){image_ref(image), strv_copy(blobs), strv_copy(names)};
    return i->blobs && i->names ? 0 : fail(err, ENOMEM, "keep image %s", image->id);
}

static int place_items(struct ingest *in, struct error *err)
{
    struct image_store *s = in->store;
    if (syncfs(in->dir) < 0)
        return fail(err, errno, "sync '%s'", s->dir);
    for (size_t i = 0; i < in->item_count; i++) {
        struct ingest_item *item = &in->items[i];
        if (item->held)
            continue;
        int r = store_place(s, item->layer, item->digest, item->size, in->dir, item->file, err);
        if (r < 0)
            return r;
        item->held = true;
    }
    if (fsync(s->blobs_fd) < 0 || fsync(s->layers_fd) < 0)
        return fail(err, errno, "sync '%s'", s->dir);
    return 0;
}

static int record_layers(struct ingest *in, const struct image *image, struct error *err)
{
    int r = 0;
    for (char **c = image->layers; !r && *c; c++) {
        const struct ingest_item *item = find_item(in, true, *c);
        char size[24];
        snprintf(size, sizeof size, "%llu", (unsigned long long)(item ? item->size : 0));
        /* a layer that the store had keeps its size */
        r = db_do(in->store->db, err,
                  item && *item->file ? "INSERT OR REPLACE INTO layers VALUES(?1,?2)"
                                      : "INSERT OR IGNORE INTO layers VALUES(?1,?2)",
                  *c, size);
    }
    return r;
}

static int record_images(struct ingest *in, struct error *err)
{
    struct sqlite3 *db = in->store->db;
    int r = db_do(db, err, "BEGIN IMMEDIATE");
    for (size_t i = 0; !r && i < in->image_count; i++) {
        const struct ingest_image *image = &in->images[i];
        r = record_layers(in, image->image, err);
        if (!r)
            r = db_do(db, err, "INSERT OR IGNORE INTO images VALUES(?1,?2)", image->image->id,
                      image->image->manifest_digest);
        for (char **n = image->names; !r && *n; n++)
            r = db_do(db, err, "INSERT OR REPLACE INTO names VALUES(?1,?2)", *n, image->image->id);
    }
    if (!r)
        r = db_do(db, err, "COMMIT");
    if (r < 0)
        db_rollback(db);
    return r;
}

/* `lock` is held. */
static int index_images(struct ingest *in, struct error *err)
{
    struct image_store *s = in->store;
    for (size_t i = 0; i < in->image_count; i++) {
        const struct ingest_image *image = &in->images[i];
        struct record *record = map_get(&s->images, image->image->id);
        int r = 0;
        if (!record)
            r = store_add_record(s, image->image, image->blobs, &record, err);
        if (r < 0)
            return r;
        for (char **n = image->names; *n; n++) {
            const struct name *before = map_get(&s->names, *n);
            struct record *loser = before ? before->record : NULL;
            if (store_set_name(s, *n, record) < 0 || (loser && store_retag(s, loser) < 0))
                return fail(err, ENOMEM, "keep image %s", image->image->id);
        }
        if (store_retag(s, record) < 0)
            return fail(err, ENOMEM, "keep image %s", image->image->id);
    }
    return 0;
}

int ingest_commit(struct ingest *in, struct error *err)
{
    autounlock writing = hold(&in->store->write);
    int r = place_items(in, err);
    if (!r)
        r = record_images(in, err);
    if (r < 0)
        return r;
    autounlock held = hold(&in->store->lock);
    return index_images(in, err);
}
