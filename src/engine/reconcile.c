/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot says what is there, so what it does not name is gone, but for what was being made when the connection broke or
 * since: the sandboxer may have made that after it took the snapshot, and an answer may overtake the snapshot on
 * another connection. Such things are named by events, or by the next snapshot. */
#include "engine/reconcile.h"

#include <stdlib.h>

#include "base/base.h"
#include "engine/exec.h"
#include "engine/leftover.h"
#include "engine/state.h"

static void snapshot_begin(void *arg)
{
    struct engine_peer *ep = arg;
    ep->snapshot++;
}

static void disconnected(void *arg)
{
    struct engine_peer *ep = arg;
    ep->ready = false;
    ep->epoch++;
}

/* Sandboxes */

static void sandbox(void *arg, const struct peer_sandbox_state *s)
{
    struct engine_peer *ep = arg;
    struct pod_record *p = map_get(&ep->engine->pods, s->id);
    ep->heard_ns = clock_mono_ns();
    if (!p || pod_peer(p) != ep) {
        bool there = s->state == SANDBOX_CREATED || s->state == SANDBOX_RUNNING ||
                     s->state == SANDBOX_PAUSED;
        if ((there || !ep->ready) && str_check_id("sandbox id", s->id, NULL) == 0)
            leftover_sandbox(ep, s->id, 0, NULL);
        return;
    }
    p->seen = ep->snapshot;
    if (s->state == SANDBOX_STOPPED)
        pod_ended(ep->engine, p, s->exited_ns);
    else if (s->state == SANDBOX_RUNNING && p->pod.state == POD_READY && s->pid)
        p->pod.pid = s->pid;
}

/* Containers */

static void report_end(struct engine *e, struct container_record *c,
                       const struct peer_process_state *s)
{
    struct ending how = {.exit_code = (int)s->exit_status,
                         .finished_ns = s->exited_ns ? s->exited_ns : clock_wall_ns(),
                         .oom_killed = s->oom_killed,
                         .message = s->message};
    if (c->container.state == CONTAINER_CREATED && !c->starting && !s->started_ns)
        return; /* made there, never started: as it is here */
    /* started and ended while nobody here was looking, or before the start was answered */
    if (!c->container.started_ns)
        c->container.started_ns = s->started_ns;
    container_ended(e, c, &how);
}

static void known_container(struct engine_peer *ep, struct container_record *c,
                            const struct peer_process_state *s)
{
    struct engine *e = ep->engine;
    bool runs = s->state == SANDBOX_RUNNING || s->state == SANDBOX_PAUSED;
    c->seen = ep->snapshot;
    c->at_peer = true;
    if (s->state == SANDBOX_STOPPED) {
        report_end(e, c, s);
        if (c->container.state == CONTAINER_EXITED && !ep->ready)
            leftover_container(ep, s->sandbox_id, s->id, false);
    } else if (c->container.state == CONTAINER_EXITED && !c->starting) {
        /* a start that failed here went on there, or a connection broke before its undoing */
        leftover_container(ep, s->sandbox_id, s->id, true);
    } else if (runs && c->container.state == CONTAINER_CREATED && !c->starting) {
        container_started(e, c, s->pid, s->started_ns ? s->started_ns : clock_wall_ns());
    } else if (runs && c->container.state == CONTAINER_RUNNING && s->pid) {
        c->container.pid = s->pid;
    }
}

static void exec_process(struct engine_peer *ep, const struct peer_process_state *s)
{
    struct exec *x = map_get(&ep->engine->execs, s->exec_id);
    if (!x) {
        if ((s->state != SANDBOX_STOPPED || !ep->ready) &&
            str_check_id("exec id", s->exec_id, NULL) == 0)
            leftover_exec(ep, s->sandbox_id, s->id, s->exec_id);
        return;
    }
    x->seen = ep->snapshot;
    if (s->state == SANDBOX_STOPPED)
        exec_ended(x, (int)s->exit_status);
}

static void process(void *arg, const struct peer_process_state *s)
{
    struct engine_peer *ep = arg;
    struct engine *e = ep->engine;
    if (!str_empty(s->exec_id)) {
        exec_process(ep, s);
        return;
    }
    struct container_record *c = map_get(&e->containers, s->id);
    if (c && pod_peer(record_pod(c)) == ep) {
        known_container(ep, c, s);
        return;
    }
    /* that of an unknown sandbox goes with it */
    if (map_get(&e->pods, s->sandbox_id) && (s->state != SANDBOX_STOPPED || !ep->ready) &&
        str_check_id("container id", s->id, NULL) == 0)
        leftover_container(ep, s->sandbox_id, s->id, true);
}

/* Who was not named */

static void judge_pod(struct engine_peer *ep, struct pod_record *p)
{
    struct container *k;
    bool pod_gone = p->seen != ep->snapshot && p->epoch != ep->epoch;
    list_each(k, &p->pod.containers, in_pod)
    {
        struct container_record *c = container_record(k);
        bool gone = c->seen != ep->snapshot && c->epoch != ep->epoch && !c->starting;
        if (gone)
            c->at_peer = false;
        if (k->state == CONTAINER_RUNNING && (gone || pod_gone))
            container_lost(ep->engine, c,
                           "its sandboxer no longer knows it: what ran it has ended");
    }
    if (pod_gone)
        pod_ended(ep->engine, p, 0);
}

static void snapshot_end(void *arg)
{
    struct engine_peer *ep = arg;
    struct engine *e = ep->engine;
    struct pod *pod;
    struct exec *x;
    list_each(pod, &e->pod_list, in_engine) if (pod_peer(pod_record(pod)) == ep)
        judge_pod(ep, pod_record(pod));
    size_t cursor = 0;
    while ((x = map_next(&e->execs, &cursor)))
        if (x->peer == ep && !x->asking && x->seen != ep->snapshot && x->epoch != ep->epoch)
            exec_lost(x);
    ep->ready = true;
    co_queue_wake_all(&ep->becomes_ready);
    leftover_wake(ep);
}

const struct peer_observer reconcile_observer = {
    .snapshot_begin = snapshot_begin,
    .snapshot_end = snapshot_end,
    .sandbox = sandbox,
    .process = process,
    .disconnected = disconnected,
};
