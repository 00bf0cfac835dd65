/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/files.h"
#include "engine/handler.h"
#include "engine/leftover.h"
#include "engine/state.h"

enum {
    REPORTS_NS = 3000000000
}; /* how long the ends of a stopped pod's containers may take to be reported */

/* Run */

static char *make_key(const Runtime__V1__PodSandboxMetadata *m)
{
    return str_format("%s_%s_%s_%u", str_or_empty(m->name), str_or_empty(m->namespace_),
                      str_or_empty(m->uid), m->attempt);
}

static struct pod_record *make_record(struct engine *e, struct handler *h, const char *key,
                                      const Runtime__V1__PodSandboxConfig *config)
{
    size_t len = protobuf_c_message_get_packed_size(&config->base);
    autofree uint8_t *packed = malloc(len ? len : 1);
    if (!packed)
        return NULL;
    protobuf_c_message_pack(&config->base, packed);
    char id[ID_LEN + 1];
    id_new(id);
    struct pod_row row = {.seq = e->next_seq++,
                          .id = id,
                          .key = key,
                          .phase = POD_PHASE_CREATING,
                          .created_ns = clock_wall_ns(),
                          .config = packed,
                          .config_len = len};
    struct pod_record *p = pod_record_new(h, &row);
    if (p)
        p->creating = true;
    return p;
}

/* From here on the name is taken and the sandboxer's reports find the pod; nobody else does. */
static int reserve(struct engine *e, struct pod_record *p, struct error *err)
{
    const struct pod_record *other = map_get(&e->keys, p->pod.key);
    if (other)
        return fail_plain(err, EEXIST, "the name \"%s\" is taken by pod %s", p->pod.key,
                          other->pod.id);
    if (map_add(&e->keys, p->pod.key, p) < 0)
        return fail(err, ENOMEM, "keep pod \"%s\"", p->pod.key);
    if (map_add(&e->pods, p->pod.id, p) < 0) {
        map_remove(&e->keys, p->pod.key);
        return fail(err, ENOMEM, "keep pod \"%s\"", p->pod.key);
    }
    pod_record_ref(p);
    return 0;
}

static int commit(struct engine *e, struct pod_record *p, enum store_kind kind,
                  enum pod_phase phase, struct error *err)
{
    struct store_change change = {.kind = kind,
                                  .pod = {.seq = p->seq,
                                          .id = p->pod.id,
                                          .key = p->pod.key,
                                          .handler = p->pod.handler,
                                          .phase = phase,
                                          .pid = p->pod.pid,
                                          .created_ns = p->pod.created_ns,
                                          .config = p->pod.config.data,
                                          .config_len = p->pod.config.len}};
    return store_commit(e->store, &change, err);
}

/* Whether the pod may be written down after it was made: of one that nothing is left of but what its sandboxer tells at the next
 * start. */
static bool written_late(const struct pod_record *p)
{
    struct peer *peer = pod_peer(p)->peer;
    return !p->handler->linux && peer->ops->tells_all(peer);
}

static int make_sandbox(struct engine *e, struct pod_record *p,
                        const Runtime__V1__PodSandboxConfig *config, bool *ret_asked,
                        struct error *err)
{
    struct peer *peer = pod_peer(p)->peer;
    int r = files_make_pod(e, p, config, err);
    if (r < 0)
        return r;
    *ret_asked = true;
    r = peer->ops->sandbox_run(peer, p->pod.id, p->pod.config.data, p->pod.config.len, "",
                               &p->pod.pid, err);
    p->epoch = pod_peer(p)->epoch;
    if (r == 0)
        r = commit(e, p, p->written ? STORE_POD_SET : STORE_POD_ADD, POD_PHASE_READY, err);
    p->written |= r == 0;
    return r;
}

/* Nothing of it may stay; what cannot be undone now is a leftover, whose row tells the next start
 * if there is no later here. */
static void undo(struct engine *e, struct pod_record *p, bool asked)
{
    struct peer *peer = pod_peer(p)->peer;
    bool done = true;
    if (asked) {
        peer->ops->sandbox_stop(peer, p->pod.id, 0, NULL);
        int r = peer->ops->sandbox_shutdown(peer, p->pod.id, NULL);
        done = r == 0 || r == -ENOENT;
    }
    if (done) {
        files_remove_pod(e, p->pod.id);
        done = !p->written || commit(e, p, STORE_POD_DELETE, POD_PHASE_REMOVING, NULL) == 0;
    }
    if (!done)
        leftover_sandbox(pod_peer(p), p->pod.id, p->written ? p->seq : 0, NULL);
    pod_leave(e, p);
}

static void publish(struct engine *e, struct pod_record *p)
{
    p->creating = false;
    p->pod.state = POD_READY;
    list_append(&e->pod_list, &p->pod.in_engine);
    e->pod_count++;
    engine_emit(e, EVENT_CREATED, p->pod.created_ns, &p->pod, NULL);
    engine_emit(e, EVENT_STARTED, clock_wall_ns(), &p->pod, NULL);
    if (p->ended_early)
        pod_ended(e, p, 0);
}

int engine_pod_run(struct engine *e, const Runtime__V1__PodSandboxConfig *config,
                   const char *handler, char ret_id[65], struct error *err)
{
    if (!config || !config->metadata || str_empty(config->metadata->name))
        return fail_plain(err, EINVAL, "a pod needs a name: metadata.name is missing");
    struct handler *h = NULL;
    int r = handler_find(e, handler, &h, err);
    if (r == 0)
        r = peer_wait(h, err);
    if (r < 0)
        return r;
    autofree char *key = make_key(config->metadata);
    auto(pod_ref) struct pod_record *p = key ? make_record(e, h, key, config) : NULL;
    if (!p)
        return fail(err, ENOMEM, "keep pod \"%s\"", config->metadata->name);
    r = reserve(e, p, err);
    if (r < 0)
        return r;

    bool asked = false;
    if (!written_late(p)) {
        r = commit(e, p, STORE_POD_ADD, POD_PHASE_CREATING, err);
        p->written = r == 0;
    }
    if (r < 0) {
        pod_leave(e, p);
        return fail_in(err, r, "run pod \"%s\"", config->metadata->name);
    }
    r = make_sandbox(e, p, config, &asked, err);
    if (r < 0) {
        undo(e, p, asked);
        return fail_in(err, r, "run pod \"%s\"", config->metadata->name);
    }
    publish(e, p);
    memcpy(ret_id, p->pod.id, ID_LEN + 1);
    return 0;
}

/* Stop */

static struct container_record *any_running(const struct pod_record *p)
{
    struct container *k;
    list_each(k, &p->pod.containers,
              in_pod) if (k->state == CONTAINER_RUNNING) return container_record(k);
    return NULL;
}

/* The sandboxer has answered that all have ended; how, its reports say, which may be on their way.
 */
static void await_reports(struct engine *e, struct pod_record *p)
{
    int64_t deadline = clock_mono_ns() + REPORTS_NS;
    struct container_record *c;
    while ((c = any_running(p))) {
        auto(container_ref) struct container_record *held = container_record_ref(c);
        if (!co_queue_wait(&held->changed, deadline))
            break;
    }
    while ((c = any_running(p)))
        container_lost(e, c, "it ended with its pod; the sandboxer did not report how");
}

static int stop_held(struct engine *e, struct pod_record *p, struct error *err)
{
    struct peer *peer = pod_peer(p)->peer;
    if (p->pod.state == POD_NOT_READY && !any_running(p))
        return 0;
    int r = peer->ops->sandbox_stop(peer, p->pod.id, 0, err);
    if (r < 0 && r != -ENOENT)
        return fail_in(err, r, "stop pod %s", p->pod.id);
    await_reports(e, p);
    pod_ended(e, p, 0);
    return 0;
}

int engine_pod_stop(struct engine *e, const char *id, struct error *err)
{
    struct error why = {0};
    struct pod_record *found = pod_lookup(e, id, &why);
    if (!found)
        return why.code == -ENOENT ? 0 : fail_with(err, &why);
    auto(pod_ref) struct pod_record *ref = pod_record_ref(found);
    int r = peer_wait(ref->handler, err);
    if (r < 0)
        return r;
    ref->stopping++; /* refuses what is behind this in the queue, and in front of it as far as it
                        can */
    auto(pod_held) struct pod_record *p = pod_hold_ref(pod_record_ref(ref), NULL);
    if (p)
        r = stop_held(e, p, err);
    ref->stopping--;
    struct store_change nothing = {.kind = STORE_NOTHING};
    return r < 0 ? r : store_commit(e->store, &nothing, err);
}

/* Remove */

static int remove_held(struct engine *e, struct pod_record *p, struct error *err)
{
    struct peer *peer = pod_peer(p)->peer;
    if (p->pod.state == POD_READY || any_running(p))
        peer->ops->sandbox_stop(peer, p->pod.id, 0, NULL);
    int r = peer->ops->sandbox_shutdown(peer, p->pod.id, err);
    if (r < 0 && r != -ENOENT)
        return r;
    struct container *k;
    list_each(k, &p->pod.containers, in_pod) files_remove_container(e, k->id);
    leftover_remove_files(pod_peer(p), p->pod.id);
    files_remove_pod(e, p->pod.id);
    return commit(e, p, STORE_POD_DELETE, POD_PHASE_REMOVING, err);
}

int engine_pod_remove(struct engine *e, const char *id, struct error *err)
{
    struct error why = {0};
    struct pod_record *found = pod_lookup(e, id, &why);
    if (!found)
        return why.code == -ENOENT ? 0 : fail_with(err, &why);
    auto(pod_ref) struct pod_record *ref = pod_record_ref(found);
    int r = peer_wait(ref->handler, err);
    if (r < 0)
        return r;
    auto(pod_held) struct pod_record *p = pod_hold_ref(pod_record_ref(ref), NULL);
    if (!p)
        return 0;
    p->removing = true; /* for good: what failed half way can only be removed again */
    pod_save(e, p);
    struct store_change nothing = {.kind = STORE_NOTHING};
    r = store_commit(e->store, &nothing, err);
    if (r == 0)
        r = remove_held(e, p, err);
    if (r < 0)
        return fail_in(err, r, "remove pod %s", p->pod.id);
    struct container *k;
    list_each(k, &p->pod.containers, in_pod)
        engine_emit(e, EVENT_DELETED, clock_wall_ns(), &p->pod, k);
    engine_emit(e, EVENT_DELETED, clock_wall_ns(), &p->pod, NULL);
    pod_leave(e, p);
    return 0;
}
