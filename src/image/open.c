/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store: the index is read from the database and the documents, what nothing names is
 * removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/config.h"
#include "image/db.h"
#include "image/manifest.h"
#include "image/store.h"

static int open_dir(int dir, const char *path, int *ret, struct error *err)
{
    int r = dir_make(dir, path, 0700, err);
    if (r < 0)
        return r;
    *ret = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? fail(err, errno, "open '%s'", path) : 0;
}

static int open_dirs(struct image_store *s, const char *dir, struct error *err)
{
    int r = open_dir(AT_FDCWD, dir, &s->dir_fd, err);
    if (r < 0)
        return r;
    s->dir = realpath(dir, NULL);
    s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!s->dir || s->lock_fd < 0)
        return fail(err, errno, "open the lock of image store '%s'", dir);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fail_plain(err, EBUSY, "image store '%s' is in use by another process", dir);
    r = open_dir(s->dir_fd, "blobs/sha256", &s->blobs_fd, err);
    if (!r)
        r = open_dir(s->dir_fd, "layers", &s->layers_fd, err);
    if (!r)
        r = open_dir(s->dir_fd, "ingest", &s->ingest_fd, err);
    return r;
}

/* Removes each entry of a directory that wanted (NULL: none) has no count for. */
static int sweep(int dir, const struct map *wanted, struct error *err)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        close_fd(&fd);
        return fail(err, errno, "look for what a crash left");
    }
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));) {
        char digest[DIGEST_TEXT];
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        snprintf(digest, sizeof digest, "sha256:%.64s", e->d_name);
        if (!wanted || strlen(e->d_name) != 64 || !map_get(wanted, digest))
            r = dir_remove(dir, e->d_name, err);
    }
    closedir(d);
    return r;
}

static int add_stored(struct map *map, bool layer, const char *digest, uint64_t size)
{
    if (map_get(map, digest))
        return 0;
    struct stored *item = calloc(1, sizeof *item);
    if (!item)
        return -ENOMEM;
    item->layer = layer;
    item->size = size;
    snprintf(item->digest, sizeof item->digest, "%s", digest);
    int r = map_add(map, item->digest, item);
    if (r < 0)
        free(item);
    return r;
}

static bool is_there(int dir, const char *digest)
{
    struct stat st;
    return fstatat(dir, digest + strlen("sha256:"), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int layer_row(void *arg, const char *chain, const char *size, struct error *err)
{
    struct image_store *s = arg;
    if (strlen(chain) != DIGEST_TEXT - 1 || !is_there(s->layers_fd, chain))
        return 0;
    int r = add_stored(&s->layers, true, chain, strtoull(size, NULL, 10));
    return r < 0 ? fail(err, r, "read images.db") : 0;
}

static int load_image(struct image_store *s, const char *id, const char *manifest_digest,
                      struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(manifest) struct manifest m = {0};
    auto(image) struct image *image = NULL;
    auto(strv) char **diff_ids = NULL;
    auto(strv) char **blobs = NULL;
    int r = store_read_blob(s, manifest_digest, &text, err);
    if (!r)
        r = manifest_read(manifest_digest, text.data, text.len, &m, err);
    if (r < 0)
        return r;
    buffer_clear(&text);
    r = store_read_blob(s, id, &text, err);
    if (!r)
        r = config_read(text.data, text.len, manifest_digest, &image, &diff_ids, err);
    if (!r)
        r = strv_add(&blobs, manifest_digest);
    for (size_t i = 0; !r && i < m.count; i++) {
        const char *digest = m.entries[i].digest;
        if (!is_there(s->blobs_fd, digest))
            return fail_plain(err, ENOENT, "its blob %s is missing", digest);
        r = strv_add(&blobs, digest);
    }
    for (size_t i = 0; !r && blobs[i]; i++)
        r = add_stored(&s->blobs, false, blobs[i], 0);
    if (r < 0)
        return err->code ? r : fail(err, r, "load image %s", id);
    struct record *record;
    r = store_add_record(s, image, blobs, &record, err);
    return r < 0 ? r : store_retag(s, record);
}

/* An image that is damaged must not keep the engine from starting: it is left out, and said. */
static int image_row(void *arg, const char *id, const char *manifest_digest, struct error *err)
{
    struct image_store *s = arg;
    struct error why = {0};
    if (strlen(id) == DIGEST_TEXT - 1 && strlen(manifest_digest) == DIGEST_TEXT - 1 &&
        load_image(s, id, manifest_digest, &why) == 0)
        return 0;
    diag_warning("image %.80s is removed: %s", id, why.message);
    (void)err;
    return 0;
}

static int name_row(void *arg, const char *name, const char *id, struct error *err)
{
    struct image_store *s = arg;
    struct record *record = map_get(&s->images, id);
    if (!record)
        return 0;
    int r = store_set_name(s, name, record);
    return r < 0 ? fail(err, r, "read images.db") : 0;
}

struct forget {
    struct image_store *s;
    char **missing;
};

static int missing_row(void *arg, const char *id, const char *unused, struct error *err)
{
    struct forget *f = arg;
    (void)unused;
    if (map_get(&f->s->images, id))
        return 0;
    return strv_add(&f->missing, id) < 0 ? fail(err, ENOMEM, "read images.db") : 0;
}

/* Takes out of the database what could not be loaded. */
static int forget_missing(struct image_store *s, struct error *err)
{
    struct forget f = {.s = s};
    int r = db_each(s->db, "SELECT id, '' FROM images", missing_row, &f, err);
    for (size_t i = 0; !r && f.missing && f.missing[i]; i++) {
        r = db_do(s->db, err, "DELETE FROM names WHERE image=?1", f.missing[i]);
        if (!r)
            r = db_do(s->db, err, "DELETE FROM images WHERE id=?1", f.missing[i]);
    }
    strv_free(f.missing);
    return r;
}

/* A layer or blob that is there and that no image counts. */
static void drop_unused(struct map *map)
{
    struct stored *item;
    for (size_t i = 0; (item = map_next(map, &i));)
        if (!item->users) {
            map_remove(map, item->digest);
            free(item);
        }
}

static int read_index(struct image_store *s, struct error *err)
{
    int r = db_each(s->db, "SELECT chain, size FROM layers", layer_row, s, err);
    if (!r)
        r = db_each(s->db, "SELECT id, manifest FROM images", image_row, s, err);
    if (!r)
        r = db_each(s->db, "SELECT name, image FROM names", name_row, s, err);
    struct record *record;
    for (size_t i = 0; !r && (record = map_next(&s->images, &i));)
        r = store_retag(s, record);
    if (!r)
        r = forget_missing(s, err);
    if (r < 0)
        return r;
    drop_unused(&s->layers);
    drop_unused(&s->blobs);
    r = sweep(s->ingest_fd, NULL, err);
    if (!r)
        r = sweep(s->blobs_fd, &s->blobs, err);
    if (!r)
        r = sweep(s->layers_fd, &s->layers, err);
    return r;
}

int image_store_open(struct image_store **ret, const char *dir, struct error *err)
{
    auto(image_store) struct image_store *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "open image store '%s'", dir);
    s->dir_fd = s->blobs_fd = s->layers_fd = s->ingest_fd = s->lock_fd = -1;
    pthread_mutex_init(&s->write, NULL);
    pthread_mutex_init(&s->lock, NULL);
    int r = open_dirs(s, dir, err);
    autofree char *path = r < 0 ? NULL : str_format("%s/images.db", s->dir);
    if (!r && !path)
        r = fail(err, ENOMEM, "open image store");
    if (!r)
        r = db_open(path, &s->db, err);
    if (!r)
        r = read_index(s, err);
    if (r < 0)
        return fail_in(err, r, "open image store '%s'", dir);
    *ret = take_ptr(&s);
    return 0;
}

static void free_stored(struct map *map)
{
    void *item;
    for (size_t i = 0; (item = map_next(map, &i));)
        free(item);
    map_done(map);
}

void image_store_free(struct image_store *s)
{
    if (!s)
        return;
    struct record *record;
    struct name *name;
    for (size_t i = 0; (record = map_next(&s->images, &i));)
        record_free(record);
    for (size_t i = 0; (name = map_next(&s->names, &i));) {
        free(name->name);
        free(name);
    }
    map_done(&s->images);
    map_done(&s->names);
    free_stored(&s->blobs);
    free_stored(&s->layers);
    db_close(s->db);
    close_fd(&s->dir_fd);
    close_fd(&s->blobs_fd);
    close_fd(&s->layers_fd);
    close_fd(&s->ingest_fd);
    close_fd(&s->lock_fd);
    pthread_mutex_destroy(&s->write);
    pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}
