/* SPDX-License-Identifier: Apache-2.0 */
/* /images */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "build/ignore.h"
#include "docker/answer.h"
#include "docker/job.h"
#include "docker/messages.h"
#include "image/json.h"
#include "loop/loop.h"

/* List */

struct filter {
    char **references;
    char **labels;
    int dangling; /* -1: both */
};

static void filter_done(struct filter *f)
{
    strv_free(f->references);
    strv_free(f->labels);
}
CLEANUP_DONE(filter, struct filter);

/* Values come as {"a": true} or, from old clients, as ["a"]. */
static char **filter_values(json_object *o)
{
    auto(strv) char **values = NULL;
    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value)
        {
            if (json_object_get_boolean(value) && strv_add(&values, key) < 0)
                return NULL;
        }
    }
    for (size_t i = 0; i < json_length(o); i++)
        if (strv_add(&values,
                     str_or_empty(json_object_get_string(json_object_array_get_idx(o, i)))) < 0)
            return NULL;
    return take_ptr(&values);
}

static int read_filter(struct filter *f, const char *name, json_object *o, struct error *err)
{
    auto(strv) char **values = filter_values(o);
    if (str_eq(name, "reference")) {
        f->references = take_ptr(&values);
    } else if (str_eq(name, "label")) {
        f->labels = take_ptr(&values);
    } else if (str_eq(name, "dangling")) {
        const char *value = values && *values ? *values : "";
        f->dangling = str_eq(value, "true") || str_eq(value, "1");
        if (!f->dangling && !str_eq(value, "false") && !str_eq(value, "0"))
            return fail_plain(err, EINVAL, "invalid filter 'dangling=%s'", value);
    } else {
        return fail_plain(err, EINVAL, "invalid filter '%s'", name);
    }
    return 0;
}

static int read_filters(const struct http_request *r, struct filter *f, struct error *err)
{
    auto(json) json_object *o = NULL;
    f->dangling = -1;
    int status = query_json(r, "filters", &o, err);
    if (status < 0 || !o)
        return status;
    if (!json_object_is_type(o, json_type_object))
        return fail_plain(err, EINVAL, "filters is no JSON object");
    json_object_object_foreach(o, key, value)
    {
        status = read_filter(f, key, value, err);
        if (status < 0)
            return status;
    }
    return 0;
}

/* A pattern means the familiar name, with or without its tag. */
static bool matches_reference(const struct image *image, const char *pattern)
{
    for (char **t = image->tags; *t; t++) {
        autofree char *familiar = image_reference_short(*t);
        if (!familiar)
            continue;
        if (pattern_matches(pattern, familiar))
            return true;
        *strrchr(familiar, ':') = 0;
        if (pattern_matches(pattern, familiar))
            return true;
    }
    return false;
}

static bool has_label(const struct image *image, const char *wanted)
{
    size_t n = strlen(wanted);
    for (char **l = image->config.labels; l && *l; l++)
        if (str_eq(*l, wanted) || (strncmp(*l, wanted, n) == 0 && (*l)[n] == '='))
            return true;
    return false;
}

static bool is_wanted(const struct filter *f, const struct image *image)
{
    bool match = !f->references;
    for (char **p = f->references; p && *p; p++)
        match = match || matches_reference(image, *p);
    for (char **l = f->labels; l && *l; l++)
        match = match && has_label(image, *l);
    return match && (f->dangling < 0 || f->dangling == !*image->tags);
}

void serve_images_list(struct docker *d, struct http_request *r)
{
    auto(filter) struct filter filter = {0};
    struct error err = {0};
    struct image **images;
    int status = read_filters(r, &filter, &err);
    if (!status)
        status = image_list(d->images, &images, &err);
    if (status < 0) {
        answer_error(r, &err);
        return;
    }
    json_object *list = json_object_new_array();
    for (size_t i = 0; images[i]; i++) {
        if (is_wanted(&filter, images[i]))
            json_object_array_add(list, image_summary_json(images[i]));
        image_unref(images[i]);
    }
    free(images);
    answer_json(r, 200, list);
}

/* Load and save */

struct transfer {
    struct docker *docker;
    bool quiet;
    char *const *names; /* to save */
    int out;
};

static void say(int out, json_object *o)
{
    auto(buffer) struct buffer line = {0};
    if (json_print(o, &line) == 0)
        fd_write_all(out, line.data, line.len);
    json_object_put(o);
}

static void say_progress(void *arg, const char *id, const char *action, uint64_t done,
                         uint64_t total)
{
    const struct transfer *t = arg;
    json_object *o = json_object_new_object(), *detail = json_object_new_object();
    autofree char *digits = strndup(id + strlen("sha256:"), 12);
    json_object_object_add(o, "status", json_string(action));
    json_object_object_add(detail, "current", json_object_new_uint64(done));
    json_object_object_add(detail, "total", json_object_new_uint64(total));
    json_object_object_add(o, "progressDetail", detail);
    json_object_object_add(o, "id", json_string(digits));
    say(t->out, o);
}

static int load(void *arg, int in, int out, struct error *err)
{
    struct transfer *t = arg;
    auto(strv) char **names = NULL;
    t->out = out;
    const struct image_progress progress = {say_progress, t};
    int r = image_load(t->docker->images, in, t->quiet ? NULL : &progress, &names, err);
    for (char **n = names; n && *n; n++) {
        autofree char *familiar = image_reference_short(*n);
        bool id = str_after(*n, "sha256:");
        autofree char *text =
            str_format("Loaded image%s: %s\n", id ? " ID" : "", str_or_empty(familiar));
        say(out, stream_text_json(str_or_empty(text)));
    }
    return r;
}

static void run_transfer(struct http_request *r, struct transfer *t, job_fn *fn, bool body,
                         const char *content_type)
{
    struct error err = {0};
    struct job job;
    if (job_start(&job, fn, t, &err) < 0) {
        answer_error(r, &err);
        return;
    }
    if (body)
        job_feed(&job, r);
    job_drain(&job, r, content_type);
    if (job_finish(&job, &err) == 0)
        return;
    if (!job.streaming) {
        answer_error(r, &err);
    } else if (body) {
        auto(json) json_object *o = stream_error_json(err.message);
        auto(buffer) struct buffer line = {0};
        if (json_print(o, &line) == 0)
            http_write(r, line.data, line.len, NULL);
    } /* a tar that ends early has no other way to say so */
}

void serve_images_load(struct docker *d, struct http_request *r)
{
    struct transfer t = {.docker = d, .quiet = query_flag(r, "quiet")};
    run_transfer(r, &t, load, true, "application/json");
}

static int save(void *arg, int in, int out, struct error *err)
{
    const struct transfer *t = arg;
    (void)in;
    return image_save(t->docker->images, t->names, out, err);
}

void serve_images_save(struct docker *d, struct http_request *r, char *const *names)
{
    if (!names || !*names) {
        answer_message(r, 400, "names: at least one image is wanted");
        return;
    }
    struct transfer t = {.docker = d, .names = names};
    run_transfer(r, &t, save, false, "application/x-tar");
}

/* One image */

struct read_config {
    struct docker *docker;
    const struct image *image;
    struct buffer text;
};

static int read_config(void *arg, struct error *err)
{
    struct read_config *c = arg;
    return image_read_blob(c->docker->images, c->image->id, &c->text, err);
}

/* Finds an image and its config, whole; answers where that fails. */
static bool find_config(struct docker *d, struct http_request *r, const char *name,
                        struct image **image, json_object **config)
{
    struct error err = {0};
    int status = image_find(d->images, name, image, &err);
    if (!status) {
        struct read_config c = {.docker = d, .image = *image};
        status = co_pool(read_config, &c, &err);
        if (!status)
            status = json_parse("the image's config", c.text.data, c.text.len, config, &err);
        buffer_done(&c.text);
    }
    if (status < 0)
        answer_error(r, &err);
    return status == 0;
}

static json_object *share(json_object *o, const char *name, json_type type)
{
    return json_object_get(json_member(o, name, type));
}

void serve_image_inspect(struct docker *d, struct http_request *r, const char *name)
{
    auto(image) struct image *image = NULL;
    auto(json) json_object *config = NULL;
    if (!find_config(d, r, name, &image, &config))
        return;
    auto(json) json_object *summary = image_summary_json(image);
    json_object *o = json_object_new_object(), *rootfs = json_object_new_object();
    json_object_object_add(o, "Id", json_string(image->id));
    json_object_object_add(o, "RepoTags", share(summary, "RepoTags", json_type_array));
    json_object_object_add(o, "RepoDigests", share(summary, "RepoDigests", json_type_array));
    json_object_object_add(o, "Parent", json_string(""));
    json_object_object_add(o, "Comment", json_string(json_text(config, "comment")));
    json_object_object_add(o, "Created", json_string(json_text(config, "created")));
    json_object_object_add(o, "Author", json_string(json_text(config, "author")));
    json_object_object_add(o, "Config", share(config, "config", json_type_object));
    json_object_object_add(o, "Architecture", json_string(image->config.architecture));
    if (image->config.variant)
        json_object_object_add(o, "Variant", json_string(image->config.variant));
    json_object_object_add(o, "Os", json_string(image->config.os));
    json_object_object_add(o, "Size", json_object_new_uint64(image->size));
    json_object_object_add(rootfs, "Type", json_string("layers"));
    json_object_object_add(
        rootfs, "Layers",
        share(json_member(config, "rootfs", json_type_object), "diff_ids", json_type_array));
    json_object_object_add(o, "RootFS", rootfs);
    answer_json(r, 200, o);
}

static json_object *history_entry(json_object *from, const char *id, json_object *tags)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "Id", json_string(id));
    json_object_object_add(
        o, "Created",
        json_object_new_int64(image_parse_time(json_text(from, "created")) / NSEC_PER_SEC));
    json_object_object_add(o, "CreatedBy", json_string(json_text(from, "created_by")));
    json_object_object_add(o, "Tags", tags);
    json_object_object_add(o, "Comment", json_string(json_text(from, "comment")));
    return o;
}

void serve_image_history(struct docker *d, struct http_request *r, const char *name)
{
    auto(image) struct image *image = NULL;
    auto(json) json_object *config = NULL;
    if (!find_config(d, r, name, &image, &config))
        return;
    auto(json) json_object *summary = image_summary_json(image);
    json_object *history = json_member(config, "history", json_type_array);
    json_object *list = json_object_new_array();
    size_t layer = strv_len(image->layers);
    for (size_t i = json_length(history); i--;) {
        json_object *from = json_object_array_get_idx(history, i);
        bool newest = i + 1 == json_length(history);
        json_object *o = history_entry(from, newest ? image->id : "<missing>",
                                       newest ? share(summary, "RepoTags", json_type_array) : NULL);
        bool empty = json_member(from, "empty_layer", json_type_boolean);
        uint64_t size = 0;
        if (!empty && layer)
            size = image_layer_size(d->images, image->layers[--layer]);
        json_object_object_add(o, "Size", json_object_new_uint64(size));
        json_object_array_add(list, o);
    }
    answer_json(r, 200, list);
}

struct change {
    struct docker *docker;
    struct image *image;
    const char *name;
    bool force;
    char **untagged, **deleted;
};

static int tag(void *arg, struct error *err)
{
    const struct change *c = arg;
    return image_tag(c->docker->images, c->image, c->name, err);
}

void serve_image_tag(struct docker *d, struct http_request *r, const char *name)
{
    auto(image) struct image *image = NULL;
    struct error err = {0};
    const char *repository = http_query(r, "repo"), *text = http_query(r, "tag");
    if (str_empty(repository)) {
        answer_message(r, 400, "repo: a name is wanted");
        return;
    }
    autofree char *to =
        str_empty(text) ? strdup(repository) : str_format("%s:%s", repository, text);
    int status = to ? image_find(d->images, name, &image, &err) : -ENOMEM;
    struct change c = {.docker = d, .image = image, .name = to};
    if (!status)
        status = co_pool(tag, &c, &err);
    if (status < 0)
        answer_error(r, &err);
    else
        http_answer(r, 201, "application/json", "", 0, NULL);
}

static int remove_image(void *arg, struct error *err)
{
    struct change *c = arg;
    return image_remove(c->docker->images, c->name, c->force, &c->untagged, &c->deleted, err);
}

static void add_removed(json_object *list, const char *key, char *const *names, bool short_names)
{
    for (; names && *names; names++) {
        autofree char *familiar = short_names ? image_reference_short(*names) : NULL;
        json_object *o = json_object_new_object();
        json_object_object_add(o, key, json_string(short_names ? familiar : *names));
        json_object_array_add(list, o);
    }
}

void serve_image_remove(struct docker *d, struct http_request *r, const char *name)
{
    struct error err = {0};
    struct change c = {.docker = d, .name = name, .force = query_flag(r, "force")};
    if (co_pool(remove_image, &c, &err) < 0) {
        answer_error(r, &err);
    } else {
        json_object *list = json_object_new_array();
        add_removed(list, "Untagged", c.untagged, true);
        add_removed(list, "Deleted", c.deleted, false);
        answer_json(r, 200, list);
    }
    strv_free(c.untagged);
    strv_free(c.deleted);
}
