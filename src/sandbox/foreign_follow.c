/* SPDX-License-Identifier: Apache-2.0 */
/* Following a foreign sandboxer: who is there is asked one by one, ends are waited for one by one, and that it is still there
 * is seen by asking for what cannot be. */
#include "sandbox/foreign_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "sandbox.pb-c.h"
#include "sandbox/foreign_bundle.h"
#include "sandbox/wire.h"
#include "task_v2.pb-c.h"

#define CONTROLLER &containerd__services__sandbox__v1__controller__descriptor
#define TASK       &containerd__task__v2__task__descriptor

enum { LOOK_S = 2, LOST_STATUS = 255 /* of one that ended while nobody could say how */ };

/* Telling */

void foreign_tell_sandbox(struct remote *c, const struct foreign_sandbox *sb)
{
    const struct peer_sandbox_state state = {.id = sb->id,
                                             .state = sb->state,
                                             .pid = sb->pid,
                                             .created_ns = sb->created_ns,
                                             .exited_ns = sb->exited_ns,
                                             .exit_status = sb->exit_status};
    if (c->observer && !sb->gone)
        c->observer->sandbox(c->observer_arg, &state);
}

void foreign_tell_process(struct remote *c, const struct foreign_process *p)
{
    const struct peer_process_state state = {.id = p->id,
                                             .exec_id = p->exec_id,
                                             .sandbox_id = p->sandbox->id,
                                             .state = p->state,
                                             .pid = p->pid,
                                             .created_ns = p->created_ns,
                                             .started_ns = p->started_ns,
                                             .exited_ns = p->exited_ns,
                                             .exit_status = p->exit_status,
                                             .message = ""};
    if (c->observer && !p->gone)
        c->observer->process(c->observer_arg, &state);
}

static void process_ended(struct remote *c, struct foreign_process *p, uint32_t status, int64_t at)
{
    if (p->state == SANDBOX_STOPPED)
        return;
    p->state = SANDBOX_STOPPED;
    p->exit_status = status;
    p->exited_ns = at ? at : clock_wall_ns();
    foreign_log_end(take_ptr(&p->log));
    foreign_tell_process(c, p);
}

static void sandbox_ended(struct remote *c, struct foreign_sandbox *sb, uint32_t status, int64_t at)
{
    if (sb->state == SANDBOX_STOPPED)
        return;
    sb->state = SANDBOX_STOPPED;
    sb->exit_status = status;
    sb->exited_ns = at ? at : clock_wall_ns();
    foreign_tell_sandbox(c, sb);
}

/* Waiting */

struct waiting {
    struct remote *c;
    struct foreign_sandbox *sb;
    struct foreign_process *p; /* NULL: for the sandbox */
};

/* The follower looks at once, instead of at its next look. */
static void broke(struct remote *c)
{
    foreign_table(c)->broken = true;
    co_queue_wake_all(&c->stop);
}

static int ask_sandbox_end(struct waiting *w, uint32_t *status, int64_t *at)
{
    auto(arena) struct arena arena = {0};
    Containerd__Services__Sandbox__V1__ControllerWaitRequest q =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_WAIT_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerWaitResponse *answer;
    q.sandbox_id = w->sb->id;
    struct remote_call call = {
        .service = CONTROLLER, .method = "Wait", .request = &q, .timeout_s = -1};
    int r = remote_call(w->c, &call, &arena, (void **)&answer, NULL);
    if (r < 0)
        return r;
    *status = answer->exit_status;
    *at = wire_time_ns(answer->exited_at);
    return 0;
}

static int ask_process_end(struct waiting *w, uint32_t *status, int64_t *at)
{
    auto(arena) struct arena arena = {0};
    Containerd__Task__V2__WaitRequest q = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
    Containerd__Task__V2__WaitResponse *answer;
    q.id = w->p->id;
    q.exec_id = w->p->exec_id;
    struct remote_call call = {
        .service = TASK, .method = "Wait", .request = &q, .timeout_s = -1, .id = w->p->id};
    int r = remote_call(w->c, &call, &arena, (void **)&answer, NULL);
    if (r < 0)
        return r;
    *status = answer->exit_status;
    *at = wire_time_ns(answer->exited_at);
    return 0;
}

static void wait_for_end(void *arg)
{
    struct waiting *w = arg;
    uint32_t status = LOST_STATUS;
    int64_t at = 0;
    int r = w->p ? ask_process_end(w, &status, &at) : ask_sandbox_end(w, &status, &at);
    *(w->p ? &w->p->waiting : &w->sb->waiting) = false;
    if (w->c->freeing)
        ;
    else if (r == -ENOTCONN)
        broke(w->c);
    else if (w->p)
        process_ended(w->c, w->p, status, at);
    else
        sandbox_ended(w->c, w->sb, status, at);
    if (w->p)
        foreign_process_unref(w->p);
    foreign_sandbox_unref(w->sb);
    remote_release(w->c);
    free(w);
}

static void start_waiting(struct remote *c, struct foreign_sandbox *sb, struct foreign_process *p)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct waiting){.c = c, .sb = sb, .p = p};
    remote_hold(c);
    sb->refs++;
    if (p)
        p->refs++;
    co_start(wait_for_end, w);
}

void foreign_wait_sandbox(struct remote *c, struct foreign_sandbox *sb)
{
    if (sb->waiting || sb->state != SANDBOX_RUNNING)
        return;
    sb->waiting = true;
    start_waiting(c, sb, NULL);
}

void foreign_wait_process(struct remote *c, struct foreign_process *p)
{
    if (p->waiting || p->state == SANDBOX_STOPPED || !p->started_ns)
        return;
    p->waiting = true;
    start_waiting(c, p->sandbox, p);
}

/* What an earlier engine left */

struct memory { /* of one container, read on the pool */
    char *dir, *config, *log;
};

static int read_memory(void *arg, struct error *err)
{
    struct memory *m = arg;
    int r = foreign_read(m->dir, "config.json", &m->config, err);
    return r < 0 ? r : foreign_read(m->dir, "log", &m->log, err);
}

static int recall_container(struct remote *c, struct foreign_sandbox *sb, const char *id,
                            struct error *err)
{
    autofree char *dir = foreign_bundle_dir(c->bundles, sb->id, id);
    autofree char *out = dir ? foreign_stdio(dir, "log+", "stdout") : NULL;
    autofree char *errors = dir ? foreign_stdio(dir, "log+", "stderr") : NULL;
    struct memory m = {.dir = dir};
    struct foreign_process *p;
    if (!out || !errors)
        return fail(err, ENOMEM, "recall container '%s'", id);
    int r = foreign_find(c, id, "") ? 0 : co_pool(read_memory, &m, err);
    autofree char *config = m.config, *log = m.log;
    if (r < 0 || !config || !*config || foreign_find(c, id, "") || sb->gone)
        return r;
    struct peer_container container = {
        .id = id, .sandbox_id = sb->id, .spec = config, .spec_len = strlen(config)};
    if (*log) {
        container.stdout_ = out;
        container.stderr_ = errors;
    }
    r = foreign_add_process(sb, &container, &p, err);
    if (r == 0 && *log)
        r = foreign_log_open(&p->log, dir, log, err);
    return r;
}

struct listing {
    char *dir;
    char **names;
    char *address;
};

static int list_dir(void *arg, struct error *err)
{
    struct listing *l = arg;
    int r = foreign_list(l->dir, &l->names, err);
    return r < 0 ? r : foreign_read(l->dir, "address", &l->address, err);
}

static int recall_sandbox(struct remote *c, const char *id, struct error *err)
{
    autofree char *dir = foreign_sandbox_dir(c->bundles, id);
    struct listing l = {.dir = dir};
    struct foreign_sandbox *sb;
    int r = dir ? co_pool(list_dir, &l, err) : fail(err, ENOMEM, "recall sandbox '%s'", id);
    auto(strv) char **names = l.names;
    autofree char *address = l.address;
    if (r == 0)
        r = foreign_add_sandbox(c, id, &sb, err);
    if (r < 0)
        return r;
    sb->refs++;
    if (!sb->task && *address)
        r = foreign_connect(sb, address, err);
    for (char **name = names; r == 0 && *name && !sb->gone; name++)
        r = recall_container(c, sb, *name, err);
    foreign_sandbox_unref(sb);
    return r;
}

static int recall(struct remote *c, struct error *err)
{
    struct listing l = {.dir = c->bundles};
    int r = c->bundles ? co_pool(list_dir, &l, err) : 0;
    auto(strv) char **names = l.names;
    free(l.address);
    for (char **name = names; r == 0 && name && *name; name++) {
        struct error one = {0};
        if (recall_sandbox(c, *name, &one) < 0)
            diag_warning("sandboxer at '%s': %s", c->path, one.message);
    }
    return r;
}

/* Who is there */

static int ask_sandbox(struct remote *c, struct foreign_sandbox *sb, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Services__Sandbox__V1__ControllerStatusRequest q =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_STATUS_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerStatusResponse *answer;
    q.sandbox_id = sb->id;
    struct remote_call call = {
        .service = CONTROLLER, .method = "Status", .request = &q, .timeout_s = 20};
    int r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r < 0)
        return r;
    bool ready = str_eq(answer->state, "SANDBOX_READY") || str_eq(answer->state, "running");
    sb->pid = (pid_t)answer->pid;
    sb->created_ns = wire_time_ns(answer->created_at);
    sb->exited_ns = wire_time_ns(answer->exited_at);
    sb->state = ready ? SANDBOX_RUNNING : sb->task ? SANDBOX_STOPPED : SANDBOX_CREATED;
    return 0;
}

static enum sandbox_state state_of(Containerd__V1__Types__Status status)
{
    switch (status) {
    case CONTAINERD__V1__TYPES__STATUS__CREATED:
        return SANDBOX_CREATED;
    case CONTAINERD__V1__TYPES__STATUS__STOPPED:
        return SANDBOX_STOPPED;
    case CONTAINERD__V1__TYPES__STATUS__PAUSED:
    case CONTAINERD__V1__TYPES__STATUS__PAUSING:
        return SANDBOX_PAUSED;
    default:
        return SANDBOX_RUNNING;
    }
}

static int ask_process(struct remote *c, struct foreign_process *p, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Task__V2__StateRequest q = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
    Containerd__Task__V2__StateResponse *answer;
    q.id = p->id;
    q.exec_id = p->exec_id;
    struct remote_call call = {
        .service = TASK, .method = "State", .request = &q, .timeout_s = 20, .id = p->id};
    int r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r < 0)
        return r;
    p->state = state_of(answer->status);
    p->pid = (pid_t)answer->pid;
    p->exit_status = answer->exit_status;
    p->exited_ns = wire_time_ns(answer->exited_at);
    if (!p->created_ns)
        p->created_ns = clock_wall_ns(); /* nobody remembers */
    if (!p->started_ns && p->state != SANDBOX_CREATED)
        p->started_ns = p->created_ns;
    if (p->state == SANDBOX_STOPPED)
        foreign_log_end(take_ptr(&p->log));
    return 0;
}

/* One that is not there is not named, and stays in the table until the engine removes it. */
static int ask_processes(struct remote *c, struct foreign_sandbox *sb, struct error *err)
{
    for (struct list *at = sb->processes.next; at != &sb->processes;) {
        struct foreign_process *p = container_of(at, struct foreign_process, link);
        p->refs++;
        int r = ask_process(c, p, err);
        if (r == 0) {
            foreign_tell_process(c, p);
            foreign_wait_process(c, p);
        }
        at = p->gone ? sb->processes.next : p->link.next;
        foreign_process_unref(p);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

static int ask_all(struct remote *c, struct error *err)
{
    struct list *head = &foreign_table(c)->sandboxes;
    for (struct list *at = head->next; at != head && !c->freeing;) {
        struct foreign_sandbox *sb = container_of(at, struct foreign_sandbox, link);
        sb->refs++;
        int r = ask_sandbox(c, sb, err);
        if (r == 0) {
            foreign_tell_sandbox(c, sb);
            foreign_wait_sandbox(c, sb);
            r = ask_processes(c, sb, err);
        }
        at = sb->gone ? head->next : sb->link.next;
        foreign_sandbox_unref(sb);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return c->freeing ? -ECANCELED : 0;
}

static int is_there(struct remote *c, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Services__Sandbox__V1__ControllerStatusRequest q =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_STATUS_REQUEST__INIT;
    void *answer;
    q.sandbox_id = (char *)"nobody";
    struct remote_call call = {
        .service = CONTROLLER, .method = "Status", .request = &q, .timeout_s = 20};
    int r = remote_call(c, &call, &arena, &answer, err);
    return r == -ENOTCONN || r == -ETIMEDOUT ? r : 0;
}

int foreign_follow(struct remote *c, struct error *err)
{
    remote_tell_begin(c);
    foreign_table(c)->broken = false;
    int r = recall(c, err);
    if (r == 0)
        r = ask_all(c, err);
    if (r == 0)
        remote_tell_end(c);
    while (r == 0 && !c->freeing) {
        if (foreign_table(c)->broken)
            return fail_plain(err, ENOTCONN, "it broke the connection");
        r = is_there(c, err);
        if (r == 0)
            remote_pause(c, LOOK_S * NSEC_PER_SEC);
    }
    return r;
}
