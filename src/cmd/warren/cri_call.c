/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, and the messages that come from the user's files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

enum { CONFIG_MAX = 16 << 20, ANSWER_SECONDS = 30 };

/* As Go's google.golang.org/grpc/codes prints them, which is what crictl shows. */
static const char *go_code(enum rpc_status status)
{
    static const char *const names[] = {
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    };
    return status < ARRAY_SIZE(names) ? names[status] : "Unknown";
}

int cri_rpc_error(const struct rpc_client *client, int code, struct error *err)
{
    if (rpc_is_transport_error(client))
        return code;
    struct error inner = *err;
    return fail_plain(err, code, "rpc error: code = %s desc = %s", go_code(rpc_status_of(code)),
                      inner.message);
}

static int call(struct cri *c, struct rpc_client *client, const ProtobufCServiceDescriptor *service,
                const char *method, enum cri_pace pace, const void *request, void *ret,
                struct error *err)
{
    void *response;
    int64_t timeout = c->timeout_ns ? c->timeout_ns : ANSWER_SECONDS * NSEC_PER_SEC;
    int64_t deadline = pace == CRI_SLOW ? INT64_MAX : clock_mono_ns() + timeout;
    int r = rpc_client_call(client, service, NULL, method, request, &c->arena, &response, deadline,
                            err);
    if (r < 0)
        return cri_rpc_error(client, r, err);
    if (ret)
        *(void **)ret = response;
    return 0;
}

int cri_call(struct cri *c, const char *method, enum cri_pace pace, const void *request, void *ret,
             struct error *err)
{
    return call(c, c->runtime, &runtime__v1__runtime_service__descriptor, method, pace, request,
                ret, err);
}

int cri_call_image(struct cri *c, const char *method, enum cri_pace pace, const void *request,
                   void *ret, struct error *err)
{
    return call(c, c->image, &runtime__v1__image_service__descriptor, method, pace, request, ret,
                err);
}

/* Files */

static const char *loading;

static void warn_unknown(const char *place)
{
    fprintf(stderr, "WARN[0000] %s: unknown key \"%s\" is ignored\n", loading, place);
}

static json_object *parse(const char *path, const struct buffer *text, struct error *err)
{
    json_tokener *t = json_tokener_new();
    if (!t) {
        fail(err, ENOMEM, "read '%s'", path);
        return NULL;
    }
    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    json_object *json = json_tokener_parse_ex(t, buffer_text(text), (int)text->len);
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t at = json_tokener_get_parse_end(t);
    json_tokener_free(t);
    if (e == json_tokener_success && json)
        return json;
    unsigned line = 1;
    for (size_t i = 0; i < at && i < text->len; i++)
        line += text->data[i] == '\n';
    const char *first = buffer_text(text);
    first += strspn(first, " \t\r\n");
    if (*first != '{')
        fail_plain(err, EINVAL,
                   "'%s' is no JSON object; a config in YAML is not supported, write it as JSON",
                   path);
    else
        fail_plain(err, EINVAL, "'%s' line %u: %s", path, line,
                   e == json_tokener_continue ? "the file ends too early"
                                              : json_tokener_error_desc(e));
    return NULL;
}

int cri_load(struct cri *c, const char *path, const ProtobufCMessageDescriptor *type, void *ret,
             struct error *err)
{
    auto(buffer) struct buffer text = {0};
    int r = file_read(AT_FDCWD, path, CONFIG_MAX, &text, err);
    if (r == -ENOENT)
        return fail_plain(err, r, "config at %s not found", path);
    if (r < 0)
        return r;
    json_object *json = parse(path, &text, err);
    if (!json)
        return -EINVAL;
    loading = path;
    r = json_to_message(json, type, &c->arena, true, warn_unknown, ret, err);
    json_object_put(json);
    return r < 0 ? fail_in(err, r, "'%s'", path) : 0;
}

int cri_load_pod(struct cri *c, const char *path, Runtime__V1__PodSandboxConfig **ret,
                 struct error *err)
{
    int r = cri_load(c, path, &runtime__v1__pod_sandbox_config__descriptor, ret, err);
    if (r < 0)
        return r;
    Runtime__V1__PodSandboxMetadata *m = (*ret)->metadata;
    if (!m)
        return fail_plain(err, EINVAL, "'%s': metadata is not set", path);
    if (str_empty(m->name) || str_empty(m->namespace_))
        return fail_plain(err, EINVAL, "'%s': name or namespace is not in metadata", path);
    if (str_empty(m->uid)) {
        char id[ID_LEN + 1];
        id_new(id);
        /* crictl makes a random UUID: version 4, variant 1 */
        m->uid = arena_printf(&c->arena, "%.8s-%.4s-4%.3s-8%.3s-%.12s", id, id + 8, id + 12,
                              id + 15, id + 18);
    }
    return 0;
}

int cri_load_container(struct cri *c, const char *path, Runtime__V1__ContainerConfig **ret,
                       struct error *err)
{
    int r = cri_load(c, path, &runtime__v1__container_config__descriptor, ret, err);
    if (r < 0)
        return r;
    if (!(*ret)->metadata)
        return fail_plain(err, EINVAL, "'%s': metadata is not set", path);
    if (str_empty((*ret)->metadata->name))
        return fail_plain(err, EINVAL, "'%s': name is not in metadata", path);
    if (!(*ret)->image)
        return fail_plain(err, EINVAL, "'%s': image is not set", path);
    if (str_empty((*ret)->image->image))
        return fail_plain(err, EINVAL, "'%s': image field is not set in image", path);
    if (str_empty((*ret)->image->user_specified_image))
        (*ret)->image->user_specified_image = (*ret)->image->image;
    return 0;
}

int cri_map_of(struct cri *c, char *const *texts, const ProtobufCMessageDescriptor *entry,
               size_t *ret_count, void *ret_entries, struct error *err)
{
    size_t n = strv_len(texts);
    char **entries = arena_array(&c->arena, char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *equal = strchr(texts[i], '=');
        if (!equal || strchr(equal + 1, '='))
            return fail_plain(err, EINVAL, "incorrectly specified label: %s", texts[i]);
        entries[i] = arena_alloc(&c->arena, entry->sizeof_message);
        protobuf_c_message_init(entry, entries[i]);
        char *key = arena_strdup(&c->arena, texts[i]);
        key[equal - texts[i]] = 0;
        *(char **)(void *)(entries[i] + entry->fields[0].offset) = key;
        *(char **)(void *)(entries[i] + entry->fields[1].offset) =
            arena_strdup(&c->arena, equal + 1);
    }
    *ret_count = n;
    *(char ***)ret_entries = entries;
    return 0;
}
