/* SPDX-License-Identifier: Apache-2.0 */
/* New images, from a base and layers that a builder wrote. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/config.h"
#include "image/ingest.h"
#include "image/json.h"
#include "image/tar.h"

struct creation {
    struct ingest in;
    json_object *document; /* the base's config at first, then the new one */
    char **diff_ids;
    char **blobs;
    struct manifest_blob *layers;
    size_t count;
};

static void creation_done(struct creation *c)
{
    json_object_put(c->document);
    strv_free(c->diff_ids);
    strv_free(c->blobs);
    free(c->layers);
    ingest_done(&c->in);
}
CLEANUP_DONE(creation, struct creation);

static int add_layer(struct creation *c, const char *media_type, const char *digest,
                     const char *diff_id, struct error *err)
{
    if (c->count >= IMAGE_LAYERS_MAX)
        return fail_plain(err, E2BIG, "an image has at most %d layers", IMAGE_LAYERS_MAX);
    struct manifest_blob *layers = realloc(c->layers, (c->count + 1) * sizeof *layers);
    if (!layers)
        return fail(err, ENOMEM, "create an image");
    c->layers = layers;
    layers[c->count] = (struct manifest_blob){.media_type = media_type};
    memcpy(layers[c->count].digest, digest, DIGEST_TEXT);
    autoclose int fd = ingest_open_blob(&c->in, digest);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, fd < 0 ? fd : errno, "open blob %s", digest);
    layers[c->count++].size = (uint64_t)st.st_size;
    if (strv_add(&c->blobs, digest) < 0 || strv_add(&c->diff_ids, diff_id) < 0)
        return fail(err, ENOMEM, "create an image");
    return 0;
}

/* The base's layers, held so that they stay, and its config. */
static int take_base(struct creation *c, const struct image *base, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(manifest) struct manifest m = {0};
    auto(strv) char **diff_ids = NULL;
    struct image_store *s = c->in.store;
    int r = store_read_blob(s, base->manifest_digest, &text, err);
    if (!r)
        r = manifest_read(base->manifest_digest, text.data, text.len, &m, err);
    buffer_clear(&text);
    if (!r)
        r = store_read_blob(s, base->id, &text, err);
    if (!r)
        r = json_parse("the base's config", text.data, text.len, &c->document, err);
    if (r < 0)
        return r;
    diff_ids = json_texts(json_member(c->document, "rootfs", json_type_object), "diff_ids");
    if (m.index || m.count - 1 != strv_len(diff_ids))
        return fail_plain(err, EUCLEAN, "image %s is damaged", base->id);
    for (size_t i = 1; !r && i < m.count; i++) {
        const char *type = m.entries[i].media_type;
        r = ingest_hold(&c->in, false, m.entries[i].digest, err);
        if (!r)
            r = ingest_hold(&c->in, true, base->layers[i - 1], err);
        if (!r) /* the manifest is OCI's, so docker's types are written in OCI's words */
            r = add_layer(c,
                          str_ends(type, "gzip")   ? MEDIA_LAYER_GZIP
                          : str_ends(type, "zstd") ? MEDIA_LAYER_ZSTD
                                                   : MEDIA_LAYER,
                          m.entries[i].digest, diff_ids[i - 1], err);
    }
    return r;
}

static int copy_hashed(int from, int to, char digest[DIGEST_TEXT], struct error *err)
{
    enum { CHUNK = 256 * 1024 };
    autofree char *chunk = malloc(CHUNK);
    auto(digester) struct digester d = {0};
    if (!chunk || digester_init(&d) < 0)
        return fail(err, ENOMEM, "copy a layer");
    for (;;) {
        ssize_t n = read(from, chunk, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "read a layer");
        if (!n)
            break;
        digester_update(&d, chunk, (size_t)n);
        int r = fd_write_all(to, chunk, (size_t)n);
        if (r < 0)
            return fail(err, r, "write a layer");
    }
    digester_text(&d, digest);
    return 0;
}

static int take_layer(struct creation *c, int fd, char chain[DIGEST_TEXT], struct error *err)
{
    autoclose int to = -1;
    char file[24], digest[DIGEST_TEXT], parent[DIGEST_TEXT];
    int r = ingest_file(&c->in, file, &to, err);
    if (!r)
        r = copy_hashed(fd, to, digest, err);
    if (!r)
        r = ingest_blob(&c->in, digest, file, err);
    if (r < 0)
        return r;
    memcpy(parent, chain, DIGEST_TEXT);
    digest_chain(*parent ? parent : NULL, digest, chain);
    autoclose int blob = ingest_open_blob(&c->in, digest);
    if (blob < 0)
        return fail(err, blob, "open blob %s", digest);
    r = ingest_layer(&c->in, blob, digest, chain, err);
    return r < 0 ? r : add_layer(c, MEDIA_LAYER, digest, digest, err);
}

static void replace_text(json_object *o, const char *name, const char *text, const char *otherwise)
{
    if (!str_empty(text))
        json_object_object_add(o, name, json_string(text));
    else if (!json_text(o, name))
        json_object_object_add(o, name, json_string(otherwise));
}

static void add_history(json_object *document, const struct image_history *history, size_t count,
                        const char *now)
{
    json_object *list = json_member(document, "history", json_type_array);
    if (!list) {
        list = json_object_new_array();
        json_object_object_add(document, "history", list);
    }
    for (size_t i = 0; i < count; i++) {
        json_object *entry = json_object_new_object();
        json_object_object_add(entry, "created", json_string(now));
        json_object_object_add(entry, "created_by", json_string(history[i].created_by));
        if (history[i].empty_layer)
            json_object_object_add(entry, "empty_layer", json_object_new_boolean(true));
        json_object_array_add(list, entry);
    }
}

static void write_document(struct creation *c, const struct image_config *config,
                           const struct image_history *history, size_t history_count)
{
    char now[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ns(), now);
    if (!c->document)
        c->document = json_object_new_object();
    json_object *o = c->document;
    replace_text(o, "architecture", config->architecture, "amd64");
    replace_text(o, "os", config->os, "linux");
    if (config->variant)
        replace_text(o, "variant", config->variant, "");
    json_object_object_add(o, "created", json_string(now));
    json_object_object_add(o, "config",
                           config_object(config, json_member(o, "config", json_type_object)));
    /* what docker's builder once left of the container that made the base */
    json_object_object_del(o, "container");
    json_object_object_del(o, "container_config");
    json_object *rootfs = json_object_new_object();
    json_object_object_add(rootfs, "type", json_string("layers"));
    json_object_object_add(rootfs, "diff_ids",
                           c->diff_ids ? json_strings(c->diff_ids) : json_object_new_array());
    json_object_object_add(o, "rootfs", rootfs);
    add_history(o, history, history_count, now);
}

/* A document without the times at which it was made, as text. NULL where memory is out. */
static char *timeless(json_object *document)
{
    auto(json) json_object *copy = NULL;
    auto(buffer) struct buffer text = {0};
    if (json_object_deep_copy(document, &copy, NULL) < 0)
        return NULL;
    json_object_object_del(copy, "created");
    json_object *history = json_member(copy, "history", json_type_array);
    for (size_t i = 0; i < json_length(history); i++)
        json_object_object_del(json_object_array_get_idx(history, i), "created");
    return json_print(copy, &text) < 0 ? NULL : buffer_take_text(&text);
}

static bool same_layers(const struct image *image, char *const *diff_ids)
{
    char chain[DIGEST_TEXT], parent[DIGEST_TEXT];
    size_t n = strv_len(diff_ids);
    if (strv_len(image->layers) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        memcpy(parent, chain, DIGEST_TEXT);
        digest_chain(i ? parent : NULL, diff_ids[i], chain);
    }
    return !n || str_eq(image->layers[n - 1], chain);
}

/* The image that is the same but for its times: building again what was built before makes no second one. NULL where there is
 * none. */
static struct image *find_same(struct creation *c)
{
    struct image **list, *found = NULL;
    autofree char *wanted = timeless(c->document);
    if (!wanted || image_list(c->in.store, &list, NULL) < 0)
        return NULL;
    for (size_t i = 0; list[i]; i++) {
        auto(buffer) struct buffer text = {0};
        auto(json) json_object *document = NULL;
        if (!found && same_layers(list[i], c->diff_ids) &&
            store_read_blob(c->in.store, list[i]->id, &text, NULL) == 0 &&
            json_parse("a config", text.data, text.len, &document, NULL) == 0) {
            autofree char *has = timeless(document);
            if (has && str_eq(has, wanted))
                found = image_ref(list[i]);
        }
        image_unref(list[i]);
    }
    free(list);
    return found;
}

/* Writes config and manifest and keeps the image. */
static int finish(struct creation *c, struct image **ret, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(strv) char **diff_ids = NULL;
    auto(image) struct image *image = NULL;
    char digest[DIGEST_TEXT];
    struct manifest_blob config = {.media_type = MEDIA_CONFIG};
    if (json_print(c->document, &text) < 0)
        return fail(err, ENOMEM, "write the image's config");
    int r = ingest_text(&c->in, text.data, text.len, config.digest, err);
    config.size = text.len;
    auto(buffer) struct buffer manifest = {0};
    if (!r && manifest_write(&config, c->layers, c->count, &manifest) < 0)
        r = fail(err, ENOMEM, "write the image's manifest");
    if (!r)
        r = ingest_text(&c->in, manifest.data, manifest.len, digest, err);
    if (!r)
        r = config_read(text.data, text.len, digest, &image, &diff_ids, err);
    if (!r && (strv_add(&c->blobs, digest) < 0 || strv_add(&c->blobs, config.digest) < 0))
        r = fail(err, ENOMEM, "keep the image");
    if (!r)
        r = ingest_image(&c->in, image, c->blobs, NULL, err);
    if (!r)
        r = ingest_commit(&c->in, err);
    return r < 0 ? r : image_find(c->in.store, image->id, ret, err);
}

int image_create(struct image_store *s, const struct image *base, const int *layers,
                 size_t layer_count, const struct image_history *history, size_t history_count,
                 const struct image_config *config, struct image **ret, struct error *err)
{
    auto(creation) struct creation c = {0};
    char chain[DIGEST_TEXT] = "";
    int r = ingest_open(&c.in, s, err);
    if (!r && base)
        r = take_base(&c, base, err);
    if (!r && base && *base->layers)
        memcpy(chain, base->layers[strv_len(base->layers) - 1], DIGEST_TEXT);
    for (size_t i = 0; !r && i < layer_count; i++)
        r = take_layer(&c, layers[i], chain, err);
    if (r < 0)
        return fail_in(err, r, "create image");
    write_document(&c, config, history, history_count);
    *ret = find_same(&c);
    if (*ret)
        return 0;
    r = finish(&c, ret, err);
    return r < 0 ? fail_in(err, r, "create image") : 0;
}
