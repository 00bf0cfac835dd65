/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"

/* The world */

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

void world_free_process(struct fake_process *p)
{
    list_remove(&p->link);
    free(p->spec);
    free(p);
}

void world_free_sandbox(struct fake_sandbox *s)
{
    while (!list_empty(&s->processes))
        world_free_process(list_first(&s->processes, struct fake_process, link));
    list_remove(&s->link);
    free(s);
}

void world_done(struct world *w)
{
    while (!list_empty(&w->sandboxes))
        world_free_sandbox(list_first(&w->sandboxes, struct fake_sandbox, link));
    while (!list_empty(&w->truths)) {
        struct fake_truth *t = list_first(&w->truths, struct fake_truth, link);
        list_remove(&t->link);
        free(t);
    }
}

bool world_chance(struct world *w, unsigned n)
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
void world_truth_begins(struct world *w, const struct fake_process *p)
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

/* Reports */

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

void world_report(struct world *w, const struct fake_sandbox *s, const struct fake_process *p)
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

void world_pause(struct world *w)
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
    world_pause(w);
    if (usable(f))
        f->observer->snapshot_begin(f->arg);
    while (!list_empty(&all)) {
        struct report *r = list_first(&all, struct report, link);
        if (usable(f)) {
            deliver(f, r);
            if (!list_empty(&all))
                world_pause(w);
        } else {
            list_remove(&r->link);
            free(r);
        }
    }
    world_pause(w);
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
            world_pause(w);
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

void world_watch(struct peer *peer, const struct peer_observer *observer, void *arg)
{
    struct fake_peer *f = (struct fake_peer *)peer;
    f->observer = observer;
    f->arg = arg;
    f->watching = true;
    co_start(watcher, f);
}

void world_free_peer(struct peer *peer)
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

bool world_connected(struct peer *peer)
{
    return usable((struct fake_peer *)peer);
}

/* What happens by itself */

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
    world_report(w, p->sandbox, p);
    struct fake_process *x;
    list_each(x, &p->sandbox->processes,
              link) if (!*p->exec_id && *x->exec_id && str_eq(x->id, p->id)) world_exit(w, x, 137);
}

void world_end_sandbox(struct world *w, struct fake_sandbox *s)
{
    struct fake_process *p;
    list_each(p, &s->processes, link) world_exit(w, p, 137);
    s->state = SANDBOX_STOPPED;
    s->pid = 0;
    tell(w, "    world: sandbox %.8s ends", s->id);
    world_report(w, s, NULL);
}

void world_sandbox_dies(struct world *w, struct fake_sandbox *s)
{
    if (s->state == SANDBOX_RUNNING)
        world_end_sandbox(w, s);
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
    world_free_sandbox(s);
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
    else if (*p->exec_id && !strstr(p->spec, "sleep") && !world_chance(w, 3)) {
        exec_write(p->out, "out of the exec\n");
        exec_write(p->err_, "err of the exec\n");
        world_exit(w, p, strstr(p->spec, "false") ? 1 : 0);
    } else if (world_chance(w, w->exit_1_in)) {
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
        if (world_chance(w, w->exit_1_in * 8))
            world_sandbox_dies(w, s);
    }
    if (!w->up) {
        list_each(s, &w->sandboxes, link) if (world_chance(w, w->lose_1_in)) world_lose(w, s);
        if (w->random(8) == 0)
            world_restart(w);
    } else if (world_chance(w, w->crash_1_in)) {
        world_crash(w);
    } else if (world_chance(w, w->break_1_in)) {
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
