/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing. What the store says was being made or removed is not loaded as a pod or
 * container: it becomes a leftover, ended at its sandboxer and only then forgotten. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/files.h"
#include "engine/handler.h"
#include "engine/leftover.h"
#include "engine/reconcile.h"

enum { CLOSE_WAIT_S = 5 };

/* Handlers */

static struct handler *find(const struct engine *e, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(e->handlers[i]->public.name, name))
            return e->handlers[i];
    return NULL;
}

int handler_find(struct engine *e, const char *name, struct handler **ret, struct error *err)
{
    *ret = find(e, str_or_empty(name), e->configured);
    if (*ret)
        return 0;
    auto(buffer) struct buffer known = {0};
    for (size_t i = 0; i < e->configured; i++)
        if (*e->handlers[i]->public.name)
            buffer_printf(&known, "%s%s", known.len ? ", " : "", e->handlers[i]->public.name);
    return fail_plain(err, ENOENT, "no runtime handler \"%.128s\" is configured; there are: %s",
                      str_or_empty(name), buffer_text(&known));
}

static struct handler *add_handler(struct engine *e, const char *name, const char *technique,
                                   struct engine_peer *peer)
{
    struct handler **grown = realloc(e->handlers, (e->handler_count + 1) * sizeof *grown);
    struct handler *h = calloc(1, sizeof *h);
    if (grown)
        e->handlers = grown;
    if (!grown || !h)
        abort();
    h->public.name = strdup(name);
    h->public.technique = strdup(technique);
    h->public.peer = peer ? peer->peer : NULL;
    h->peer = peer;
    h->linux = !str_eq(technique, "wasm");
    e->handlers[e->handler_count++] = h;
    return h;
}

static struct engine_peer *add_peer(struct engine *e, struct peer *peer)
{
    for (size_t i = 0; i < e->peer_count; i++)
        if (e->peers[i]->peer == peer)
            return e->peers[i];
    struct engine_peer **grown =
        realloc(e->peers, (e->peer_count + 1) * sizeof(struct engine_peer *));
    struct engine_peer *ep = calloc(1, sizeof *ep);
    if (grown)
        e->peers = grown;
    if (!grown || !ep)
        abort();
    ep->engine = e;
    ep->peer = peer;
    ep->epoch = 1; /* what is loaded has 0: the first snapshot judges it */
    co_queue_init(&ep->becomes_ready);
    list_init(&ep->leftovers);
    return e->peers[e->peer_count++] = ep;
}

static void add_handlers(struct engine *e, const struct engine_handler *handlers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_handler(e, handlers[i].name, handlers[i].technique, add_peer(e, handlers[i].peer));
    e->configured = count;
    e->public_handlers = calloc(count ? count : 1, sizeof *e->public_handlers);
    if (!e->public_handlers)
        abort();
    for (size_t i = 0; i < count; i++)
        e->public_handlers[i] = e->handlers[i]->public;
}

const struct engine_handler *engine_handlers(struct engine *e, size_t *ret_count)
{
    *ret_count = e->configured;
    return e->public_handlers;
}

/* Loading */

struct loading {
    struct engine *engine;
    const char *path;
    struct map by_seq; /* struct loaded_pod by its seq's text: only while loading */
    struct list unfinished;
};

struct loaded_pod {
    char seq[24];
    struct pod_record *pod; /* NULL: unfinished */
    struct list link;
    char id[ID_LEN + 1];
    struct engine_peer *peer;
    char **containers;
    int64_t number;
};

static void after(struct engine *e, int64_t seq)
{
    if (seq >= e->next_seq)
        e->next_seq = seq + 1;
}

static int load_pod(void *arg, const struct pod_row *row, struct error *err)
{
    struct loading *l = arg;
    struct engine *e = l->engine;
    struct loaded_pod *loaded = calloc(1, sizeof *loaded);
    if (!loaded || strlen(row->id) != ID_LEN) {
        free(loaded);
        return fail_plain(err, EIO, "a damaged pod record (\"%.128s\")", row->key);
    }
    after(e, row->seq);
    snprintf(loaded->seq, sizeof loaded->seq, "%lld", (long long)row->seq);
    loaded->number = row->seq;
    memcpy(loaded->id, row->id, sizeof loaded->id);
    list_init(&loaded->link);
    int r = map_add(&l->by_seq, loaded->seq, loaded);
    if (r < 0) {
        free(loaded);
        return fail(err, r, "load pod \"%s\"", row->key);
    }
    struct handler *h = find(e, row->handler, e->handler_count);
    if (!h)
        h = add_handler(e, row->handler, "", NULL);
    loaded->peer = h->peer;
    bool whole = row->phase == POD_PHASE_READY || row->phase == POD_PHASE_NOT_READY;
    if (!whole) {
        list_append(&l->unfinished, &loaded->link);
        return 0;
    }
    struct pod_record *p = loaded->pod = pod_record_new(h, row);
    if (!p)
        return fail(err, ENOMEM, "load pod \"%s\"", row->key);
    r = map_add(&e->pods, p->pod.id, p);
    if (r == 0)
        r = map_add(&e->keys, p->pod.key, p);
    if (r < 0)
        return fail(err, r, "load pod \"%s\"", row->key);
    list_append(&e->pod_list, &p->pod.in_engine);
    e->pod_count++;
    return 0;
}

static int load_container(void *arg, const struct container_row *row, struct error *err)
{
    struct loading *l = arg;
    struct engine *e = l->engine;
    char seq[24];
    snprintf(seq, sizeof seq, "%lld", (long long)row->pod_seq);
    struct loaded_pod *of = map_get(&l->by_seq, seq);
    after(e, row->seq);
    if (strlen(row->id) != ID_LEN || !of)
        return fail_plain(err, EIO, "a damaged container record (\"%.128s\")", row->name);
    if (!of->pod)
        return strv_add(&of->containers, row->id);
    if (row->phase == CONTAINER_PHASE_REMOVING) {
        if (of->peer)
            leftover_container_row(of->peer, of->id, row->id, row->seq);
        return 0;
    }
    auto(container_ref) struct container_record *c = container_record_new(e, of->pod, row);
    if (!c)
        return fail(err, ENOMEM, "load container \"%s\"", row->name);
    c->at_peer = true; /* until the snapshot says otherwise */
    /* a pinned image that has gone all the same is found missing at the start */
    image_pin(e->images, c->container.image_id, c->container.id, NULL);
    return container_enter(e, c, err);
}

static void finish_loading(struct loading *l)
{
    struct loaded_pod *p;
    list_each(p, &l->unfinished, link) if (p->peer)
        leftover_sandbox(p->peer, p->id, p->number, p->containers);
    size_t cursor = 0;
    while ((p = map_next(&l->by_seq, &cursor))) {
        strv_free(p->containers);
        free(p);
    }
    map_done(&l->by_seq);
}

static int load(void *arg, struct error *err)
{
    struct loading *l = arg;
    struct store_reader reader = {load_pod, load_container, l};
    return store_open(&l->engine->store, l->path, &reader, err);
}

/* Opening */

static void free_handlers(struct engine *e)
{
    for (size_t i = 0; i < e->handler_count; i++) {
        free((char *)e->handlers[i]->public.name);
        free((char *)e->handlers[i]->public.technique);
        free(e->handlers[i]);
    }
    free(e->handlers);
    free(e->public_handlers);
}

static void free_peers(struct engine *e)
{
    for (size_t i = 0; i < e->peer_count; i++) {
        leftover_free_all(e->peers[i]);
        free(e->peers[i]);
    }
    free(e->peers);
}

/* All but the store and the peers themselves. */
static void engine_free(struct engine *e)
{
    e->closing = true;
    struct pod_record *p;
    size_t cursor = 0;
    while ((p = map_next(&e->pods, &cursor)))
        pod_leave(e, p);
    map_done(&e->pods);
    map_done(&e->keys);
    map_done(&e->containers);
    map_done(&e->execs);
    map_done(&e->leftovers);
    char *text;
    for (size_t i = 0; (text = map_next(&e->texts, &i));)
        free(text);
    map_done(&e->texts);
    free_peers(e);
    free_handlers(e);
    free(e->data_root);
    free(e->exec_root);
    free(e);
}

static void free_peer_connections(const struct engine_peer *const *peers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        peers[i]->peer->ops->free(peers[i]->peer);
}

static struct engine *engine_new(const struct engine_options *o)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->images = o->images;
    e->data_root = strdup(o->data_root);
    e->exec_root = strdup(o->exec_root);
    e->next_seq = 1;
    list_init(&e->pod_list);
    list_init(&e->cursors);
    list_init(&e->observers);
    co_queue_init(&e->quiet);
    add_handlers(e, o->handlers, o->handler_count);
    return e;
}

int engine_open(struct engine **ret, const struct engine_options *options, struct error *err)
{
    struct engine *e = engine_new(options);
    if (!e || !e->data_root || !e->exec_root)
        return fail(err, ENOMEM, "open the engine");
    autofree char *path = str_format("%s/state.db", e->data_root);
    struct loading l = {.engine = e, .path = path, .unfinished = LIST_INIT(l.unfinished)};
    int r = path ? files_init(e, err) : fail(err, ENOMEM, "open the engine");
    if (r == 0)
        r = load(&l, err);
    finish_loading(&l);
    if (r < 0) {
        e->closing = true;
        while (e->busy)
            co_queue_wait(&e->quiet, INT64_MAX);
        free_peer_connections((const struct engine_peer *const *)e->peers, e->peer_count);
        engine_free(e);
        return r;
    }
    *ret = e;
    for (size_t i = 0; i < e->peer_count; i++)
        e->peers[i]->peer->ops->watch(e->peers[i]->peer, &reconcile_observer, e->peers[i]);
    return 0;
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    e->closing = true;
    for (size_t i = 0; i < e->peer_count; i++) {
        co_queue_wake_all(&e->peers[i]->becomes_ready);
        leftover_wake(e->peers[i]);
    }
    int64_t deadline = clock_mono_ns() + CLOSE_WAIT_S * NSEC_PER_SEC;
    while (e->busy && co_queue_wait(&e->quiet, deadline))
        ;
    bool quiet = !e->busy;
    store_close(e->store);
    free_peer_connections((const struct engine_peer *const *)e->peers, e->peer_count);
    if (quiet) /* a call that hangs still has its hands on it */
        engine_free(e);
}

void engine_abandon(struct engine *e)
{
    store_abandon(e->store);
    free_peer_connections((const struct engine_peer *const *)e->peers, e->peer_count);
    engine_free(e);
}

struct image_store *engine_images(struct engine *e)
{
    return e->images;
}

const struct list *engine_pods(struct engine *e)
{
    return &e->pod_list;
}

size_t engine_pod_count(struct engine *e)
{
    return e->pod_count;
}
