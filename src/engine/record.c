/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/record.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { PEER_WAIT_S = 10 };

int packed_set(struct packed *p, const void *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        return -ENOMEM;
    if (len)
        memcpy(copy, data, len);
    free(p->data);
    *p = (struct packed){copy, len};
    return 0;
}

struct pod_record *pod_record_new(struct handler *handler, const struct pod_row *row)
{
    size_t key_len = strlen(row->key) + 1;
    struct pod_record *p = calloc(1, sizeof *p + key_len);
    if (!p || packed_set(&p->pod.config, row->config, row->config_len) < 0) {
        free(p);
        return NULL;
    }
    memcpy(p->pod.id, row->id, strnlen(row->id, ID_LEN));
    p->pod.key = memcpy(p->text, row->key, key_len);
    p->pod.handler = handler->public.name;
    p->pod.state = row->phase == POD_PHASE_READY ? POD_READY : POD_NOT_READY;
    p->pod.pid = row->pid;
    p->pod.created_ns = row->created_ns;
    list_init(&p->pod.containers);
    list_init(&p->pod.in_engine);
    p->handler = handler;
    p->seq = row->seq;
    p->refs = 1;
    co_mutex_init(&p->mutex);
    return p;
}

struct pod_record *pod_record_ref(struct pod_record *p)
{
    p->refs++;
    return p;
}

void pod_record_unref(struct pod_record *p)
{
    if (--p->refs)
        return;
    free(p->pod.config.data);
    free(p);
}

static const char *put(char **at, const char *s)
{
    size_t len = strlen(s) + 1;
    char *here = *at;
    *at += len;
    return memcpy(here, s, len);
}

static const char *known_reason(const char *reason)
{
    static const char *const reasons[] = {"Completed", "Error", "OOMKilled", "StartError",
                                          "Unknown"};
    for (size_t i = 0; reason && i < ARRAY_SIZE(reasons); i++)
        if (str_eq(reason, reasons[i]))
            return reasons[i];
    return "";
}

static const char *shared_text(struct engine *e, const char *s)
{
    char *known = map_get(&e->texts, s);
    if (known)
        return known;
    autofree char *copy = strdup(s);
    return copy && map_add(&e->texts, copy, copy) == 0 ? take_ptr(&copy) : NULL;
}

struct container_record *container_record_new(struct engine *e, struct pod_record *pod,
                                              const struct container_row *row)
{
    const char *log_path = str_or_empty(row->log_path);
    const char *image_id = shared_text(e, row->image_id);
    const char *image_ref = shared_text(e, row->image_ref);
    size_t len = strlen(row->name) + strlen(log_path) + 2;
    struct container_record *c = calloc(1, sizeof *c + len);
    if (!c || !image_id || !image_ref ||
        packed_set(&c->container.config, row->config, row->config_len) < 0) {
        free(c);
        return NULL;
    }
    char *at = c->text;
    struct container *k = &c->container;
    memcpy(k->id, row->id, strnlen(row->id, ID_LEN));
    k->name = put(&at, row->name);
    k->image_id = image_id;
    k->image_ref = image_ref;
    k->log_path = row->log_path ? put(&at, log_path) : NULL;
    k->attempt = row->attempt;
    k->state = (enum container_state)row->phase;
    k->pid = row->pid;
    k->created_ns = row->created_ns;
    k->started_ns = row->started_ns;
    k->finished_ns = row->finished_ns;
    k->exit_code = row->exit_code;
    k->reason = known_reason(row->reason);
    k->message = row->message ? strdup(row->message) : NULL;
    k->pod = &pod_record_ref(pod)->pod;
    list_init(&k->in_pod);
    c->seq = row->seq;
    c->refs = 1;
    co_queue_init(&c->changed);
    return c;
}

struct container_record *container_record_ref(struct container_record *c)
{
    c->refs++;
    return c;
}

void container_record_unref(struct container_record *c)
{
    if (--c->refs)
        return;
    pod_record_unref(record_pod(c));
    free(c->container.config.data);
    free(c->container.message);
    free(c->spec.data);
    free(c);
}

/* Finding */

/* Users type the first digits of an id; nothing keeps an order of ids, so this looks at all. */
static void *find_prefix(const struct map *m, const char *what, const char *prefix,
                         struct error *err)
{
    size_t cursor = 0, len = strlen(prefix);
    void *found = NULL, *item;
    if (len < ID_LEN && len > 0) {
        while ((item = map_next(m, &cursor))) {
            /* both records begin with their id */
            if (strncmp(item, prefix, len) != 0)
                continue;
            if (found) {
                fail_plain(err, EINVAL, "%s id '%s' is ambiguous: write more of it", what, prefix);
                return NULL;
            }
            found = item;
        }
    }
    if (!found)
        fail_plain(err, ENOENT, "no such %s: %.128s", what, prefix);
    return found;
}
_Static_assert(offsetof(struct pod_record, pod.id) == 0, "find_prefix");
_Static_assert(offsetof(struct container_record, container.id) == 0, "find_prefix");

struct pod_record *pod_lookup(struct engine *e, const char *id, struct error *err)
{
    struct pod_record *p = map_get(&e->pods, id);
    if (!p)
        p = find_prefix(&e->pods, "pod sandbox", id, err);
    if (p && p->creating) {
        fail_plain(err, ENOENT, "no such pod sandbox: %.128s (it is being made)", id);
        return NULL;
    }
    return p;
}

struct container_record *container_lookup(struct engine *e, const char *id, struct error *err)
{
    struct container_record *c = map_get(&e->containers, id);
    return c ? c : find_prefix(&e->containers, "container", id, err);
}

int engine_pod_find(struct engine *e, const char *id, struct pod **ret, struct error *err)
{
    struct error why = {0};
    struct pod_record *p = pod_lookup(e, id, &why);
    if (!p)
        return fail_with(err, &why);
    *ret = &p->pod;
    return 0;
}

int engine_container_find(struct engine *e, const char *id, struct container **ret,
                          struct error *err)
{
    struct error why = {0};
    struct container_record *c = container_lookup(e, id, &why);
    if (!c)
        return fail_with(err, &why);
    *ret = &c->container;
    return 0;
}

struct pod_record *pod_hold_ref(struct pod_record *p, struct error *err)
{
    co_mutex_lock(&p->mutex);
    if (!p->gone)
        return p;
    fail_plain(err, ENOENT, "no such pod sandbox: %s (it has just been removed)", p->pod.id);
    pod_let_go(p);
    return NULL;
}

struct pod_record *pod_hold(struct engine *e, const char *id, struct error *err)
{
    struct pod_record *p = pod_lookup(e, id, err);
    return p ? pod_hold_ref(pod_record_ref(p), err) : NULL;
}

void pod_let_go(struct pod_record *p)
{
    co_mutex_unlock(&p->mutex);
    pod_record_unref(p);
}

/* Tables */

int container_enter(struct engine *e, struct container_record *c, struct error *err)
{
    int r = map_add(&e->containers, c->container.id, c);
    if (r < 0)
        return fail(err, r, "keep container %s", c->container.id);
    list_append(&c->container.pod->containers, &container_record_ref(c)->container.in_pod);
    return 0;
}

void container_leave(struct engine *e, struct container_record *c)
{
    if (c->gone)
        return;
    c->gone = true;
    map_remove(&e->containers, c->container.id);
    list_remove(&c->container.in_pod);
    image_unpin(e->images, c->container.image_id, c->container.id);
    co_queue_wake_all(&c->changed);
    container_record_unref(c);
}

/* malloc keeps what a burst took until it is asked. */
static void give_back(struct engine *e)
{
    enum { WORTH_IT = 1000 };
    if (e->pods.count > e->most_pods)
        e->most_pods = e->pods.count;
    if (e->most_pods < WORTH_IT || e->pods.count > e->most_pods / 2)
        return;
    e->most_pods = e->pods.count;
    map_fit(&e->pods);
    map_fit(&e->keys);
    map_fit(&e->containers);
    malloc_trim(0);
}

void pod_leave(struct engine *e, struct pod_record *p)
{
    if (p->gone)
        return;
    p->gone = true;
    while (!list_empty(&p->pod.containers))
        container_leave(e,
                        container_record(list_first(&p->pod.containers, struct container, in_pod)));
    if (!list_empty(&p->pod.in_engine)) {
        cursors_leave(e, &p->pod);
        list_remove(&p->pod.in_engine);
        e->pod_count--;
    }
    map_remove(&e->pods, p->pod.id);
    map_remove(&e->keys, p->pod.key);
    pod_record_unref(p);
    if (!e->closing)
        give_back(e);
}

/* Sandboxers */

int peer_wait(const struct handler *handler, struct error *err)
{
    struct engine_peer *ep = handler->peer;
    if (!ep)
        return fail_plain(err, ENOTCONN,
                          "no sandboxer is configured for the runtime handler '%s' any more",
                          handler->public.name);
    int64_t since = clock_mono_ns();
    while (!ep->ready && !ep->engine->closing) {
        /* a snapshot of a million takes its time, which counts from its last sign */
        int64_t heard = ep->heard_ns > since ? ep->heard_ns : since;
        int64_t deadline = heard + PEER_WAIT_S * NSEC_PER_SEC;
        if (!co_queue_wait(&ep->becomes_ready, deadline) && clock_mono_ns() >= deadline &&
            ep->heard_ns <= heard)
            break;
    }
    if (ep->ready && !ep->engine->closing)
        return 0;
    return fail_plain(err, ENOTCONN,
                      "the sandboxer of the runtime handler '%s' (%s) does not answer",
                      handler->public.name, handler->public.technique);
}
