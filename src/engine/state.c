/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/leftover.h"

void engine_observe(struct engine *e, struct engine_observer *o)
{
    list_append(&e->observers, &o->link);
}

void engine_unobserve(struct engine_observer *o)
{
    list_remove(&o->link);
}

void engine_emit(struct engine *e, enum engine_event_type type, int64_t at_ns,
                 const struct pod *pod, const struct container *container)
{
    struct engine_event event = {type, at_ns, pod, container};
    struct engine_observer *o;
    list_each(o, &e->observers, link) o->event(o->arg, &event);
}

void container_save(struct engine *e, const struct container_record *c)
{
    const struct container *k = &c->container;
    struct store_change change = {
        .kind = STORE_CONTAINER_SET,
        .container = {.seq = c->seq,
                      .phase =
                          c->removing ? CONTAINER_PHASE_REMOVING : (enum container_phase)k->state,
                      .pid = k->pid,
                      .started_ns = k->started_ns,
                      .finished_ns = k->finished_ns,
                      .exit_code = k->exit_code,
                      .reason = k->reason,
                      .message = k->message},
    };
    store_later(e->store, &change);
}

int container_save_now(struct engine *e, const struct container_record *c, struct error *err)
{
    struct store_change nothing = {.kind = STORE_NOTHING};
    container_save(e, c);
    return store_commit(e->store, &nothing, err);
}

void container_started(struct engine *e, struct container_record *c, pid_t pid, int64_t started_ns)
{
    c->container.state = CONTAINER_RUNNING;
    c->container.pid = pid;
    c->container.started_ns = started_ns;
    container_save(e, c);
    engine_emit(e, EVENT_STARTED, started_ns, c->container.pod, &c->container);
}

static void set_ending(struct container_record *c, const struct ending *how, const char *reason)
{
    c->container.exit_code = how->exit_code;
    c->container.finished_ns = how->finished_ns ? how->finished_ns : clock_wall_ns();
    c->container.reason = reason;
    free(c->container.message);
    c->container.message = str_empty(how->message) ? NULL : strdup(how->message);
}

void container_end_now(struct engine *e, struct container_record *c)
{
    struct pod_record *p = record_pod(c);
    c->ended_early = false;
    c->container.state = CONTAINER_EXITED;
    c->container.pid = 0;
    container_save(e, c);
    co_queue_wake_all(&c->changed);
    engine_emit(e, EVENT_STOPPED, c->container.finished_ns, &p->pod, &c->container);
    /* one whose pod goes as well is forgotten with it */
    if (c->at_peer && !c->removing && !p->stopping && !p->removing)
        leftover_container(pod_peer(p), p->pod.id, c->container.id, false);
}

void container_ended(struct engine *e, struct container_record *c, const struct ending *how)
{
    if (c->container.state == CONTAINER_EXITED && !c->guessed)
        return;
    c->guessed = false;
    set_ending(c, how, how->oom_killed ? "OOMKilled" : how->exit_code ? "Error" : "Completed");
    if (c->starting)
        c->ended_early = true;
    else
        container_end_now(e, c);
}

void container_lost(struct engine *e, struct container_record *c, const char *why)
{
    if (c->container.state == CONTAINER_EXITED)
        return;
    struct ending how = {.exit_code = 255, .finished_ns = clock_wall_ns(), .message = why};
    set_ending(c, &how, "Unknown");
    container_end_now(e, c);
    c->guessed = true;
}

void container_start_failed(struct engine *e, struct container_record *c, const struct error *why)
{
    struct ending how = {.exit_code = why->code == -ENOENT ? 127 : 128,
                         .finished_ns = clock_wall_ns(),
                         .message = why->message};
    set_ending(c, &how, "StartError");
    container_end_now(e, c);
}

void pod_save(struct engine *e, const struct pod_record *p)
{
    struct store_change change = {
        .kind = STORE_POD_SET,
        .pod = {.seq = p->seq,
                .phase = p->removing                 ? POD_PHASE_REMOVING
                         : p->pod.state == POD_READY ? POD_PHASE_READY
                                                     : POD_PHASE_NOT_READY,
                .pid = p->pod.pid},
    };
    store_later(e->store, &change);
}

void pod_ended(struct engine *e, struct pod_record *p, int64_t at_ns)
{
    if (p->creating) {
        p->ended_early = true;
        return;
    }
    if (p->pod.state == POD_NOT_READY)
        return;
    p->pod.state = POD_NOT_READY;
    p->pod.pid = 0;
    pod_save(e, p);
    engine_emit(e, EVENT_STOPPED, at_ns ? at_ns : clock_wall_ns(), &p->pod, NULL);
}
