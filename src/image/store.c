/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/config.h"
#include "image/reference.h"

static struct map *stored_map(struct image_store *s, bool layer)
{
    return layer ? &s->layers : &s->blobs;
}

static int stored_fd(const struct image_store *s, bool layer)
{
    return layer ? s->layers_fd : s->blobs_fd;
}

/* On disk the digits alone: a ':' would end an overlay's lower directory. */
static const char *stored_file(const char *digest)
{
    return digest + strlen("sha256:");
}

bool store_hold(struct image_store *s, bool layer, const char *digest)
{
    autounlock held = hold(&s->lock);
    struct stored *item = map_get(stored_map(s, layer), digest);
    if (item)
        item->users++;
    return item;
}

void store_release(struct image_store *s, bool layer, const char *digest)
{
    struct stored *item;
    {
        autounlock held = hold(&s->lock);
        item = map_get(stored_map(s, layer), digest);
        if (!item || --item->users)
            return;
        map_remove(stored_map(s, layer), digest);
    }
    /* a rename first: what a crash leaves half-removed is in ingest/, which is emptied at open */
    char trash[ID_LEN + 1];
    id_new(trash);
    if (renameat(stored_fd(s, layer), stored_file(digest), s->ingest_fd, trash) == 0)
        dir_remove(s->ingest_fd, trash, NULL);
    free(item);
}

int store_place(struct image_store *s, bool layer, const char *digest, uint64_t size, int from_dir,
                const char *from, struct error *err)
{
    if (store_hold(s, layer, digest))
        return dir_remove(from_dir, from, err);
    struct stored *item = calloc(1, sizeof *item);
    if (!item)
        return fail(err, ENOMEM, "keep %s", digest);
    *item = (struct stored){.layer = layer, .size = size, .users = 1};
    memcpy(item->digest, digest, DIGEST_TEXT);
    if (renameat(from_dir, from, stored_fd(s, layer), stored_file(digest)) < 0) {
        int code = errno;
        free(item);
        return fail(err, code, "keep %s", digest);
    }
    autounlock held = hold(&s->lock);
    if (map_add(stored_map(s, layer), item->digest, item) < 0) {
        free(item); /* the file is found without a count at the next open */
        return fail(err, ENOMEM, "keep %s", digest);
    }
    return 0;
}

int store_open_blob(struct image_store *s, const char *digest)
{
    int fd = openat(s->blobs_fd, stored_file(digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int store_read_blob(struct image_store *s, const char *digest, struct buffer *out,
                    struct error *err)
{
    size_t before = out->len;
    int r = file_read(s->blobs_fd, stored_file(digest), DOCUMENT_MAX, out, err);
    if (r < 0)
        return fail_in(err, r, "read blob %s", digest);
    char found[DIGEST_TEXT];
    digest_of(out->data + before, out->len - before, found);
    if (!str_eq(found, digest))
        return fail_plain(err, EUCLEAN, "blob %s is damaged: its content is %s", digest, found);
    return 0;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    image_unref(r->image);
    strv_free(r->blobs);
    map_done(&r->pins);
    free(r);
}

static void count_all(struct image_store *s, bool layer, char *const *digests)
{
    for (; *digests; digests++)
        ((struct stored *)map_get(stored_map(s, layer), *digests))->users++;
}

int store_add_record(struct image_store *s, struct image *image, char *const *blobs,
                     struct record **ret, struct error *err)
{
    uint64_t size = 0;
    for (char **c = image->layers; *c; c++) {
        const struct stored *layer = map_get(&s->layers, *c);
        if (!layer)
            return fail_plain(err, ENOENT, "image %s: its layer %s is missing", image->id, *c);
        size += layer->size;
    }
    for (char *const *b = blobs; *b; b++)
        if (!map_get(&s->blobs, *b))
            return fail_plain(err, ENOENT, "image %s: its blob %s is missing", image->id, *b);
    auto(record) struct record *r = calloc(1, sizeof *r);
    if (!r || !(r->blobs = strv_copy(blobs)))
        return fail(err, ENOMEM, "keep image %s", image->id);
    image->size = size;
    r->image = image_ref(image);
    memcpy(r->id, image->id, DIGEST_TEXT);
    if (map_add(&s->images, r->id, r) < 0)
        return fail(err, ENOMEM, "keep image %s", image->id);
    count_all(s, true, image->layers);
    count_all(s, false, blobs);
    *ret = take_ptr(&r);
    return 0;
}

int store_compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_retag(struct image_store *s, struct record *record)
{
    auto(strv) char **tags = calloc(1, sizeof *tags);
    const struct name *n;
    for (size_t i = 0; tags && (n = map_next(&s->names, &i));)
        if (n->record == record && strv_add(&tags, n->name) < 0)
            return -ENOMEM;
    if (!tags)
        return -ENOMEM;
    qsort(tags, strv_len(tags), sizeof *tags, store_compare_texts);
    struct image *image = config_retag(record->image, tags);
    if (!image)
        return -ENOMEM;
    image_unref(record->image);
    record->image = image;
    return 0;
}

int store_set_name(struct image_store *s, const char *name, struct record *record)
{
    struct name *n = map_get(&s->names, name);
    if (n) {
        n->record = record;
        return 0;
    }
    n = calloc(1, sizeof *n);
    if (!n || !(n->name = strdup(name)) || map_add(&s->names, n->name, n) < 0) {
        if (n)
            free(n->name);
        free(n);
        return -ENOMEM;
    }
    n->record = record;
    return 0;
}

void store_forget_record(struct image_store *s, struct record *record)
{
    struct name *n;
    for (size_t i = 0; (n = map_next(&s->names, &i));) {
        if (n->record != record)
            continue;
        map_remove(&s->names, n->name);
        free(n->name);
        free(n);
    }
    map_remove(&s->images, record->id);
}

static int find_by_digits(struct image_store *s, const char *digits, const char *reference,
                          struct record **ret, struct error *err)
{
    struct record *r, *found = NULL;
    for (size_t i = 0; (r = map_next(&s->images, &i));) {
        if (!str_after(stored_file(r->image->id), digits))
            continue;
        if (found)
            return fail_plain(err, EINVAL, "image id '%s' is ambiguous: %.19s and %.19s begin so",
                              reference, found->image->id, r->image->id);
        found = r;
    }
    if (!found)
        return fail_plain(err, ENOENT, "No such image: %s", reference);
    *ret = found;
    return 0;
}

static struct record *find_by_digest(struct image_store *s, const struct reference *name)
{
    struct record *r;
    for (size_t i = 0; (r = map_next(&s->images, &i));) {
        autofree char *full = str_format("%s@%s", name->repository, name->digest);
        for (char **d = r->image->digests; full && *d; d++)
            if (str_eq(*d, full))
                return r;
    }
    return NULL;
}

int store_find(struct image_store *s, const char *reference, struct record **ret, struct error *err)
{
    const char *digits = reference_id_digits(reference);
    auto(reference) struct reference name = {0};
    if (str_after(reference, "sha256:")) {
        if (!digits)
            return fail_plain(err, EINVAL, "'%.100s' is no image id", reference);
        return find_by_digits(s, digits, reference, ret, err);
    }
    int r = reference_parse(reference, &name, err);
    if (r < 0)
        return digits ? find_by_digits(s, digits, reference, ret, err) : r;
    autofree char *full = NULL;
    r = image_reference_expand(reference, &full, err);
    if (r < 0)
        return r;
    const struct name *n = map_get(&s->names, full);
    struct record *found = n ? n->record : name.digest ? find_by_digest(s, &name) : NULL;
    if (found) {
        *ret = found;
        return 0;
    }
    if (digits)
        return find_by_digits(s, digits, reference, ret, err);
    autofree char *familiar = image_reference_short(full);
    return fail_plain(err, ENOENT, "No such image: %s", str_or_empty(familiar));
}
