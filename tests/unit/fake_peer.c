/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "fake_world.h"
#include "loop/loop.h"

/* Calls */

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
    world_pause(w);
    if (!w->up || c->generation != w->generation)
        return fail_plain(err, ENOTCONN, "the sandboxer has gone before the call");
    if (world_chance(w, w->fail_1_in))
        return fail_plain(err, EIO, "the simulation wants it to fail");
    return 0;
}

static int leave(struct call *c, int result, struct error *err)
{
    struct world *w = c->f->world;
    if (world_chance(w, w->kill_1_in))
        w->kill_engine = true;
    world_pause(w);
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
    world_report(w, s, NULL);
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
    world_report(w, s, NULL);
    if (w->exit_1_in && world_chance(w, 20))
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
        world_end_sandbox(c.f->world, s);
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
            world_end_sandbox(c.f->world, s);
        world_free_sandbox(s);
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
    p->stubborn |= world_chance(w, 4);
    *ret_pid = p->pid = w->next_pid++;
    world_report(w, s, p);
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
    world_truth_begins(w, p);
    world_report(w, p->sandbox, p);
    if (w->exit_1_in && world_chance(w, 4))
        world_exit(w, p, w->random(4)); /* many programs are short */
    return leave(&c, 0, err);
}

/* Two calls, with all that may happen between them: what a sandboxer does for one. */
static int fake_sandbox_run(struct peer *peer, const char *id, const void *config,
                            size_t config_len, const char *netns_path, pid_t *ret_pid,
                            struct error *err)
{
    int r = fake_sandbox_create(peer, id, config, config_len, netns_path, err);
    return r < 0 ? r : fake_sandbox_start(peer, id, ret_pid, err);
}

static int fake_run(struct peer *peer, const struct peer_container *request, pid_t *ret_pid,
                    struct error *err)
{
    int r = fake_create(peer, request, ret_pid, err);
    return r < 0 ? r : fake_start(peer, request->id, request->exec_id, ret_pid, err);
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
    world_free_process(p);
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

static bool fake_tells_all(struct peer *peer)
{
    (void)peer;
    return true;
}

static const struct peer_ops fake_ops = {
    .watch = world_watch,
    .sandbox_create = fake_sandbox_create,
    .sandbox_start = fake_sandbox_start,
    .sandbox_run = fake_sandbox_run,
    .sandbox_stop = fake_sandbox_stop,
    .sandbox_shutdown = fake_sandbox_shutdown,
    .create = fake_create,
    .start = fake_start,
    .run = fake_run,
    .kill = fake_kill,
    .remove = fake_remove,
    .update = fake_update,
    .reopen_log = fake_reopen_log,
    .stats = fake_stats,
    .connected = world_connected,
    .tells_all = fake_tells_all,
    .free = world_free_peer,
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
