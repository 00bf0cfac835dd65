/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "image/config.h"
#include "image/json.h"
#include "image/reference.h"

enum { INDEX_ENTRIES_MAX = 10000 };

void manifest_done(struct manifest *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->entries[i].media_type);
        free(m->entries[i].digest);
        free(m->entries[i].name);
        free(m->entries[i].os);
        free(m->entries[i].architecture);
    }
    free(m->entries);
    *m = (struct manifest){0};
}

static char *copy_text(json_object *o, const char *name)
{
    const char *text = json_text(o, name);
    return text ? strdup(text) : NULL;
}

static int read_descriptor(const char *what, json_object *o, struct manifest *m, struct error *err)
{
    const char *digest = json_text(o, "digest");
    if (!digest || !digest_is_valid(digest))
        return fail_plain(err, EINVAL, "%s: '%.80s' is no sha256 digest", what,
                          str_or_empty(digest));
    json_object *platform = json_member(o, "platform", json_type_object);
    json_object *notes = json_member(o, "annotations", json_type_object);
    struct descriptor *d = &m->entries[m->count++];
    d->media_type = strdup(str_or_empty(json_text(o, "mediaType")));
    d->digest = strdup(digest);
    d->os = copy_text(platform, "os");
    d->architecture = copy_text(platform, "architecture");
    d->name = copy_text(notes, "io.containerd.image.name");
    if (!d->name)
        d->name = copy_text(notes, "org.opencontainers.image.ref.name");
    d->attestation = json_text(notes, "vnd.docker.reference.type") != NULL;
    return d->media_type && d->digest ? 0 : fail(err, ENOMEM, "read %s", what);
}

/* What an artifact that is no image says of itself is better refused here than when it is unpacked.
 */
static int check_layer_type(const char *what, const char *type, struct error *err)
{
    const char *rest = str_after(type, "application/vnd.oci.image.layer.");
    if (!rest)
        rest = str_after(type, MEDIA_DOCKER_LAYER);
    if (rest || !*type)
        return 0;
    return fail_plain(err, ENOTSUP, "%s: a layer is of type '%.100s', which is no image's", what,
                      type);
}

int manifest_read(const char *what, const void *json, size_t len, struct manifest *ret,
                  struct error *err)
{
    auto(json) json_object *o = NULL;
    auto(manifest) struct manifest m = {0};
    int r = json_parse(what, json, len, &o, err);
    if (r < 0)
        return r;
    json_object *manifests = json_member(o, "manifests", json_type_array);
    json_object *layers = json_member(o, "layers", json_type_array);
    json_object *config = json_member(o, "config", json_type_object);
    if (!manifests && json_member(o, "fsLayers", json_type_array))
        return fail_plain(err, ENOTSUP, "%s is a manifest of schema 1, which is no longer used",
                          what);
    /* one document read as both ways would be two images under one digest (CVE-2021-41190) */
    if (!manifests == !config || (manifests && layers))
        return fail_plain(err, EINVAL, "%s is neither an image manifest nor an index", what);
    json_object *list = manifests ? manifests : layers;
    size_t n = json_length(list);
    if (n > (manifests ? INDEX_ENTRIES_MAX : IMAGE_LAYERS_MAX))
        return fail_plain(err, E2BIG, "%s has %zu entries", what, n);
    m.index = manifests;
    m.entries = calloc(n + 1, sizeof *m.entries);
    if (!m.entries)
        return fail(err, ENOMEM, "read %s", what);
    if (config)
        r = read_descriptor(what, config, &m, err);
    for (size_t i = 0; !r && i < n; i++) {
        r = read_descriptor(what, json_object_array_get_idx(list, i), &m, err);
        if (!r && !manifests)
            r = check_layer_type(what, m.entries[m.count - 1].media_type, err);
    }
    if (r < 0)
        return r;
    *ret = m;
    m = (struct manifest){0};
    return 0;
}

int platform_rank(const char *os, const char *architecture)
{
    if (!os || !architecture)
        return 0;
    if (str_eq(os, "linux") && str_eq(architecture, "amd64"))
        return 2;
    return str_eq(architecture, "wasm") || str_eq(architecture, "wasm32");
}

static json_object *descriptor_json(const struct manifest_blob *b)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "mediaType", json_string(b->media_type));
    json_object_object_add(o, "digest", json_string(b->digest));
    json_object_object_add(o, "size", json_object_new_uint64(b->size));
    return o;
}

int manifest_write(const struct manifest_blob *config, const struct manifest_blob *layers,
                   size_t count, struct buffer *out)
{
    auto(json) json_object *o = json_object_new_object();
    json_object_object_add(o, "schemaVersion", json_object_new_int(2));
    json_object_object_add(o, "mediaType", json_string(MEDIA_MANIFEST));
    json_object_object_add(o, "config", descriptor_json(config));
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < count; i++)
        json_object_array_add(array, descriptor_json(&layers[i]));
    json_object_object_add(o, "layers", array);
    return json_print(o, out);
}
