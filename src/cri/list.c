/* SPDX-License-Identifier: Apache-2.0 */
#include "cri/list.h"

#include <string.h>

#include "base/base.h"

enum {
    PIECE = 100,        /* items that a piece is made of */
    LOOKED_AT = 400,    /* pods, at most, in one turn */
    WEIGHT = 512 << 10, /* bytes of their configurations, about as much as the items made of them */
};

void cri_list_add(struct cri_list *l, void *item)
{
    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : PIECE;
        void **grown = arena_array(l->arena, void *, l->room);
        if (l->n)
            memcpy(grown, l->items, l->n * sizeof *grown);
        l->items = grown;
    }
    l->items[l->n++] = item;
}

struct walk {
    struct cri_list list;
    const struct cri_listing *kind;
    struct engine_cursor cursor;
    const char *only;
    bool end;
};

static void walk_done(struct walk *w)
{
    engine_cursor_done(&w->cursor);
}
CLEANUP_DONE(walk, struct walk);

static void walk_begin(struct walk *w, struct rpc_call *call, const struct cri_listing *kind,
                       const void *filter)
{
    struct cri *cri = rpc_context(call);
    *w = (struct walk){.list = {.engine = cri->engine, .filter = filter}, .kind = kind};
    engine_cursor_init(&w->cursor, cri->engine);
    w->only = filter ? kind->only(cri->engine, filter) : NULL;
}

static const struct pod *next(struct walk *w)
{
    struct pod *pod = NULL;
    if (!w->only)
        return engine_cursor_next(&w->cursor);
    if (!w->end && engine_pod_find(w->list.engine, w->only, &pod, NULL) < 0)
        pod = NULL;
    w->end = true;
    return pod;
}

static size_t weight_of(const struct pod *pod)
{
    const struct container *c;
    size_t sum = pod->config.len;
    list_each(c, &pod->containers, in_pod) sum += c->config.len;
    return sum;
}

/* Some more items into list; w->end after the last. */
static int take(struct walk *w, struct error *err)
{
    auto(arena) struct arena scratch = {0};
    struct cri_list *l = &w->list;
    size_t first = l->n, weight = 0;
    for (int i = 0; i < LOOKED_AT && l->n < first + PIECE && weight < WEIGHT; i++) {
        const struct pod *pod = next(w);
        w->end |= !pod;
        if (!pod)
            break;
        w->kind->pod(l, pod, &scratch);
        weight += weight_of(pod);
    }
    return w->kind->finish && l->n > first ? w->kind->finish(l, first, err) : 0;
}

static size_t size_of(const struct cri_list *l, size_t first)
{
    enum { FRAMING = 4 }; /* tag and length of an item, about */
    size_t size = 0;
    for (size_t i = first; i < l->n; i++)
        size += protobuf_c_message_get_packed_size(l->items[i]) + FRAMING;
    return size;
}

int cri_list_whole(struct rpc_call *call, const struct cri_listing *kind, const void *filter,
                   void *response, struct error *err)
{
    auto(walk) struct walk w;
    struct cri_items *answer = response;
    size_t size = 0;
    walk_begin(&w, call, kind, filter);
    w.list.arena = rpc_arena(call);
    while (!w.end && !rpc_cancelled(call)) {
        size_t first = w.list.n;
        int r = take(&w, err);
        if (r < 0)
            return r;
        size += size_of(&w.list, first);
        if (size > RPC_MESSAGE_MAX)
            return fail_plain(err, E2BIG,
                              "the list of %s takes more than the %d bytes that clients accept: "
                              "use %s, or a filter",
                              kind->what, RPC_MESSAGE_MAX, kind->streaming);
        if (!w.end)
            co_yield ();
    }
    answer->items = w.list.items;
    answer->n = w.list.n;
    return 0;
}

static int send_piece(struct rpc_call *call, struct walk *w, struct error *err)
{
    struct cri_items piece;
    w->kind->piece->message_init((ProtobufCMessage *)&piece);
    piece.items = w->list.items;
    piece.n = w->list.n;
    return rpc_send(call, &piece, err);
}

int cri_list_stream(struct rpc_call *call, const struct cri_listing *kind, const void *filter,
                    struct error *err)
{
    auto(walk) struct walk w;
    int r = 0;
    walk_begin(&w, call, kind, filter);
    while (r == 0 && !w.end && !rpc_cancelled(call)) {
        auto(arena) struct arena arena = {0};
        w.list = (struct cri_list){.engine = w.list.engine, .filter = filter, .arena = &arena};
        r = take(&w, err);
        if (r == 0 && w.list.n)
            r = send_piece(call, &w, err);
        if (!w.end)
            co_yield ();
    }
    return r;
}
