/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot's pieces are taken while the table goes on changing. What changed after the watcher's cursor is told again by an
 * event, and an event carries the state of its sending: so a watcher's picture only ever gets newer. */
#include "sandbox/watch.h"

#include <errno.h>

#include "base/error.h"
#include "base/str.h"
#include "sandbox/server.h"

enum { PIECE = 256 }; /* things in one message: about 64 KB */

typedef Warren__Sandbox__V1__WatchResponse Message;

struct watching {
    struct rpc_call *call;
    struct sandboxer *s;
    struct event_watcher watcher;
    size_t room; /* of the processes in the message that is being filled */
};

static Warren__Sandbox__V1__SandboxState *sandbox_state(struct arena *a, const struct sandbox *sb)
{
    Warren__Sandbox__V1__SandboxState *m = arena_new(a, Warren__Sandbox__V1__SandboxState);
    warren__sandbox__v1__sandbox_state__init(m);
    m->id = arena_strdup(a, sb->id);
    m->state = (Warren__Sandbox__V1__State)sb->state;
    m->pid = (uint32_t)sb->pid;
    m->created_at = sb->created_ns;
    m->exited_at = sb->exited_ns;
    m->exit_status = sb->exit_status;
    return m;
}

static Warren__Sandbox__V1__ProcessState *process_state(struct arena *a, const struct process *p)
{
    Warren__Sandbox__V1__ProcessState *m = arena_new(a, Warren__Sandbox__V1__ProcessState);
    warren__sandbox__v1__process_state__init(m);
    m->id = arena_strdup(a, p->id);
    m->exec_id = arena_strdup(a, p->exec_id);
    m->sandbox_id = arena_strdup(a, p->sandbox->id);
    m->state = (Warren__Sandbox__V1__State)p->state;
    m->pid = (uint32_t)p->pid;
    m->created_at = p->created_ns;
    m->started_at = p->started_ns;
    m->exited_at = p->exited_ns;
    m->exit_status = p->exit_status;
    m->oom_killed = p->oom_killed;
    m->message = arena_strdup(a, str_or_empty(p->message));
    return m;
}

static Message *message_new(struct watching *w, struct arena *a)
{
    Message *m = arena_new(a, Message);
    warren__sandbox__v1__watch_response__init(m);
    m->instance = w->s->instance;
    m->cursor = w->watcher.cursor;
    return m;
}

/* Snapshot */

static void add_process(struct watching *w, Message *m, struct arena *a, const struct process *p)
{
    if (m->n_processes == w->room) {
        w->room = w->room ? w->room * 2 : PIECE;
        Warren__Sandbox__V1__ProcessState **grown =
            arena_array(a, Warren__Sandbox__V1__ProcessState *, w->room);
        for (size_t i = 0; i < m->n_processes; i++)
            grown[i] = m->processes[i];
        m->processes = grown;
    }
    m->processes[m->n_processes++] = process_state(a, p);
}

static void add_sandbox(struct watching *w, Message *m, struct arena *a, const struct sandbox *sb)
{
    struct process *p;
    m->sandboxes[m->n_sandboxes++] = sandbox_state(a, sb);
    list_each(p, &sb->processes, link) if (!p->making) add_process(w, m, a, p);
}

/* Where the snapshot goes on: after last, or, where that has gone meanwhile, at the first that is younger. */
static struct list *next_place(const struct sandboxer *s, const struct sandbox *last)
{
    if (!last)
        return s->all.next;
    if (!last->gone)
        return last->table.next;
    struct list *at = s->all.next;
    while (at != &s->all && container_of(at, struct sandbox, table)->serial <= last->serial)
        at = at->next;
    return at;
}

/* Fills one message with what comes after *last, which moves on (with its reference). Returns whether that was all. */
static bool fill_piece(struct watching *w, struct arena *a, Message *m, struct sandbox **last)
{
    m->sandboxes = arena_array(a, Warren__Sandbox__V1__SandboxState *, PIECE);
    w->room = 0;
    for (struct list *at = next_place(w->s, *last); at != &w->s->all; at = at->next) {
        struct sandbox *sb = container_of(at, struct sandbox, table);
        if (sb->making)
            continue;
        if (m->n_sandboxes + m->n_processes >= PIECE / 2)
            return false;
        add_sandbox(w, m, a, sb);
        sandbox_ref(sb);
        sandbox_unref(*last);
        *last = sb;
    }
    return true;
}

static int send_snapshot(struct watching *w, struct error *err)
{
    auto(sandbox_unref) struct sandbox *last = NULL;
    for (bool first = true, end = false; !end; first = false) {
        auto(arena) struct arena a = {0};
        Message *m = message_new(w, &a);
        end = fill_piece(w, &a, m, &last);
        m->snapshot_begin = first;
        m->snapshot_end = end;
        int r = rpc_send(w->call, m, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Events */

/* NULL where a later event of the same thing will tell. */
static Warren__Sandbox__V1__Event *event_of_sandbox(struct sandboxer *s, struct arena *a,
                                                    const struct event *e)
{
    struct sandbox *sb = map_get(&s->sandboxes, e->key);
    if (sb && (sb->making || sb->changed > e->cursor))
        return NULL;
    Warren__Sandbox__V1__Event *m = arena_new(a, Warren__Sandbox__V1__Event);
    warren__sandbox__v1__event__init(m);
    m->cursor = e->cursor;
    m->what_case = sb ? WARREN__SANDBOX__V1__EVENT__WHAT_SANDBOX
                      : WARREN__SANDBOX__V1__EVENT__WHAT_SANDBOX_REMOVED;
    if (sb)
        m->sandbox = sandbox_state(a, sb);
    else
        m->sandbox_removed = arena_strdup(a, e->key);
    return m;
}

static Warren__Sandbox__V1__Event *event_of_process(struct sandboxer *s, struct arena *a,
                                                    const struct event *e)
{
    struct process *p = map_get(&s->processes, e->key);
    if (p && (p->making || p->changed > e->cursor))
        return NULL;
    Warren__Sandbox__V1__Event *m = arena_new(a, Warren__Sandbox__V1__Event);
    warren__sandbox__v1__event__init(m);
    m->cursor = e->cursor;
    m->what_case = p ? WARREN__SANDBOX__V1__EVENT__WHAT_PROCESS
                     : WARREN__SANDBOX__V1__EVENT__WHAT_PROCESS_REMOVED;
    if (p)
        m->process = process_state(a, p);
    else
        m->process_removed = arena_strdup(a, e->key);
    return m;
}

static int send_events(struct watching *w, struct error *err)
{
    auto(arena) struct arena a = {0};
    Warren__Sandbox__V1__Event **events = arena_array(&a, Warren__Sandbox__V1__Event *, PIECE);
    size_t n = 0;
    const struct event *e;
    while (n < PIECE && (e = event_take(&w->s->events, &w->watcher))) {
        events[n] = e->sandbox ? event_of_sandbox(w->s, &a, e) : event_of_process(w->s, &a, e);
        n += events[n] != NULL;
    }
    if (!n)
        return 0;
    Message *m = message_new(w, &a);
    m->events = events;
    m->n_events = n;
    return rpc_send(w->call, m, err);
}

static bool is_behind(const struct watching *w)
{
    return w->watcher.cursor < w->s->events.cursor;
}

static void wake(void *arg)
{
    co_queue_wake_all(arg);
}

static int follow(struct watching *w, struct error *err)
{
    while (!rpc_cancelled(w->call)) {
        if (w->watcher.dropped)
            return fail_plain(err, E2BIG, "this watcher is too far behind: watch again");
        if (is_behind(w))
            event_rest(&w->s->events, &w->watcher);
        int r = rpc_cancelled(w->call) ? 0 : send_events(w, err);
        if (r < 0)
            return r;
        if (!is_behind(w) && !w->watcher.dropped && !rpc_cancelled(w->call))
            co_queue_wait(&w->watcher.wake, INT64_MAX);
    }
    return 0;
}

int sandbox_watch(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    (void)response;
    const Warren__Sandbox__V1__WatchRequest *q = request;
    struct watching w = {.call = call, .s = rpc_context(call)};
    bool goes_on = str_eq(q->instance, w.s->instance) && event_log_has(&w.s->events, q->cursor);
    event_watch(&w.s->events, &w.watcher, goes_on ? q->cursor : w.s->events.cursor);
    rpc_on_cancel(call, wake, &w.watcher.wake);
    int r = 0;
    if (!goes_on)
        r = send_snapshot(&w, err);
    else { /* says at once that it goes on */
        auto(arena) struct arena a = {0};
        r = rpc_send(call, message_new(&w, &a), err);
    }
    if (r == 0)
        r = follow(&w, err);
    event_unwatch(&w.watcher);
    return r;
}
