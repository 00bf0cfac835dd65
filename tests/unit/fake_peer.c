/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"

struct report {
    struct list link;
    bool is_sandbox;
    char id[65], exec_id[65], sandbox_id[65];
    struct peer_sandbox_state sandbox;
    struct peer_process_state process;
};

struct fake_peer {
    struct peer peer;
    struct world *world;
    const struct peer_observer *observer;
    void *arg;
    bool watching, closed;
    bool connected; /* the snapshot was taken, reports are kept */
    uint32_t generation, watch;
    struct list reports;
    struct co *watcher;
};

/* ---- the world
 * ------------------------------------------------------------------------------------------- */

static uint32_t never(uint32_t n)
{
    return n - 1;
}

void world_init(struct world *w)
{
    *w = (struct world){.up = true, .next_pid = 1000, .random = never};
    list_init(&w->sandboxes);
    list_init(&w->truths);
}

static void free_process(struct fake_process *p)
{
    list_remove(&p->link);
    free(p->spec);
    free(p);
}

static void free_sandbox(struct fake_sandbox *s)
{
    while (!list_empty(&s->processes))
        free_process(list_first(&s->processes, struct fake_process, link));
    list_remove(&s->link);
    free(s);
}

void world_done(struct world *w)
{
    while (!list_empty(&w->sandboxes))
        free_sandbox(list_first(&w->sandboxes, struct fake_sandbox, link));
    while (!list_empty(&w->truths)) {
        struct fake_truth *t = list_first(&w->truths, struct fake_truth, link);
        list_remove(&t->link);
        free(t);
    }
}

static bool one_in(struct world *w, unsigned n)
{
    return n && w->random(n) == 0;
}

struct fake_sandbox *world_sandbox(struct world *w, const char *id)
{
    struct fake_sandbox *s;
    list_each(s, &w->sandboxes, link) if (str_eq(s->id, id)) return s;
    return NULL;
}

struct fake_process *world_process(struct world *w, const char *id, const char *exec_id)
{
    struct fake_sandbox *s;
    struct fake_process *p;
    list_each(s, &w->sandboxes, link) list_each(
        p, &s->processes, link) if (str_eq(p->id, id) && str_eq(p->exec_id, exec_id)) return p;
    return NULL;
}

struct fake_truth *world_truth(struct world *w, const char *id)
{
    struct fake_truth *t;
    list_each(t, &w->truths, link) if (str_eq(t->id, id)) return t;
    return NULL;
}

/* It is started (again: what was before counts no more). */
static void truth_begins(struct world *w, const struct fake_process *p)
{
    if (*p->exec_id)
        return;
    struct fake_truth *t = world_truth(w, p->id);
    if (!t) {
        t = calloc(1, sizeof *t);
        if (!t)
            abort();
        strcpy(t->id, p->id);
        list_init(&t->link);
        list_append(&w->truths, &t->link);
    }
    t->exited = t->lost = false;
}

unsigned world_count(const struct world *w)
{
    unsigned n = 0;
    struct fake_sandbox *s;
    struct fake_process *p;
    list_each(s, &w->sandboxes, link)
    {
        n++;
        list_each(p, &s->processes, link) n++;
    }
    return n;
}

/* ---- reports
 * --------------------------------------------------------------------------------------------- */

static struct report *report_of(const struct fake_sandbox *s, const struct fake_process *p)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    list_init(&r->link);
    strcpy(r->sandbox_id, s->id);
    r->is_sandbox = !p;
    r->sandbox = (struct peer_sandbox_state){.id = r->sandbox_id, .state = s->state, .pid = s->pid};
    if (p) {
        strcpy(r->id, p->id);
        strcpy(r->exec_id, p->exec_id);
        r->process = (struct peer_process_state){.id = r->id,
                                                 .exec_id = r->exec_id,
                                                 .sandbox_id = r->sandbox_id,
                                                 .state = p->state,
                                                 .pid = p->pid,
                                                 .started_ns = p->started_ns,
                                                 .exited_ns = p->exited_ns,
                                                 .exit_status = p->exit_status,
                                                 .oom_killed = p->oom_killed,
                                                 .message = ""};
    }
    return r;
}

static void report(struct world *w, const struct fake_sandbox *s, const struct fake_process *p)
{
    struct fake_peer *f = w->peer;
    if (!f || !f->connected || f->generation != w->generation || f->watch != w->watches)
        return;
    list_append(&f->reports, &report_of(s, p)->link);
    if (f->watcher)
        co_wake(f->watcher);
}

static void drop_reports(struct fake_peer *f)
{
    while (!list_empty(&f->reports)) {
        struct report *r = list_first(&f->reports, struct report, link);
        list_remove(&r->link);
        free(r);
    }
}

#define tell(w, ...)                                                                               \
    do {                                                                                           \
        if ((w)->tell)                                                                             \
            (w)->tell(__VA_ARGS__);                                                                \
    } while (0)

static void deliver(struct fake_peer *f, struct report *r)
{
    list_remove(&r->link);
    tell(f->world, "    report: %.8s %.8s is %d", r->id, r->is_sandbox ? r->sandbox_id : r->exec_id,
         r->is_sandbox ? (int)r->sandbox.state : (int)r->process.state);
    if (r->is_sandbox)
        f->observer->sandbox(f->arg, &r->sandbox);
    else
        f->observer->process(f->arg, &r->process);
    free(r);
}

static void pause_randomly(struct world *w)
{
    if (w->random == never)
        co_yield ();
    else if (w->random(3))
        co_sleep((int64_t)w->random(1u << w->random(24)));
}

static bool usable(const struct fake_peer *f)
{
    return !f->closed && f->world->up && f->generation == f->world->generation &&
           f->watch == f->world->watches;
}

static void send_snapshot(struct fake_peer *f)
{
    struct world *w = f->world;
    struct list all = LIST_INIT(all);
    struct fake_sandbox *s;
    struct fake_process *p;
    list_each(s, &w->sandboxes, link)
    {
        list_append(&all, &report_of(s, NULL)->link);
        list_each(p, &s->processes, link) list_append(&all, &report_of(s, p)->link);
    }
    f->connected = true;
    tell(w, "    a snapshot is taken");
    pause_randomly(w);
    if (usable(f))
        f->observer->snapshot_begin(f->arg);
    while (!list_empty(&all)) {
        struct report *r = list_first(&all, struct report, link);
        if (usable(f)) {
            deliver(f, r);
            if (!list_empty(&all))
                pause_randomly(w);
        } else {
            list_remove(&r->link);
            free(r);
        }
    }
    pause_randomly(w);
    if (usable(f))
        f->observer->snapshot_end(f->arg);
    tell(w, "    the snapshot has ended");
}

static void watch_once(struct fake_peer *f)
{
    struct world *w = f->world;
    f->generation = w->generation;
    f->watch = w->watches;
    send_snapshot(f);
    while (usable(f)) {
        struct report *r = w->report_late ? NULL : list_first(&f->reports, struct report, link);
        if (!r) {
            co_park_until(clock_mono_ns() + 10 * NSEC_PER_MSEC);
            continue;
        }
        if (w->random != never)
            pause_randomly(w);
        if (usable(f))
            deliver(f, r);
    }
    f->connected = false;
    drop_reports(f);
    if (!f->closed)
        f->observer->disconnected(f->arg);
}

static void watcher(void *arg)
{
    struct fake_peer *f = arg;
    f->watcher = co_self();
    while (!f->closed) {
        if (f->world->up)
            watch_once(f);
        else
            co_park_until(clock_mono_ns() + 5 * NSEC_PER_MSEC);
    }
    drop_reports(f);
    free(f);
}

static void fake_watch(struct peer *peer, const struct peer_observer *observer, void *arg)
{
    struct fake_peer *f = (struct fake_peer *)peer;
    f->observer = observer;
    f->arg = arg;
    f->watching = true;
    co_start(watcher, f);
}

static void fake_free(struct peer *peer)
{
    struct fake_peer *f = (struct fake_peer *)peer;
    f->closed = true;
    if (f->world->peer == f)
        f->world->peer = NULL;
    if (!f->watching)
        free(f);
    else if (f->watcher)
        co_wake(f->watcher);
}

static bool fake_connected(struct peer *peer)
{
    return usable((struct fake_peer *)peer);
}

/* ---- what happens by itself
 * ------------------------------------------------------------------------------- */

void world_exit(struct world *w, struct fake_process *p, uint32_t status)
{
    if (p->state != SANDBOX_RUNNING)
        return;
    p->state = SANDBOX_STOPPED;
    p->exit_status = status;
    p->exited_ns = clock_wall_ns();
    p->pid = 0;
    tell(w, "    world: %.8s %.8s ends with %u", p->id, p->exec_id, status);
    struct fake_truth *t = *p->exec_id ? NULL : world_truth(w, p->id);
    if (t) {
        t->exited = true;
        t->status = status;
    }
    report(w, p->sandbox, p);
    struct fake_process *x;
    list_each(x, &p->sandbox->processes,
              link) if (!*p->exec_id && *x->exec_id && str_eq(x->id, p->id)) world_exit(w, x, 137);
}

static void end_sandbox(struct world *w, struct fake_sandbox *s)
{
    struct fake_process *p;
    list_each(p, &s->processes, link) world_exit(w, p, 137);
    s->state = SANDBOX_STOPPED;
    s->pid = 0;
    tell(w, "    world: sandbox %.8s ends", s->id);
    report(w, s, NULL);
}

void world_sandbox_dies(struct world *w, struct fake_sandbox *s)
{
    if (s->state == SANDBOX_RUNNING)
        end_sandbox(w, s);
}

void world_crash(struct world *w)
{
    w->up = false;
    w->generation++;
    tell(w, "    world: the sandboxer crashes");
    if (w->peer && w->peer->watcher)
        co_wake(w->peer->watcher);
}

void world_restart(struct world *w)
{
    w->up = true;
    if (w->peer && w->peer->watcher)
        co_wake(w->peer->watcher);
}

void world_lose(struct world *w, struct fake_sandbox *s)
{
    struct fake_process *p;
    list_each(p, &s->processes, link)
    {
        struct fake_truth *t = *p->exec_id ? NULL : world_truth(w, p->id);
        if (t)
            t->lost = true;
    }
    free_sandbox(s);
}

static void exec_write(const char *path, const char *text)
{
    autoclose int fd = *path ? open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        abort();
}

/* Programs do what they were told to. */
static void tick_process(struct world *w, struct fake_process *p)
{
    if (p->state != SANDBOX_RUNNING)
        return;
    if (p->pending_signal == SIGKILL || (p->pending_signal && !p->stubborn))
        world_exit(w, p, 128 + (uint32_t)p->pending_signal);
    else if (*p->exec_id && !strstr(p->spec, "sleep") && !one_in(w, 3)) {
        exec_write(p->out, "out of the exec\n");
        exec_write(p->err_, "err of the exec\n");
        world_exit(w, p, strstr(p->spec, "false") ? 1 : 0);
    } else if (one_in(w, w->exit_1_in)) {
        p->oom_killed = w->random(5) == 0;
        world_exit(w, p, p->oom_killed ? 137 : w->random(4));
    }
}

static void tick(struct world *w)
{
    struct fake_sandbox *s;
    struct fake_process *p;
    list_each(s, &w->sandboxes, link)
    {
        list_each(p, &s->processes, link) tick_process(w, p);
        if (one_in(w, w->exit_1_in * 8))
            world_sandbox_dies(w, s);
    }
    if (!w->up) {
        list_each(s, &w->sandboxes, link) if (one_in(w, w->lose_1_in)) world_lose(w, s);
        if (w->random(8) == 0)
            world_restart(w);
    } else if (one_in(w, w->crash_1_in)) {
        world_crash(w);
    } else if (one_in(w, w->break_1_in)) {
        w->watches++;
        if (w->peer && w->peer->watcher)
            co_wake(w->peer->watcher);
    }
}

static void ticker(void *arg)
{
    struct world *w = arg;
    while (w->ticking) {
        tick(w);
        co_sleep(NSEC_PER_MSEC);
    }
}

void world_start(struct world *w)
{
    w->ticking = true;
    co_start(ticker, w);
}

void world_rest(struct world *w)
{
    w->ticking = false;
}

/* ---- calls
 * ------------------------------------------------------------------------------------------------
 */

struct call {
    struct fake_peer *f;
    uint32_t generation;
};

static int enter(struct call *c, struct peer *peer, enum fake_call which, struct error *err)
{
    c->f = (struct fake_peer *)peer;
    struct world *w = c->f->world;
    w->calls[which]++;
    c->generation = w->generation;
    if (!w->up)
        return fail_plain(err, ENOTCONN, "the sandboxer is not there");
    pause_randomly(w);
    if (!w->up || c->generation != w->generation)
        return fail_plain(err, ENOTCONN, "the sandboxer has gone before the call");
    if (one_in(w, w->fail_1_in))
        return fail_plain(err, EIO, "the simulation wants it to fail");
    return 0;
}

static int leave(struct call *c, int result, struct error *err)
{
    struct world *w = c->f->world;
    if (one_in(w, w->kill_1_in))
        w->kill_engine = true;
    pause_randomly(w);
    if (!w->up || c->generation != w->generation)
        return fail_plain(err, ENOTCONN, "the sandboxer has gone after the call");
    return result < 0 ? fail(err, result, "the sandboxer refuses") : result;
}

static int fake_sandbox_create(struct peer *peer, const char *id, const void *config,
                               size_t config_len, const char *netns_path, struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_CREATE, err);
    (void)config;
    (void)config_len;
    (void)netns_path;
    if (r < 0)
        return r;
    struct world *w = c.f->world;
    if (world_sandbox(w, id))
        return leave(&c, -EEXIST, err);
    struct fake_sandbox *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    strcpy(s->id, id);
    s->state = SANDBOX_CREATED;
    list_init(&s->processes);
    list_init(&s->link);
    list_append(&w->sandboxes, &s->link);
    report(w, s, NULL);
    return leave(&c, 0, err);
}

static int fake_sandbox_start(struct peer *peer, const char *id, pid_t *ret_pid, struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_START, err);
    if (r < 0)
        return r;
    struct world *w = c.f->world;
    struct fake_sandbox *s = world_sandbox(w, id);
    if (!s)
        return leave(&c, -ENOENT, err);
    s->state = SANDBOX_RUNNING;
    *ret_pid = s->pid = w->next_pid++;
    report(w, s, NULL);
    if (w->exit_1_in && one_in(w, 20))
        world_sandbox_dies(w, s);
    return leave(&c, 0, err);
}

static int fake_sandbox_stop(struct peer *peer, const char *id, uint32_t timeout_s,
                             struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_STOP, err);
    (void)timeout_s;
    if (r < 0)
        return r;
    struct fake_sandbox *s = world_sandbox(c.f->world, id);
    if (s && s->state != SANDBOX_STOPPED)
        end_sandbox(c.f->world, s);
    return leave(&c, 0, err);
}

static int fake_sandbox_shutdown(struct peer *peer, const char *id, struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_SHUTDOWN, err);
    if (r < 0)
        return r;
    struct fake_sandbox *s = world_sandbox(c.f->world, id);
    if (s) {
        if (s->state == SANDBOX_RUNNING)
            end_sandbox(c.f->world, s);
        free_sandbox(s);
    }
    return leave(&c, 0, err);
}

static struct fake_process *make_process(struct fake_sandbox *s,
                                         const struct peer_container *request)
{
    struct fake_process *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    list_init(&p->link);
    p->sandbox = s;
    strcpy(p->id, request->id);
    strcpy(p->exec_id, request->exec_id);
    p->state = SANDBOX_CREATED;
    p->spec = strndup(request->spec, request->spec_len);
    p->stubborn = strstr(p->spec, "stubborn");
    if (*p->exec_id) {
        snprintf(p->out, sizeof p->out, "%s", request->stdout_);
        snprintf(p->err_, sizeof p->err_, "%s", request->stderr_);
    }
    list_append(&s->processes, &p->link);
    return p;
}

static int fake_create(struct peer *peer, const struct peer_container *request, pid_t *ret_pid,
                       struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_CREATE, err);
    if (r < 0)
        return r;
    struct world *w = c.f->world;
    struct fake_sandbox *s = world_sandbox(w, request->sandbox_id);
    if (w->create_error) {
        r = w->create_error;
        w->create_error = 0;
        return leave(&c, r, err);
    }
    if (!s || s->state != SANDBOX_RUNNING)
        return leave(&c, -EINVAL, err);
    if (world_process(w, request->id, request->exec_id))
        return leave(&c, -EEXIST, err);
    struct fake_process *of = *request->exec_id ? world_process(w, request->id, "") : NULL;
    if (*request->exec_id && (!of || of->state != SANDBOX_RUNNING))
        return leave(&c, -EINVAL, err);
    struct fake_process *p = make_process(s, request);
    p->stubborn |= one_in(w, 4);
    *ret_pid = p->pid = w->next_pid++;
    report(w, s, p);
    return leave(&c, 0, err);
}

static int fake_start(struct peer *peer, const char *id, const char *exec_id, pid_t *ret_pid,
                      struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_START, err);
    if (r < 0)
        return r;
    struct world *w = c.f->world;
    if (w->hang_ms) {
        int ms = w->hang_ms;
        w->hang_ms = 0;
        co_sleep(ms * NSEC_PER_MSEC);
    }
    struct fake_process *p = world_process(w, id, exec_id);
    if (!p || p->sandbox->state != SANDBOX_RUNNING)
        return leave(&c, p ? -EINVAL : -ENOENT, err);
    if (p->state != SANDBOX_CREATED)
        return leave(&c, -EINVAL, err);
    p->state = SANDBOX_RUNNING;
    p->started_ns = clock_wall_ns();
    *ret_pid = p->pid;
    truth_begins(w, p);
    report(w, p->sandbox, p);
    if (w->exit_1_in && one_in(w, 4))
        world_exit(w, p, w->random(4)); /* many programs are short */
    return leave(&c, 0, err);
}

static int fake_kill(struct peer *peer, const char *id, const char *exec_id, int signal, bool all,
                     struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_KILL, err);
    (void)all;
    if (r < 0)
        return r;
    struct fake_process *p = world_process(c.f->world, id, exec_id);
    if (!p || p->state != SANDBOX_RUNNING)
        return leave(&c, p ? -ESRCH : -ENOENT, err);
    if (p->pending_signal != SIGKILL)
        p->pending_signal = signal;
    return leave(&c, 0, err);
}

static int fake_remove(struct peer *peer, const char *id, const char *exec_id,
                       uint32_t *exit_status, struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_REMOVE, err);
    if (r < 0)
        return r;
    struct fake_process *p = world_process(c.f->world, id, exec_id);
    if (!p)
        return leave(&c, -ENOENT, err);
    if (p->state == SANDBOX_RUNNING)
        return leave(&c, -EBUSY, err);
    if (exit_status)
        *exit_status = p->exit_status;
    tell(c.f->world, "    world: %.8s %.8s is forgotten", p->id, p->exec_id);
    free_process(p);
    return leave(&c, 0, err);
}

static int fake_update(struct peer *peer, const char *id, const char *resources, struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_REOPEN, err);
    (void)resources;
    return r < 0 ? r : leave(&c, world_process(c.f->world, id, "") ? 0 : -ENOENT, err);
}

static int fake_reopen_log(struct peer *peer, const char *id, struct error *err)
{
    return fake_update(peer, id, "", err);
}

static int fake_stats(struct peer *peer, char *const *sandbox_ids, char *const *container_ids,
                      struct arena *arena, struct peer_container_stats **ret, size_t *ret_count,
                      struct error *err)
{
    struct call c;
    int r = enter(&c, peer, CALL_REOPEN, err);
    (void)sandbox_ids;
    (void)container_ids;
    if (r < 0)
        return r;
    struct fake_sandbox *s;
    struct fake_process *p;
    *ret = arena_array(arena, struct peer_container_stats, world_count(c.f->world) + 1);
    *ret_count = 0;
    list_each(s, &c.f->world->sandboxes, link)
        list_each(p, &s->processes, link)(*ret)[(*ret_count)++] = (struct peer_container_stats){
            .id = arena_strdup(arena, p->id), .sandbox_id = arena_strdup(arena, s->id)};
    return leave(&c, 0, err);
}

static const struct peer_ops fake_ops = {
    .watch = fake_watch,
    .sandbox_create = fake_sandbox_create,
    .sandbox_start = fake_sandbox_start,
    .sandbox_stop = fake_sandbox_stop,
    .sandbox_shutdown = fake_sandbox_shutdown,
    .create = fake_create,
    .start = fake_start,
    .kill = fake_kill,
    .remove = fake_remove,
    .update = fake_update,
    .reopen_log = fake_reopen_log,
    .stats = fake_stats,
    .connected = fake_connected,
    .free = fake_free,
};

struct peer *world_connect(struct world *w)
{
    struct fake_peer *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->peer.ops = &fake_ops;
    f->world = w;
    list_init(&f->reports);
    w->peer = f;
    return &f->peer;
}
