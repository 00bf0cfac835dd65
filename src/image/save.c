/* SPDX-License-Identifier: Apache-2.0 */
/* Saving: one tar that is a docker archive (manifest.json) and an OCI layout (index.json) over the
 * same blobs. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/ingest.h"
#include "image/json.h"
#include "image/reference.h"

struct save {
    struct ingest in; /* holds what is written */
    struct archive *tar;
    json_object *index, *list; /* index.json's manifests, manifest.json */
    struct map written;        /* digests, of in's images */
};

static void save_done(struct save *s)
{
    archive_write_free(s->tar);
    json_object_put(s->index);
    json_object_put(s->list);
    map_done(&s->written);
    ingest_done(&s->in);
}
CLEANUP_DONE(save, struct save);

static int tar_fail(struct save *s, struct error *err)
{
    int code = archive_errno(s->tar);
    return fail_plain(err, code > 0 ? code : EIO, "write the archive: %s",
                      str_or_empty(archive_error_string(s->tar)));
}

static int put_header(struct save *s, const char *name, mode_t type, int64_t size,
                      struct error *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        return fail(err, ENOMEM, "write the archive");
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, type | (type == S_IFDIR ? 0755 : 0644));
    archive_entry_set_size(e, size);
    archive_entry_set_mtime(e, 0, 0); /* the same images are the same bytes */
    int r = archive_write_header(s->tar, e);
    archive_entry_free(e);
    return r == ARCHIVE_OK ? 0 : tar_fail(s, err);
}

static int put_text(struct save *s, const char *name, const struct buffer *text, struct error *err)
{
    int r = put_header(s, name, S_IFREG, (int64_t)text->len, err);
    if (!r && archive_write_data(s->tar, text->data, text->len) < 0)
        r = tar_fail(s, err);
    return r;
}

static int put_blob(struct save *s, const char *digest, struct error *err)
{
    enum { CHUNK = 256 * 1024 };
    autofree char *name = str_format("blobs/sha256/%s", str_after(digest, "sha256:"));
    autofree char *chunk = malloc(CHUNK);
    autoclose int fd = ingest_open_blob(&s->in, digest);
    struct stat st;
    if (!name || !chunk)
        return fail(err, ENOMEM, "write the archive");
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, fd < 0 ? fd : errno, "open blob %s", digest);
    int r = put_header(s, name, S_IFREG, st.st_size, err);
    for (ssize_t n; !r && (n = read(fd, chunk, CHUNK));) {
        if (n < 0)
            r = fail(err, errno, "read blob %s", digest);
        else if (archive_write_data(s->tar, chunk, (size_t)n) < 0)
            r = tar_fail(s, err);
    }
    return r;
}

static json_object *manifest_descriptor(const char *digest, uint64_t size, const char *name)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "mediaType", json_string(MEDIA_MANIFEST));
    json_object_object_add(o, "digest", json_string(digest));
    json_object_object_add(o, "size", json_object_new_uint64(size));
    if (name) {
        json_object *notes = json_object_new_object();
        json_object_object_add(notes, "io.containerd.image.name", json_string(name));
        const char *slash = strrchr(name, '/'), *colon = strrchr(slash ? slash : name, ':');
        json_object_object_add(notes, "org.opencontainers.image.ref.name",
                               json_string(colon ? colon + 1 : name));
        json_object_object_add(o, "annotations", notes);
    }
    return o;
}

/* The entry of manifest.json, and one of index.json for each name. */
static int describe(struct save *s, const struct image *image, char *const *names,
                    struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(manifest) struct manifest m = {0};
    int r = store_read_blob(s->in.store, image->manifest_digest, &text, err);
    if (!r)
        r = manifest_read(image->manifest_digest, text.data, text.len, &m, err);
    if (r < 0)
        return r;
    json_object *entry = json_object_new_object(), *layers = json_object_new_array(),
                *tags = json_object_new_array();
    json_object_array_add(s->list, entry);
    for (size_t i = 0; i < m.count; i++) {
        autofree char *path =
            str_format("blobs/sha256/%s", str_after(m.entries[i].digest, "sha256:"));
        if (!i)
            json_object_object_add(entry, "Config", json_string(path));
        else
            json_object_array_add(layers, json_string(path));
    }
    for (char *const *n = names; *n; n++) {
        autofree char *familiar = image_reference_short(*n);
        json_object_array_add(tags, json_string(familiar));
        json_object_array_add(s->index, manifest_descriptor(image->manifest_digest, text.len, *n));
    }
    if (!*names)
        json_object_array_add(s->index,
                              manifest_descriptor(image->manifest_digest, text.len, NULL));
    json_object_object_add(entry, "RepoTags", *names ? tags : NULL);
    if (!*names)
        json_object_put(tags);
    json_object_object_add(entry, "Layers", layers);
    return 0;
}

/* Finds what a reference names, and holds it. The same image by several names is one. */
static int take_reference(struct save *s, const char *reference, struct error *err)
{
    struct image_store *store = s->in.store;
    auto(image) struct image *image = NULL;
    auto(strv) char **blobs = NULL;
    autofree char *full = NULL;
    {
        autounlock held = hold(&store->lock);
        struct record *record;
        int r = store_find(store, reference, &record, err);
        if (r < 0)
            return r;
        image = image_ref(record->image);
        blobs = strv_copy(record->blobs);
    }
    for (size_t i = 0; blobs && blobs[i]; i++) {
        int r = ingest_hold(&s->in, false, blobs[i], err);
        if (r < 0)
            return r;
    }
    bool named = image_reference_expand(reference, &full, NULL) == 0 && !strchr(full, '@');
    bool is_tag = false;
    for (char **t = image->tags; named && *t; t++)
        is_tag = is_tag || str_eq(*t, full);
    char *names[2] = {is_tag ? full : NULL, NULL};
    for (size_t i = 0; i < s->in.image_count; i++)
        if (str_eq(s->in.images[i].image->id, image->id))
            return is_tag && strv_add(&s->in.images[i].names, full) < 0 ? fail(err, ENOMEM, "save")
                                                                        : 0;
    return blobs ? ingest_image(&s->in, image, blobs, names, err) : fail(err, ENOMEM, "save");
}

static int put_image(struct save *s, const struct ingest_image *image, struct error *err)
{
    for (char **b = image->blobs; *b; b++) {
        if (map_get(&s->written, *b))
            continue;
        int r = put_blob(s, *b, err);
        if (!r && map_add(&s->written, *b, *b) < 0)
            r = fail(err, ENOMEM, "save");
        if (r < 0)
            return r;
    }
    return describe(s, image->image, image->names, err);
}

static int put_documents(struct save *s, struct error *err)
{
    auto(json) json_object *index = json_object_new_object();
    auto(buffer) struct buffer text = {0};
    json_object_object_add(index, "schemaVersion", json_object_new_int(2));
    json_object_object_add(index, "mediaType", json_string(MEDIA_INDEX));
    json_object_object_add(index, "manifests", json_object_get(s->index));
    int r = json_print(index, &text);
    r = r < 0 ? fail(err, r, "save") : put_text(s, "index.json", &text, err);
    buffer_clear(&text);
    if (!r && (r = json_print(s->list, &text)) < 0)
        r = fail(err, r, "save");
    if (!r)
        r = put_text(s, "manifest.json", &text, err);
    buffer_clear(&text);
    if (!r && (r = buffer_puts(&text, "{\"imageLayoutVersion\":\"1.0.0\"}\n")) < 0)
        r = fail(err, r, "save");
    return r < 0 ? r : put_text(s, "oci-layout", &text, err);
}

static la_ssize_t write_out(struct archive *a, void *arg, const void *data, size_t len)
{
    int r = fd_write_all(*(int *)arg, data, len);
    if (r < 0) {
        archive_set_error(a, -r, "%s", strerror(-r));
        return -1;
    }
    return (la_ssize_t)len;
}

int image_save(struct image_store *store, char *const *references, int fd, struct error *err)
{
    auto(save) struct save s = {0};
    int r = ingest_open(&s.in, store, err);
    for (char *const *ref = references; !r && *ref; ref++)
        r = take_reference(&s, *ref, err);
    if (r < 0)
        return fail_in(err, r, "save image");
    s.tar = archive_write_new();
    s.index = json_object_new_array();
    s.list = json_object_new_array();
    if (!s.tar || archive_write_set_format_pax_restricted(s.tar) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(s.tar, 1) != ARCHIVE_OK ||
        archive_write_open(s.tar, &fd, NULL, write_out, NULL) != ARCHIVE_OK)
        return fail(err, ENOMEM, "save image");
    r = put_header(&s, "blobs/", S_IFDIR, 0, err);
    if (!r)
        r = put_header(&s, "blobs/sha256/", S_IFDIR, 0, err);
    for (size_t i = 0; !r && i < s.in.image_count; i++)
        r = put_image(&s, &s.in.images[i], err);
    if (!r)
        r = put_documents(&s, err);
    if (!r && archive_write_close(s.tar) != ARCHIVE_OK)
        r = tar_fail(&s, err);
    return r < 0 ? fail_in(err, r, "save image") : 0;
}
