/* SPDX-License-Identifier: Apache-2.0 */
/* Loading archives. An archive's order is its writer's, and what says what is in it (index.json,
 * manifest.json) may come last: so its files are spooled first, each hashed as it comes. */
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/config.h"
#include "image/ingest.h"
#include "image/json.h"
#include "image/reference.h"
#include "image/tar.h"

enum { ARCHIVE_ENTRIES_MAX = 100000, INDEX_DEPTH_MAX = 4, LINK_DEPTH_MAX = 8, IMAGES_MAX = 1000 };

struct spooled {
    char *name;
    char *link; /* the name that this one stands for; NULL for a file */
    char file[24];
    char digest[DIGEST_TEXT];
    uint64_t size;
};

struct load {
    struct ingest in;
    struct map files; /* struct spooled */
    const struct image_progress *progress;
};

static void load_done(struct load *l)
{
    struct spooled *f;
    for (size_t i = 0; (f = map_next(&l->files, &i));) {
        free(f->name);
        free(f->link);
        free(f);
    }
    map_done(&l->files);
    ingest_done(&l->in);
}
CLEANUP_DONE(load, struct load);

static void report(const struct load *l, const char *id, const char *action, uint64_t done,
                   uint64_t total)
{
    if (l->progress)
        l->progress->update(l->progress->arg, id, action, done, total);
}

/* Spooling */

static int spool_data(struct load *l, struct tar_input *t, struct spooled *f, struct error *err)
{
    autoclose int fd = -1;
    auto(digester) struct digester digest = {0};
    if (digester_init(&digest) < 0)
        return fail(err, ENOMEM, "spool it");
    int r = ingest_file(&l->in, f->file, &fd, err);
    if (!r)
        r = tar_input_copy(t, fd, &digest, &f->size, err);
    if (!r)
        digester_text(&digest, f->digest);
    return r;
}

/* Where a symlink in the archive leads: old docker archives write a layer once and link to it. */
static int spool_link(struct spooled *f, const char *target, bool symlink, struct error *err)
{
    const char *slash = strrchr(f->name, '/');
    autofree char *path = symlink && slash && *target != '/'
                              ? str_format("%.*s/%s", (int)(slash - f->name), f->name, target)
                              : strdup(target);
    char shown[TAR_NAME_TEXT];
    int r = path ? tar_clean_path(path, &f->link, err) : fail(err, ENOMEM, "spool it");
    return r < 0 ? fail_in(err, r, "link to '%s'", tar_show_name(target, shown)) : 0;
}

static int spool_entry(struct load *l, struct tar_input *t, struct archive_entry *e,
                       struct error *err)
{
    autofree char *name = NULL;
    int r = tar_clean_path(archive_entry_pathname(e), &name, err);
    if (r < 0)
        return r;
    mode_t type = archive_entry_filetype(e);
    const char *hard = archive_entry_hardlink(e);
    if (!hard && type == AE_IFDIR)
        return 0;
    if (!hard && type != AE_IFREG && type != AE_IFLNK)
        return fail_plain(err, EINVAL, "it is neither file, directory nor link");
    struct spooled *f = map_get(&l->files, name);
    if (f) { /* the later one counts, as in any tar */
        free(take_ptr(&f->link));
    } else {
        f = calloc(1, sizeof *f);
        if (!f || !(f->name = strdup(name)) || map_add(&l->files, f->name, f) < 0) {
            if (f)
                free(f->name);
            free(f);
            return fail(err, ENOMEM, "spool it");
        }
    }
    if (hard || type == AE_IFLNK)
        return spool_link(f, hard ? hard : str_or_empty(archive_entry_symlink(e)), !hard, err);
    return spool_data(l, t, f, err);
}

static int spool(struct load *l, int fd, struct error *err)
{
    auto(tar_input) struct tar_input t = {0};
    struct archive_entry *e;
    char shown[TAR_NAME_TEXT], digest[DIGEST_TEXT];
    int r = tar_input_open(&t, fd, ARCHIVE_ENTRIES_MAX, err);
    if (r < 0)
        return r;
    while ((r = tar_input_next(&t, &e, err)) > 0) {
        r = spool_entry(l, &t, e, err);
        if (r < 0)
            return fail_in(err, r, "archive entry '%s'",
                           tar_show_name(archive_entry_pathname(e), shown));
    }
    return r < 0 ? r : tar_input_finish(&t, digest, err);
}

static struct spooled *find_file(const struct load *l, const char *name)
{
    struct spooled *f = map_get(&l->files, name);
    for (int i = 0; f && f->link && i < LINK_DEPTH_MAX; i++)
        f = map_get(&l->files, f->link);
    return f && !f->link ? f : NULL;
}

static int read_file(struct load *l, const struct spooled *f, struct buffer *out, struct error *err)
{
    char shown[TAR_NAME_TEXT];
    int r = file_read(l->in.dir, f->file, DOCUMENT_MAX, out, err);
    return r < 0 ? fail_in(err, r, "archive entry '%s'", tar_show_name(f->name, shown)) : 0;
}

/* A file of the layout's blobs/, which must be what its name says. */
static int find_blob(struct load *l, const char *digest, struct spooled **ret, struct error *err)
{
    autofree char *name = str_format("blobs/sha256/%s", str_after(digest, "sha256:"));
    struct spooled *f = name ? find_file(l, name) : NULL;
    if (!f)
        return fail_plain(err, ENOENT, "the archive has no blob %s", digest);
    if (!str_eq(f->digest, digest))
        return fail_plain(err, EINVAL,
                          "archive entry 'blobs/sha256/%s' is damaged: its content is %s",
                          str_after(digest, "sha256:"), f->digest);
    *ret = f;
    return ingest_blob(&l->in, digest, f->file, err);
}

/* Images */

static int unpack_layer(struct load *l, const struct spooled *f, const char *diff_id,
                        const char *chain_id, struct error *err)
{
    autoclose int fd = ingest_open_blob(&l->in, f->digest);
    char shown[TAR_NAME_TEXT];
    if (fd < 0)
        return fail(err, fd, "open blob %s", f->digest);
    report(l, diff_id, "Loading layer", 0, f->size);
    int r = ingest_layer(&l->in, fd, diff_id, chain_id, err);
    if (r < 0)
        return fail_in(err, r, "archive entry '%s'", tar_show_name(f->name, shown));
    report(l, diff_id, "Loading layer", f->size, f->size);
    return 0;
}

static int keep_image(struct load *l, struct image *image, char *const *blobs, char *const *names,
                      struct error *err)
{
    if (l->in.image_count >= IMAGES_MAX)
        return fail_plain(err, E2BIG, "the archive has more than %d images", IMAGES_MAX);
    return ingest_image(&l->in, image, blobs, names, err);
}

static int load_manifest(struct load *l, const char *digest, const struct manifest *m,
                         char *const *names, struct error *err)
{
    auto(image) struct image *image = NULL;
    auto(strv) char **diff_ids = NULL;
    auto(strv) char **blobs = NULL;
    auto(buffer) struct buffer text = {0};
    struct spooled *f;
    int r = find_blob(l, m->entries[0].digest, &f, err);
    if (!r)
        r = read_file(l, f, &text, err);
    if (!r)
        r = config_read(text.data, text.len, digest, &image, &diff_ids, err);
    if (r < 0)
        return r;
    if (strv_len(diff_ids) != m->count - 1)
        return fail_plain(err, EINVAL, "manifest %s has %zu layers, its config %zu", digest,
                          m->count - 1, strv_len(diff_ids));
    if (strv_add(&blobs, digest) < 0)
        return fail(err, ENOMEM, "load");
    for (size_t i = 0; i < m->count; i++) {
        r = find_blob(l, m->entries[i].digest, &f, err);
        if (!r && i)
            r = unpack_layer(l, f, diff_ids[i - 1], image->layers[i - 1], err);
        if (!r && strv_add(&blobs, m->entries[i].digest) < 0)
            r = fail(err, ENOMEM, "load");
        if (r < 0)
            return r;
    }
    return keep_image(l, image, blobs, names, err);
}

/* OCI layout */

/* The entries of one image: those with the same name. */
static bool same_image(const struct descriptor *a, const struct descriptor *b)
{
    return str_eq(str_or_empty(a->name), str_or_empty(b->name));
}

/* An entry for another platform is left out where there is one that fits better. */
static bool is_chosen(const struct manifest *index, size_t at)
{
    const struct descriptor *d = &index->entries[at];
    if (d->attestation)
        return false;
    if (!d->os)
        return true;
    int rank = platform_rank(d->os, d->architecture);
    for (size_t i = 0; i < index->count; i++) {
        const struct descriptor *other = &index->entries[i];
        if (same_image(d, other) && platform_rank(other->os, other->architecture) > rank)
            return false;
    }
    return rank > 0;
}

static int no_platform(const char *what, const struct manifest *index, struct error *err)
{
    auto(buffer) struct buffer has = {0};
    for (size_t i = 0; i < index->count && has.len < 300; i++)
        if (!index->entries[i].attestation && index->entries[i].os)
            buffer_printf(&has, "%s%.20s/%.20s", has.len ? ", " : "", index->entries[i].os,
                          str_or_empty(index->entries[i].architecture));
    return fail_plain(err, ENOENT, "%s has no image for linux/amd64 or wasi/wasm%s%s", what,
                      has.len ? ", but for " : "", buffer_text(&has));
}

/* index.json's name is the user's; a bare tag, which some tools write there, names nothing. */
static int index_names(const struct descriptor *d, char ***ret, struct error *err)
{
    if (!d->name || !strpbrk(d->name, ":/"))
        return 0;
    autofree char *full = NULL;
    int r = image_reference_expand(d->name, &full, err);
    if (!r && strv_add(ret, full) < 0)
        r = fail(err, ENOMEM, "load");
    return r < 0 ? fail_in(err, r, "index.json") : 0;
}

static int load_descriptor(struct load *l, const char *digest, char *const *names, int depth,
                           struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(manifest) struct manifest m = {0};
    struct spooled *f;
    if (depth > INDEX_DEPTH_MAX)
        return fail_plain(err, EINVAL, "index %s is nested deeper than %d", digest,
                          INDEX_DEPTH_MAX);
    int r = find_blob(l, digest, &f, err);
    if (!r)
        r = read_file(l, f, &text, err);
    if (!r)
        r = manifest_read(digest, text.data, text.len, &m, err);
    if (r < 0)
        return r;
    if (!m.index)
        return load_manifest(l, digest, &m, names, err);
    for (size_t i = 0; i < m.count; i++)
        if (is_chosen(&m, i))
            return load_descriptor(l, m.entries[i].digest, names, depth + 1, err);
    return no_platform(digest, &m, err);
}

static int load_layout(struct load *l, const struct spooled *index, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(manifest) struct manifest m = {0};
    int r = read_file(l, index, &text, err);
    if (!r)
        r = manifest_read("index.json", text.data, text.len, &m, err);
    if (!r && !m.index)
        return fail_plain(err, EINVAL, "index.json is no index");
    size_t chosen = 0;
    for (size_t i = 0; !r && i < m.count; i++) {
        if (!is_chosen(&m, i))
            continue;
        auto(strv) char **names = NULL;
        chosen++;
        r = index_names(&m.entries[i], &names, err);
        if (!r)
            r = load_descriptor(l, m.entries[i].digest, names, 1, err);
    }
    return !r && !chosen ? no_platform("index.json", &m, err) : r;
}

/* Docker archive */

static const char *layer_type(struct load *l, const struct spooled *f)
{
    unsigned char magic[4] = {0};
    autoclose int fd = ingest_open_blob(&l->in, f->digest);
    if (fd < 0 || read(fd, magic, sizeof magic) < 0)
        return MEDIA_LAYER;
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return MEDIA_LAYER_GZIP;
    return memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0 ? MEDIA_LAYER_ZSTD : MEDIA_LAYER;
}

/* A file that manifest.json names. Where its name is a digest, it must be right. */
static int find_named(struct load *l, const char *name, struct spooled **ret, struct error *err)
{
    autofree char *clean = NULL;
    char shown[TAR_NAME_TEXT];
    int r = tar_clean_path(str_or_empty(name), &clean, err);
    if (r < 0)
        return fail_in(err, r, "manifest.json: '%s'", tar_show_name(str_or_empty(name), shown));
    struct spooled *f = find_file(l, clean);
    if (!f)
        return fail_plain(err, ENOENT, "manifest.json names '%s', which the archive does not have",
                          tar_show_name(clean, shown));
    const char *hex = str_after(clean, "blobs/sha256/");
    if (!hex && strlen(clean) == 69 && str_ends(clean, ".json"))
        hex = clean;
    if (hex && strncmp(hex, str_after(f->digest, "sha256:"), 64) != 0)
        return fail_plain(err, EINVAL, "archive entry '%s' is damaged: its content is %s",
                          tar_show_name(clean, shown), f->digest);
    *ret = f;
    return ingest_blob(&l->in, f->digest, f->file, err);
}

static int docker_names(json_object *entry, char ***ret, struct error *err)
{
    auto(strv) char **tags = json_texts(entry, "RepoTags");
    for (size_t i = 0; tags && tags[i]; i++) {
        autofree char *full = NULL;
        int r = image_reference_expand(tags[i], &full, err);
        if (r < 0)
            return fail_in(err, r, "manifest.json");
        if (strv_add(ret, full) < 0)
            return fail(err, ENOMEM, "load");
    }
    return 0;
}

/* An image that index.json brought already gets manifest.json's names as well. True where it was
 * there. */
static bool add_names(struct load *l, const char *config_digest, char *const *names)
{
    for (size_t i = 0; i < l->in.image_count; i++) {
        struct ingest_image *image = &l->in.images[i];
        if (!str_eq(image->image->id, config_digest))
            continue;
        for (char *const *n = names; n && *n; n++) {
            bool there = false;
            for (char **have = image->names; *have; have++)
                there = there || str_eq(*have, *n);
            if (!there)
                strv_add(&image->names, *n);
        }
        return true;
    }
    return false;
}

/* The layers' files in order: unpacks each and appends it to blobs and to list. */
static int load_docker_layers(struct load *l, json_object *entry, const struct image *image,
                              char *const *diff_ids, char ***blobs, struct manifest_blob *list,
                              struct error *err)
{
    auto(strv) char **layers = json_texts(entry, "Layers");
    size_t n = strv_len(diff_ids);
    if (strv_len(layers) != n)
        return fail_plain(err, EINVAL, "manifest.json has %zu layers, the config %s %zu",
                          strv_len(layers), image->id, n);
    for (size_t i = 0; i < n; i++) {
        struct spooled *f;
        int r = find_named(l, layers[i], &f, err);
        if (!r)
            r = unpack_layer(l, f, diff_ids[i], image->layers[i], err);
        if (!r && strv_add(blobs, f->digest) < 0)
            r = fail(err, ENOMEM, "load");
        if (r < 0)
            return r;
        list[i] = (struct manifest_blob){.media_type = layer_type(l, f), .size = f->size};
        memcpy(list[i].digest, f->digest, DIGEST_TEXT);
    }
    return 0;
}

static int load_docker_config(struct load *l, json_object *entry, const struct spooled *config,
                              char *const *names, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(strv) char **diff_ids = NULL;
    auto(strv) char **blobs = NULL;
    auto(image) struct image *image = NULL;
    int r = read_file(l, config, &text, err);
    if (!r)
        r = config_read(text.data, text.len, "", &image, &diff_ids, err);
    if (r < 0)
        return r;
    struct manifest_blob described = {.media_type = MEDIA_CONFIG, .size = config->size};
    memcpy(described.digest, config->digest, DIGEST_TEXT);
    size_t n = strv_len(diff_ids);
    autofree struct manifest_blob *list = calloc(n + 1, sizeof *list);
    if (!list || strv_add(&blobs, config->digest) < 0)
        return fail(err, ENOMEM, "load");
    r = load_docker_layers(l, entry, image, diff_ids, &blobs, list, err);
    if (r < 0)
        return r;
    char digest[DIGEST_TEXT];
    buffer_clear(&text);
    if (manifest_write(&described, list, n, &text) < 0)
        return fail(err, ENOMEM, "load");
    r = ingest_text(&l->in, text.data, text.len, digest, err);
    if (r < 0)
        return r;
    free(image->manifest_digest);
    image->manifest_digest = strdup(digest);
    if (!image->manifest_digest || strv_add(&blobs, digest) < 0)
        return fail(err, ENOMEM, "load");
    return keep_image(l, image, blobs, names, err);
}

static int load_docker_image(struct load *l, json_object *entry, struct error *err)
{
    auto(strv) char **names = NULL;
    struct spooled *config;
    int r = docker_names(entry, &names, err);
    if (!r)
        r = find_named(l, json_text(entry, "Config"), &config, err);
    if (r < 0 || add_names(l, config->digest, names))
        return r;
    return load_docker_config(l, entry, config, names, err);
}

static int load_docker(struct load *l, const struct spooled *list, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(json) json_object *o = NULL;
    int r = read_file(l, list, &text, err);
    if (!r)
        r = json_parse("manifest.json", text.data, text.len, &o, err);
    if (!r && (!json_object_is_type(o, json_type_array) || !json_length(o)))
        return fail_plain(err, EINVAL, "manifest.json is no list of images");
    for (size_t i = 0; !r && i < json_length(o); i++)
        r = load_docker_image(l, json_object_array_get_idx(o, i), err);
    return r;
}

static int load_spooled(struct load *l, struct error *err)
{
    struct spooled *index = find_file(l, "index.json"), *list = find_file(l, "manifest.json");
    if (!index && !list)
        return fail_plain(err, EINVAL,
                          "the archive has neither index.json (OCI layout) nor manifest.json "
                          "(docker save): it is no image");
    int r = index ? load_layout(l, index, err) : 0;
    return !r && list ? load_docker(l, list, err) : r;
}

/* What was loaded, for who asked: names, or the id of what has none. */
static int list_names(const struct load *l, char ***ret, struct error *err)
{
    for (size_t i = 0; i < l->in.image_count; i++) {
        const struct ingest_image *image = &l->in.images[i];
        int r = *image->names ? 0 : strv_add(ret, image->image->id);
        for (char **n = image->names; !r && *n; n++)
            r = strv_add(ret, *n);
        if (r < 0)
            return fail(err, r, "load");
    }
    return 0;
}

int image_load(struct image_store *s, int fd, const struct image_progress *progress,
               char ***ret_names, struct error *err)
{
    auto(load) struct load l = {.progress = progress};
    auto(strv) char **names = NULL;
    int r = ingest_open(&l.in, s, err);
    if (!r)
        r = spool(&l, fd, err);
    if (!r)
        r = load_spooled(&l, err);
    if (!r)
        r = list_names(&l, &names, err);
    if (!r)
        r = ingest_commit(&l.in, err);
    if (r < 0)
        return fail_in(err, r, "load image");
    *ret_names = take_ptr(&names);
    return 0;
}
