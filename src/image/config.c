/* SPDX-License-Identifier: Apache-2.0 */
#include "image/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "image/digest.h"
#include "image/json.h"
#include "image/reference.h"

void image_config_done(struct image_config *c)
{
    free(c->os);
    free(c->architecture);
    free(c->variant);
    free(c->user);
    free(c->working_dir);
    free(c->stop_signal);
    strv_free(c->env);
    strv_free(c->entrypoint);
    strv_free(c->cmd);
    strv_free(c->shell);
    strv_free(c->volumes);
    strv_free(c->exposed_ports);
    strv_free(c->labels);
    *c = (struct image_config){0};
}

struct image *image_ref(struct image *image)
{
    __atomic_add_fetch(&image->references, 1, __ATOMIC_RELAXED);
    return image;
}

void image_unref(struct image *image)
{
    if (!image || __atomic_sub_fetch(&image->references, 1, __ATOMIC_ACQ_REL))
        return;
    free(image->id);
    strv_free(image->tags);
    strv_free(image->digests);
    free(image->manifest_digest);
    image_config_done(&image->config);
    strv_free(image->layers);
    free(image);
}

int64_t image_parse_time(const char *text)
{
    struct tm tm = {0};
    const char *p = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!p)
        return 0;
    int64_t ns = 0;
    if (*p == '.') {
        int64_t unit = NSEC_PER_SEC / 10;
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            ns += (*p - '0') * unit;
    }
    int64_t offset = 0;
    if (*p == '+' || *p == '-') {
        int hours = 0, minutes = 0;
        if (strlen(p) >= 6) {
            hours = (p[1] - '0') * 10 + (p[2] - '0');
            minutes = (p[4] - '0') * 10 + (p[5] - '0');
        }
        offset = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
    }
    int64_t s = timegm(&tm) - offset;
    return s < 0 || s > INT64_MAX / NSEC_PER_SEC - 1 ? 0 : s * NSEC_PER_SEC + ns;
}

/* The keys of a JSON object: how volumes and ports are written. */
static char **keys(json_object *o, const char *name)
{
    char **v = NULL;
    json_object *m = json_member(o, name, json_type_object);
    if (!m)
        return NULL;
    json_object_object_foreach(m, key, value)
    {
        (void)value;
        strv_add(&v, key);
    }
    return v;
}

static char **pairs(json_object *o, const char *name)
{
    char **v = NULL;
    json_object *m = json_member(o, name, json_type_object);
    if (!m)
        return NULL;
    json_object_object_foreach(m, key, value)
    {
        autofree char *pair = str_format("%s=%s", key, str_or_empty(json_object_get_string(value)));
        if (pair)
            strv_add(&v, pair);
    }
    return v;
}

static char *copy_text(json_object *o, const char *name)
{
    const char *text = json_text(o, name);
    return text ? strdup(text) : NULL;
}

static void read_config(json_object *document, struct image_config *c)
{
    json_object *o = json_member(document, "config", json_type_object);
    c->os = copy_text(document, "os");
    c->architecture = copy_text(document, "architecture");
    c->variant = copy_text(document, "variant");
    c->user = copy_text(o, "User");
    c->working_dir = copy_text(o, "WorkingDir");
    c->stop_signal = copy_text(o, "StopSignal");
    c->env = json_texts(o, "Env");
    c->entrypoint = json_texts(o, "Entrypoint");
    c->cmd = json_texts(o, "Cmd");
    c->shell = json_texts(o, "Shell");
    c->volumes = keys(o, "Volumes");
    c->exposed_ports = keys(o, "ExposedPorts");
    c->labels = pairs(o, "Labels");
}

static int read_diff_ids(json_object *document, const char *id, char ***ret, struct error *err)
{
    json_object *rootfs = json_member(document, "rootfs", json_type_object);
    json_object *ids = json_member(rootfs, "diff_ids", json_type_array);
    auto(strv) char **v = json_texts(rootfs, "diff_ids");
    if (!rootfs || (json_length(ids) && !v))
        return fail_plain(err, EINVAL, "image config %s has no rootfs with diff_ids", id);
    if (json_length(ids) > IMAGE_LAYERS_MAX)
        return fail_plain(err, E2BIG, "image config %s has more than %d layers", id,
                          IMAGE_LAYERS_MAX);
    for (size_t i = 0; v && v[i]; i++)
        if (!digest_is_valid(v[i]))
            return fail_plain(err, EINVAL, "image config %s: diff id '%.80s' is no sha256 digest",
                              id, v[i]);
    if (!v && !(v = calloc(1, sizeof *v)))
        return fail(err, ENOMEM, "read image config %s", id);
    *ret = take_ptr(&v);
    return 0;
}

int config_read(const void *json, size_t len, const char *manifest_digest, struct image **ret,
                char ***ret_diff_ids, struct error *err)
{
    auto(json) json_object *document = NULL;
    char id[DIGEST_TEXT], what[DIGEST_TEXT + 16], chain[DIGEST_TEXT];
    digest_of(json, len, id);
    snprintf(what, sizeof what, "image config %s", id);
    int r = json_parse(what, json, len, &document, err);
    if (r < 0)
        return r;
    auto(strv) char **diff_ids = NULL;
    r = read_diff_ids(document, id, &diff_ids, err);
    if (r < 0)
        return r;
    auto(image) struct image *image = calloc(1, sizeof *image);
    if (!image)
        return fail(err, ENOMEM, "read %s", what);
    image->references = 1;
    image->id = strdup(id);
    image->manifest_digest = strdup(manifest_digest);
    image->created_ns = image_parse_time(json_text(document, "created"));
    image->layers = calloc(1, sizeof *image->layers);
    read_config(document, &image->config);
    for (size_t i = 0; diff_ids[i]; i++) {
        char parent[DIGEST_TEXT];
        memcpy(parent, chain, sizeof parent);
        digest_chain(i ? parent : NULL, diff_ids[i], chain);
        if (!image->layers || strv_add(&image->layers, chain) < 0)
            return fail(err, ENOMEM, "read %s", what);
    }
    if (!image->id || !image->manifest_digest || !image->layers)
        return fail(err, ENOMEM, "read %s", what);
    *ret = take_ptr(&image);
    *ret_diff_ids = take_ptr(&diff_ids);
    return 0;
}

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static char **copies(char *const *v)
{
    return v ? strv_copy(v) : NULL;
}

void image_config_copy(struct image_config *to, const struct image_config *c)
{
    *to = (struct image_config){
        .os = copy(c->os),
        .architecture = copy(c->architecture),
        .variant = copy(c->variant),
        .user = copy(c->user),
        .working_dir = copy(c->working_dir),
        .stop_signal = copy(c->stop_signal),
        .env = copies(c->env),
        .entrypoint = copies(c->entrypoint),
        .cmd = copies(c->cmd),
        .shell = copies(c->shell),
        .volumes = copies(c->volumes),
        .exposed_ports = copies(c->exposed_ports),
        .labels = copies(c->labels),
    };
}

struct image *config_retag(const struct image *from, char *const *tags)
{
    auto(image) struct image *image = calloc(1, sizeof *image);
    if (!image)
        return NULL;
    image->references = 1;
    image->id = copy(from->id);
    image->manifest_digest = copy(from->manifest_digest);
    image->created_ns = from->created_ns;
    image->size = from->size;
    image->layers = strv_copy(from->layers);
    image->tags = calloc(1, sizeof *image->tags);
    image->digests = calloc(1, sizeof *image->digests);
    image_config_copy(&image->config, &from->config);
    if (!image->id || !image->manifest_digest || !image->layers || !image->tags || !image->digests)
        return NULL;
    for (; *tags; tags++) {
        auto(reference) struct reference name = {0};
        if (reference_parse(*tags, &name, NULL) < 0 ||
            (!name.digest && strv_add(&image->tags, *tags) < 0))
            return NULL;
        autofree char *digest = str_format("%s@%s", name.repository,
                                           name.digest ? name.digest : image->manifest_digest);
        bool there = false;
        for (char **d = image->digests; digest && *d; d++)
            there = there || str_eq(*d, digest);
        if (!digest || (!there && strv_add(&image->digests, digest) < 0))
            return NULL;
    }
    return take_ptr(&image);
}

static void put_text(json_object *o, const char *name, const char *text)
{
    if (str_empty(text))
        json_object_object_del(o, name);
    else
        json_object_object_add(o, name, json_string(text));
}

static void put_texts(json_object *o, const char *name, char *const *texts)
{
    if (!texts || !*texts)
        json_object_object_del(o, name);
    else
        json_object_object_add(o, name, json_strings(texts));
}

/* {"key": {}} where values is false, else {"key": "value"} of "key=value". */
static void put_map(json_object *o, const char *name, char *const *texts, bool values)
{
    json_object_object_del(o, name);
    if (!texts || !*texts)
        return;
    json_object *m = json_object_new_object();
    for (; *texts; texts++) {
        const char *equals = values ? strchr(*texts, '=') : NULL;
        autofree char *key = equals ? strndup(*texts, (size_t)(equals - *texts)) : strdup(*texts);
        if (key)
            json_object_object_add(
                m, key, values ? json_string(equals ? equals + 1 : "") : json_object_new_object());
    }
    json_object_object_add(o, name, m);
}

json_object *config_object(const struct image_config *c, json_object *base_config)
{
    json_object *o = NULL;
    if (base_config && json_object_deep_copy(base_config, &o, NULL) < 0)
        o = NULL;
    if (!o)
        o = json_object_new_object();
    put_text(o, "User", c->user);
    put_map(o, "ExposedPorts", c->exposed_ports, false);
    put_texts(o, "Env", c->env);
    put_texts(o, "Entrypoint", c->entrypoint);
    put_texts(o, "Cmd", c->cmd);
    put_map(o, "Volumes", c->volumes, false);
    put_text(o, "WorkingDir", c->working_dir);
    put_map(o, "Labels", c->labels, true);
    put_text(o, "StopSignal", c->stop_signal);
    put_texts(o, "Shell", c->shell);
    return o;
}
