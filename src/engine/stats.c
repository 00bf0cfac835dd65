/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "engine/record.h"

struct collected {
    struct arena *arena;
    struct peer_container_stats *items;
    size_t count, size;
};

static void collect(struct collected *to, const struct peer_container_stats *items, size_t count)
{
    if (to->count + count > to->size) {
        to->size = (to->count + count) * 2;
        struct peer_container_stats *grown =
            arena_array(to->arena, struct peer_container_stats, to->size);
        if (to->count)
            memcpy(grown, to->items, to->count * sizeof *grown);
        to->items = grown;
    }
    if (count)
        memcpy(to->items + to->count, items, count * sizeof *items);
    to->count += count;
}

/* Those of ids that live with ep, as full ids in arena; NULL-terminated. */
static int of_peer(struct engine *e, const struct engine_peer *ep, char *const *ids, bool pods,
                   struct arena *arena, char ***ret, struct error *err)
{
    char **found = arena_array(arena, char *, strv_len(ids) + 1);
    struct error why = {0};
    size_t n = 0;
    for (char *const *id = ids; id && *id; id++) {
        struct container_record *c = pods ? NULL : container_lookup(e, *id, &why);
        struct pod_record *p = pods ? pod_lookup(e, *id, &why) : c ? record_pod(c) : NULL;
        if (!p)
            return fail_with(err, &why);
        if (pod_peer(p) == ep)
            found[n++] = arena_strdup(arena, c ? c->container.id : p->pod.id);
    }
    *ret = found;
    return 0;
}

bool engine_pod_reachable(const struct pod *pod)
{
    const struct engine_peer *ep = pod_peer(pod_record(pod));
    return ep && ep->ready;
}

int engine_stats(struct engine *e, char *const *pod_ids, char *const *container_ids,
                 struct arena *arena, struct peer_container_stats **ret, size_t *ret_count,
                 struct error *err)
{
    struct collected all = {.arena = arena};
    bool everything = !pod_ids && !container_ids;
    for (size_t i = 0; i < e->peer_count; i++) {
        struct engine_peer *ep = e->peers[i];
        char **pods = NULL, **containers = NULL;
        struct peer_container_stats *items = NULL;
        size_t count = 0;
        if (!everything) {
            int r = of_peer(e, ep, pod_ids, true, arena, &pods, err);
            if (r == 0)
                r = of_peer(e, ep, container_ids, false, arena, &containers, err);
            if (r < 0)
                return r;
            if (!pods[0] && !containers[0])
                continue;
        }
        if (!ep->ready && everything)
            continue; /* what is not there says nothing about the others */
        int r = ep->peer->ops->stats(ep->peer, pods, containers, arena, &items, &count, err);
        if (r < 0)
            return fail_in(err, r, "read the containers' statistics");
        collect(&all, items, count);
    }
    *ret = all.items;
    *ret_count = all.count;
    return 0;
}
