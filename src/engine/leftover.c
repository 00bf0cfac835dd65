/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/leftover.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/files.h"

enum { LEFTOVERS_MAX = 1 << 20, FIRST_DELAY_MS = 20, LAST_DELAY_MS = 20000 };

struct leftover {
    struct list link;
    char *sandbox_id, *id, *exec_id; /* id NULL: the sandbox itself; exec_id NULL: the container */
    int64_t seq;
    char **containers;
    bool running; /* may have to be killed */
    bool files_gone;
    bool saved; /* the store has all that led here */
    int delay_ms;
    int64_t not_before_ns;
};

static const char *own_id(const struct leftover *l)
{
    return l->exec_id ? l->exec_id : l->id ? l->id : l->sandbox_id;
}

static void leftover_free(struct leftover *l)
{
    if (!l)
        return;
    free(l->sandbox_id);
    free(l->id);
    free(l->exec_id);
    strv_free(l->containers);
    free(l);
}
CLEANUP_FREE(leftover, struct leftover);

/* Ending one */

static bool is_gone(int r)
{
    return r == 0 || r == -ENOENT || r == -ESRCH;
}

static int forget_rows(struct engine *e, const struct leftover *l, struct error *err)
{
    if (!l->seq)
        return 0;
    struct store_change change = {.kind = l->id ? STORE_CONTAINER_DELETE : STORE_POD_DELETE,
                                  .pod.seq = l->seq,
                                  .container.seq = l->seq};
    if (!l->id)
        files_remove_pod(e, l->sandbox_id);
    else
        files_remove_container(e, l->id);
    for (char **id = l->containers; id && *id; id++)
        files_remove_container(e, *id);
    return store_commit(e->store, &change, err);
}

static int end_sandbox(struct engine_peer *ep, const struct leftover *l, struct error *err)
{
    /* may be running or half made; its stop is only a courtesy to the shutdown */
    ep->peer->ops->sandbox_stop(ep->peer, l->sandbox_id, 0, NULL);
    int r = ep->peer->ops->sandbox_shutdown(ep->peer, l->sandbox_id, err);
    return is_gone(r) ? forget_rows(ep->engine, l, err) : r;
}

static int end_process(struct engine_peer *ep, struct leftover *l, struct error *err)
{
    const char *exec_id = str_or_empty(l->exec_id);
    if (l->running)
        ep->peer->ops->kill(ep->peer, l->id, exec_id, SIGKILL, !l->exec_id, NULL);
    int r = ep->peer->ops->remove(ep->peer, l->id, exec_id, NULL, err);
    if (is_gone(r))
        return forget_rows(ep->engine, l, err);
    l->running = true;
    return r;
}

/* Of a container with a record: only what the record does not want, and with its pod locked, so
 * that no start comes between. */
static int end_known(struct engine_peer *ep, struct leftover *l, struct error *err)
{
    struct engine *e = ep->engine;
    struct pod_record *known = map_get(&e->pods, l->sandbox_id);
    if (known && known->mutex.locked)
        return fail_plain(err, EAGAIN, "the pod is busy");
    auto(pod_held) struct pod_record *p = known ? pod_hold_ref(pod_record_ref(known), err) : NULL;
    struct container_record *c = map_get(&e->containers, l->id);
    if (!c)
        return end_process(ep, l, err);
    if (c->container.state != CONTAINER_EXITED || c->starting)
        return 0;
    auto(container_ref) struct container_record *held = container_record_ref(c);
    int r = end_process(ep, l, err);
    if (r == 0)
        held->at_peer = false;
    return r;
}

static int end_one(struct engine_peer *ep, struct leftover *l, struct error *err)
{
    if (!l->id)
        return end_sandbox(ep, l, err);
    return l->exec_id || l->seq ? end_process(ep, l, err) : end_known(ep, l, err);
}

/* The janitor */

/* The first that is due; else NULL and *ret_when. */
static struct leftover *next_due(struct engine_peer *ep, int64_t *ret_when)
{
    struct leftover *l;
    int64_t now = clock_mono_ns();
    *ret_when = INT64_MAX;
    list_each(l, &ep->leftovers, link)
    {
        if (l->not_before_ns <= now)
            return l;
        if (l->not_before_ns < *ret_when)
            *ret_when = l->not_before_ns;
    }
    return NULL;
}

/* An exit must be in the store before the sandboxer forgets it. */
static int save_all(struct engine_peer *ep, struct error *err)
{
    struct leftover *l;
    uint32_t count = 0;
    list_each(l, &ep->leftovers, link) count++;
    struct store_change nothing = {.kind = STORE_NOTHING};
    int r = store_commit(ep->engine->store, &nothing, err);
    if (r < 0)
        return r;
    list_each(l, &ep->leftovers, link)
    {
        if (!count--)
            break; /* came meanwhile */
        l->saved = true;
    }
    return 0;
}

static void postpone(struct engine_peer *ep, struct leftover *l)
{
    l->delay_ms = l->delay_ms ? l->delay_ms * 2 : FIRST_DELAY_MS;
    if (l->delay_ms > LAST_DELAY_MS)
        l->delay_ms = LAST_DELAY_MS;
    l->not_before_ns = clock_mono_ns() + l->delay_ms * NSEC_PER_MSEC;
    list_remove(&l->link);
    list_append(&ep->leftovers, &l->link);
}

static void handle(struct engine_peer *ep, struct leftover *l)
{
    struct error err = {0};
    if (!l->saved) {
        int r = save_all(ep, &err);
        if (r < 0) {
            postpone(ep, l);
            return;
        }
    }
    if (end_one(ep, l, &err) < 0) {
        diag_debug("end what is left of %s: %s", own_id(l), err.message);
        postpone(ep, l);
        return;
    }
    map_remove(&ep->engine->leftovers, own_id(l));
    list_remove(&l->link);
    ep->leftover_rows -= l->id && l->seq;
    leftover_free(l);
}

static void janitor(void *arg)
{
    struct engine_peer *ep = arg;
    struct engine *e = ep->engine;
    ep->janitor = co_self();
    while (!list_empty(&ep->leftovers) && !e->closing) {
        int64_t when = INT64_MAX;
        struct leftover *l = ep->ready ? next_due(ep, &when) : NULL;
        if (l)
            handle(ep, l);
        else
            co_park_until(when);
    }
    ep->janitor = NULL;
    ep->janitor_started = false;
    if (--e->busy == 0)
        co_queue_wake_all(&e->quiet);
}

void leftover_wake(struct engine_peer *ep)
{
    struct leftover *l;
    list_each(l, &ep->leftovers, link) l->not_before_ns = 0;
    if (ep->janitor)
        co_wake(ep->janitor);
}

/* Adding */

static void add(struct engine_peer *ep, struct leftover *made)
{
    auto(leftover) struct leftover *l = made;
    struct engine *e = ep->engine;
    if (e->leftovers.count >= LEFTOVERS_MAX || map_add(&e->leftovers, own_id(l), l) < 0)
        return; /* known already */
    ep->leftover_rows += l->id && l->seq;
    list_append(&ep->leftovers, &take_ptr(&l)->link);
    if (ep->janitor)
        co_wake(ep->janitor);
    if (ep->janitor_started || e->closing)
        return;
    ep->janitor_started = true;
    e->busy++;
    co_start(janitor, ep);
}

static char *copy(const char *s)
{
    char *c = s ? strdup(s) : NULL;
    if (s && !c)
        abort();
    return c;
}

static struct leftover *make(const char *sandbox_id, const char *id, const char *exec_id)
{
    struct leftover *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    list_init(&l->link);
    l->sandbox_id = copy(sandbox_id);
    l->id = copy(id);
    l->exec_id = copy(exec_id);
    return l;
}

void leftover_sandbox(struct engine_peer *ep, const char *id, int64_t seq, char *const *containers)
{
    struct leftover *l = make(id, NULL, NULL);
    l->seq = seq;
    l->containers = containers ? strv_copy(containers) : NULL;
    l->running = true;
    add(ep, l);
}

void leftover_container(struct engine_peer *ep, const char *sandbox_id, const char *id,
                        bool running)
{
    struct leftover *l = make(sandbox_id, id, NULL);
    l->running = running;
    add(ep, l);
}

void leftover_container_row(struct engine_peer *ep, const char *sandbox_id, const char *id,
                            int64_t seq)
{
    struct leftover *l = make(sandbox_id, id, NULL);
    l->seq = seq;
    l->running = true;
    add(ep, l);
}

void leftover_exec(struct engine_peer *ep, const char *sandbox_id, const char *id,
                   const char *exec_id)
{
    struct leftover *l = make(sandbox_id, id, exec_id);
    l->running = true;
    add(ep, l);
}

void leftover_remove_files(struct engine_peer *ep, const char *sandbox_id)
{
    /* each removal parks: what was seen before it may have gone */
    for (bool again = ep->leftover_rows; again;) {
        struct leftover *l;
        again = false;
        list_each(l, &ep->leftovers, link)
        {
            if (!l->id || !l->seq || l->files_gone || !str_eq(l->sandbox_id, sandbox_id))
                continue;
            l->files_gone = again = true;
            autofree char *id = copy(l->id);
            files_remove_container(ep->engine, id);
            break;
        }
    }
}

void leftover_free_all(struct engine_peer *ep)
{
    while (!list_empty(&ep->leftovers)) {
        struct leftover *l = list_first(&ep->leftovers, struct leftover, link);
        list_remove(&l->link);
        leftover_free(l);
    }
}
