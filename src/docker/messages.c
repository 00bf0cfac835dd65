/* SPDX-License-Identifier: Apache-2.0 */
#include "docker/messages.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "image/json.h"

void image_summary_done(struct image_summary *s)
{
    free(s->id);
    strv_free(s->tags);
    strv_free(s->digests);
    strv_free(s->labels);
    *s = (struct image_summary){0};
}

static json_object *short_names(char *const *names)
{
    json_object *array = json_object_new_array();
    for (; names && *names; names++) {
        autofree char *familiar = image_reference_short(*names);
        json_object_array_add(array, json_string(familiar));
    }
    return array;
}

json_object *image_summary_json(const struct image *image)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "Id", json_string(image->id));
    json_object_object_add(o, "ParentId", json_string(""));
    json_object_object_add(o, "RepoTags", short_names(image->tags));
    json_object_object_add(o, "RepoDigests", short_names(image->digests));
    json_object_object_add(o, "Created", json_object_new_int64(image->created_ns / NSEC_PER_SEC));
    json_object_object_add(o, "Size", json_object_new_uint64(image->size));
    json_object_object_add(o, "SharedSize", json_object_new_int64(-1)); /* not counted */
    json_object_object_add(o, "Containers", json_object_new_int64(-1));
    json_object *labels = NULL;
    for (char **l = image->config.labels; l && *l; l++) {
        const char *equals = strchr(*l, '=');
        autofree char *key = strndup(*l, equals ? (size_t)(equals - *l) : strlen(*l));
        if (!labels)
            labels = json_object_new_object();
        if (key)
            json_object_object_add(labels, key, json_string(equals ? equals + 1 : ""));
    }
    json_object_object_add(o, "Labels", labels);
    return o;
}

int image_summary_read(json_object *o, struct image_summary *ret, struct error *err)
{
    const char *id = json_text(o, "Id");
    if (!id)
        return fail_plain(err, EPROTO, "the engine's answer has an image without an id");
    auto(image_summary) struct image_summary s = {.id = strdup(id)};
    s.tags = json_texts(o, "RepoTags");
    s.digests = json_texts(o, "RepoDigests");
    s.created_s = json_number(o, "Created", 0);
    s.size = (uint64_t)json_number(o, "Size", 0);
    json_object *labels = json_member(o, "Labels", json_type_object);
    if (labels) {
        json_object_object_foreach(labels, key, value)
        {
            autofree char *pair =
                str_format("%s=%s", key, str_or_empty(json_object_get_string(value)));
            if (pair)
                strv_add(&s.labels, pair);
        }
    }
    *ret = s;
    s = (struct image_summary){0};
    return 0;
}

json_object *version_json(const struct version_message *v)
{
    json_object *o = json_object_new_object(), *platform = json_object_new_object();
    json_object_object_add(platform, "Name", json_string("Warren"));
    json_object_object_add(o, "Platform", platform);
    json_object_object_add(o, "Version", json_string(v->version));
    json_object_object_add(o, "ApiVersion", json_string(v->api_version));
    json_object_object_add(o, "MinAPIVersion", json_string(v->min_api_version));
    json_object_object_add(o, "Os", json_string(v->os));
    json_object_object_add(o, "Arch", json_string(v->architecture));
    json_object_object_add(o, "KernelVersion", json_string(v->kernel));
    json_object *component = json_object_new_object(), *details = json_object_new_object(),
                *components = json_object_new_array();
    json_object_object_add(component, "Name", json_string("Engine"));
    json_object_object_add(component, "Version", json_string(v->version));
    json_object_object_add(details, "ApiVersion", json_string(v->api_version));
    json_object_object_add(details, "MinAPIVersion", json_string(v->min_api_version));
    json_object_object_add(details, "Os", json_string(v->os));
    json_object_object_add(details, "Arch", json_string(v->architecture));
    json_object_object_add(details, "KernelVersion", json_string(v->kernel));
    json_object_object_add(component, "Details", details);
    json_object_array_add(components, component);
    json_object_object_add(o, "Components", components);
    return o;
}

void version_read(json_object *o, struct version_message *ret)
{
    *ret = (struct version_message){
        .version = json_text(o, "Version"),
        .api_version = json_text(o, "ApiVersion"),
        .min_api_version = json_text(o, "MinAPIVersion"),
        .os = json_text(o, "Os"),
        .architecture = json_text(o, "Arch"),
        .kernel = json_text(o, "KernelVersion"),
    };
}

void stream_read(json_object *o, struct stream_message *ret)
{
    *ret = (struct stream_message){
        .stream = json_text(o, "stream"),
        .status = json_text(o, "status"),
        .id = json_text(o, "id"),
        .error = json_text(o, "error"),
        .image_id = json_text(json_member(o, "aux", json_type_object), "ID"),
    };
}

json_object *stream_text_json(const char *text)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "stream", json_string(text));
    return o;
}

json_object *stream_error_json(const char *message)
{
    json_object *o = json_object_new_object(), *detail = json_object_new_object();
    json_object_object_add(detail, "message", json_string(message));
    json_object_object_add(o, "errorDetail", detail);
    json_object_object_add(o, "error", json_string(message));
    return o;
}

json_object *error_json(const char *message)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "message", json_string(message));
    return o;
}

const char *error_read(json_object *o)
{
    return json_text(o, "message");
}
