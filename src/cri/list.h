/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what may be a million: walked in pieces, with a turn of the loop between them for others. A streaming list holds one piece at a
 * time; a plain one is given up as soon as it passes what clients accept. What comes or goes while a list is walked may be in it or
 * not. */
#pragma once

#include "cri/services.h"

/* The messages that carry a list, plain or streamed, have one field, repeated. */
struct cri_items {
    ProtobufCMessage base;
    size_t n;
    void **items;
};
#define CRI_ITEMS(type, field)                                                                     \
    _Static_assert(offsetof(type, n_##field) == offsetof(struct cri_items, n) &&                   \
                       offsetof(type, field) == offsetof(struct cri_items, items) &&               \
                       sizeof(type) == sizeof(struct cri_items),                                   \
                   "a list in " #type)

struct cri_list {
    struct engine *engine;
    const void *filter;
    struct arena *arena; /* of the items */
    void **items;
    size_t n, room;
};

struct cri_listing {
    const char *what, *streaming; /* "pods", "StreamPodSandboxes" */
    const ProtobufCMessageDescriptor *piece;
    /* The full id of the one pod that can match, or NULL. */
    const char *(*only)(struct engine *e, const void *filter);
    /* Adds what pod brings to the list. Does not park. */
    void (*pod)(struct cri_list *l, const struct pod *pod, struct arena *scratch);
    /* [parks] Where pod() adds but ids: makes items of those from first on, and leaves out what has gone. */
    int (*finish)(struct cri_list *l, size_t first, struct error *err);
};

/* struct cri_listing.only of containers, by the ids of a filter: an id that nobody has where the container is not there. */
const char *cri_only_pod_of(struct engine *e, const char *id, const char *pod_id);

void cri_list_add(struct cri_list *l, void *item);
/* [parks] The whole list into response; -E2BIG with the limit and the streaming call. */
int cri_list_whole(struct rpc_call *call, const struct cri_listing *kind, const void *filter,
                   void *response, struct error *err);
/* [parks] */
int cri_list_stream(struct rpc_call *call, const struct cri_listing *kind, const void *filter,
                    struct error *err);
