/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, by the streaming calls where the engine has them: a plain list of many is more than clients accept. */
#include <errno.h>
#include <stddef.h>

#include "cmd/warren/cri.h"

/* What the list calls have in common: a request is a filter, an answer or a piece of a stream one repeated field. */
struct request {
    ProtobufCMessage base;
    void *filter;
};
struct items {
    ProtobufCMessage base;
    size_t n;
    void **items;
};

static const struct {
    const char *plain, *streaming;
} pairs[] = {
    {"ListPodSandbox", "StreamPodSandboxes"},
    {"ListContainers", "StreamContainers"},
    {"ListContainerStats", "StreamContainerStats"},
    {"ListPodSandboxStats", "StreamPodSandboxStats"},
};

static const ProtobufCServiceDescriptor *const service = &runtime__v1__runtime_service__descriptor;

static const char *streaming_of(const char *plain)
{
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        if (str_eq(pairs[i].plain, plain))
            return pairs[i].streaming;
    return NULL;
}

static void append(struct cri *c, struct items *to, size_t *room, const struct items *piece)
{
    if (to->n + piece->n > *room) {
        *room = (to->n + piece->n) * 2;
        void **grown = arena_array(&c->arena, void *, *room);
        if (to->n)
            memcpy(grown, to->items, to->n * sizeof *grown);
        to->items = grown;
    }
    if (piece->n)
        memcpy(to->items + to->n, piece->items, piece->n * sizeof *to->items);
    to->n += piece->n;
}

static int receive_all(struct cri *c, struct rpc_stream *stream, struct items *to,
                       struct error *err)
{
    size_t room = 0;
    for (;;) {
        struct items *piece;
        int r = rpc_stream_receive(stream, &c->arena, (void **)&piece, err);
        if (r <= 0)
            return r;
        append(c, to, &room, piece);
    }
}

int cri_call_list(struct cri *c, const char *plain, const void *request, void *ret,
                  struct error *err)
{
    const char *streaming = streaming_of(plain);
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(service, streaming);
    const ProtobufCMessageDescriptor *answer =
        protobuf_c_service_descriptor_get_method_by_name(service, plain)->output;
    struct request q = *(const struct request *)request;
    struct items *all = arena_alloc(&c->arena, answer->sizeof_message);
    struct rpc_stream *stream;
    q.base.descriptor = method->input;
    protobuf_c_message_init(answer, all);
    int64_t deadline = c->timeout_ns ? clock_mono_ns() + c->timeout_ns : INT64_MAX;
    int r = rpc_client_stream(c->runtime, service, NULL, streaming, &q, &stream, deadline, err);
    if (r == 0) {
        r = receive_all(c, stream, all, err);
        rpc_stream_free(stream);
    }
    if (r == -EOPNOTSUPP) /* another engine, of an earlier CRI */
        return cri_call(c, plain, CRI_AT_ONCE, request, ret, err);
    if (r < 0)
        return cri_rpc_error(c->runtime, r, err);
    *(void **)ret = all;
    return 0;
}

/* Stats */

/* ContainerStats and PodSandboxStats, as far as they are alike. */
struct stats {
    ProtobufCMessage base;
    struct {
        ProtobufCMessage base;
        char *id;
    } * attributes;
};
_Static_assert(offsetof(Runtime__V1__ContainerStats, attributes) ==
                       offsetof(struct stats, attributes) &&
                   offsetof(Runtime__V1__PodSandboxStats, attributes) ==
                       offsetof(struct stats, attributes) &&
                   offsetof(Runtime__V1__ContainerAttributes, id) == sizeof(ProtobufCMessage) &&
                   offsetof(Runtime__V1__PodSandboxAttributes, id) == sizeof(ProtobufCMessage),
               "struct stats");

static const char *id_of(const void *stats)
{
    const struct stats *s = stats;
    return s->attributes ? s->attributes->id : "";
}

static int by_id(const void *a, const void *b)
{
    return strcmp(id_of(*(void *const *)a), id_of(*(void *const *)b));
}

static int find_id(const void *id, const void *item)
{
    return strcmp(id, id_of(*(void *const *)item));
}

int cri_call_stats(struct cri *c, const char *method, const void *request, void *ret,
                   struct error *err)
{
    int r = cri_call_list(c, method, request, ret, err);
    struct items *list = r < 0 ? NULL : *(struct items **)ret;
    if (list && list->n)
        qsort(list->items, list->n, sizeof *list->items, by_id);
    return r;
}

void *cri_stats_find(const void *list, const char *id)
{
    const struct items *l = list;
    void **found = l->n ? bsearch(id, l->items, l->n, sizeof *l->items, find_id) : NULL;
    return found ? *found : NULL;
}

uint64_t cri_number(const Runtime__V1__UInt64Value *v)
{
    return v ? v->value : 0;
}
