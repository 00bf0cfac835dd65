/* SPDX-License-Identifier: Apache-2.0 */
/* Watches a sandboxer: a snapshot, then its events; again after a break, from the cursor where the same process still has
 * what follows.
 *
 * snapshot_begin is told before the snapshot is asked for: so whatever the engine held by then is in it, unless it is gone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "sandbox/foreign.h"
#include "sandbox/remote.h"
#include "warren_sandbox.pb-c.h"

enum { BACKOFF_MIN_MS = 20, BACKOFF_MAX_MS = 1000 };

typedef Warren__Sandbox__V1__WatchResponse Message;

bool remote_pause(struct remote *c, int64_t ns)
{
    if (!c->freeing)
        co_queue_wait(&c->stop, clock_mono_ns() + ns);
    return !c->freeing;
}

static void tell_sandbox(struct remote *c, const Warren__Sandbox__V1__SandboxState *m)
{
    const struct peer_sandbox_state state = {
        .id = m->id,
        .state = (enum sandbox_state)m->state,
        .pid = (pid_t)m->pid,
        .created_ns = m->created_at,
        .exited_ns = m->exited_at,
        .exit_status = m->exit_status,
    };
    if (c->observer)
        c->observer->sandbox(c->observer_arg, &state);
}

static void tell_process(struct remote *c, const Warren__Sandbox__V1__ProcessState *m)
{
    const struct peer_process_state state = {
        .id = m->id,
        .exec_id = m->exec_id,
        .sandbox_id = m->sandbox_id,
        .state = (enum sandbox_state)m->state,
        .pid = (pid_t)m->pid,
        .created_ns = m->created_at,
        .started_ns = m->started_at,
        .exited_ns = m->exited_at,
        .exit_status = m->exit_status,
        .oom_killed = m->oom_killed,
        .message = m->message,
    };
    if (c->observer)
        c->observer->process(c->observer_arg, &state);
}

/* Removals are the engine's own doing: it is told of none. */
static void tell_event(struct remote *c, const Warren__Sandbox__V1__Event *e)
{
    if (e->what_case == WARREN__SANDBOX__V1__EVENT__WHAT_SANDBOX)
        tell_sandbox(c, e->sandbox);
    else if (e->what_case == WARREN__SANDBOX__V1__EVENT__WHAT_PROCESS)
        tell_process(c, e->process);
}

void remote_tell_begin(struct remote *c)
{
    if (c->observer)
        c->observer->snapshot_begin(c->observer_arg);
}

void remote_tell_end(struct remote *c)
{
    c->connected = true;
    if (c->observer)
        c->observer->snapshot_end(c->observer_arg);
}

static void tell_disconnected(struct remote *c)
{
    c->connected = false;
    c->kind = REMOTE_UNKNOWN;
    if (c->observer)
        c->observer->disconnected(c->observer_arg);
}

static void take_message(struct remote *c, const Message *m)
{
    for (size_t i = 0; i < m->n_sandboxes && !c->freeing; i++)
        tell_sandbox(c, m->sandboxes[i]);
    for (size_t i = 0; i < m->n_processes && !c->freeing; i++)
        tell_process(c, m->processes[i]);
    if (m->snapshot_end && !c->freeing)
        remote_tell_end(c);
    for (size_t i = 0; i < m->n_events && !c->freeing; i++)
        tell_event(c, m->events[i]);
}

/* A cursor is good only once its snapshot is whole. */
static void keep_cursor(struct remote *c, const Message *m)
{
    if (!c->connected)
        return;
    if (!c->instance || !str_eq(c->instance, m->instance)) {
        free(c->instance);
        c->instance = strdup(m->instance);
    }
    c->cursor = m->cursor;
}

static void forget_cursor(struct remote *c)
{
    free(take_ptr(&c->instance));
    c->cursor = 0;
}

/* Until the stream ends. 1 where the cursor was not good any more, else the negative errno. */
static int follow_stream(struct remote *c, struct rpc_stream *stream, bool resumes,
                         struct error *err)
{
    for (bool first = true;; first = false) {
        auto(arena) struct arena arena = {0};
        Message *m;
        int r = rpc_stream_receive(stream, &arena, (void **)&m, err);
        if (r == 0)
            return fail_plain(err, ENOTCONN, "it ended the watch");
        if (r < 0 || c->freeing)
            return r < 0 ? r : -ECANCELED;
        if (first && resumes && m->snapshot_begin)
            return 1;
        if (first && resumes)
            c->connected = true;
        take_message(c, m);
        keep_cursor(c, m);
    }
}

static int watch_once(struct remote *c, bool resumes, struct error *err)
{
    Warren__Sandbox__V1__WatchRequest q = WARREN__SANDBOX__V1__WATCH_REQUEST__INIT;
    struct rpc_stream *stream;
    if (resumes) {
        q.instance = c->instance;
        q.cursor = c->cursor;
    } else {
        remote_tell_begin(c);
    }
    int r = rpc_client_stream(c->grpc, &warren__sandbox__v1__extension__descriptor, NULL, "Watch",
                              &q, &stream, INT64_MAX, err);
    if (r < 0)
        return r;
    r = follow_stream(c, stream, resumes, err);
    rpc_stream_free(stream);
    return r;
}

/* One life of a connection: returns when it broke. */
static int follow_warren(struct remote *c, struct error *err)
{
    int r = watch_once(c, false, err);
    /* a stream that broke while both live goes on unnoticed, if it can at once */
    while (r < 0 && !c->freeing && c->instance && c->connected) {
        uint64_t before = c->cursor;
        r = watch_once(c, true, err);
        if (c->cursor == before)
            break;
    }
    forget_cursor(c);
    return r;
}

void remote_follow(void *arg)
{
    struct remote *c = arg;
    int64_t backoff = BACKOFF_MIN_MS;
    bool told = false;
    while (!c->freeing) {
        struct error err = {0};
        int r = remote_probe(c, &err);
        if (r == 0 && !c->freeing) {
            r = c->kind == REMOTE_FOREIGN ? foreign_follow(c, &err) : follow_warren(c, &err);
            if (c->connected)
                backoff = BACKOFF_MIN_MS;
            told = false;
            if (!c->freeing)
                tell_disconnected(c);
        }
        if (c->freeing)
            break;
        if (!told && r < 0)
            diag_warning("sandboxer at '%s': %s", c->path, err.message);
        told = true;
        remote_pause(c, backoff * NSEC_PER_MSEC);
        backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
    }
    remote_release(c);
}
