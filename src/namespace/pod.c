/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "namespace/pod.h"

enum {
    KILL_WAIT_S = 10,  /* for what was killed to be gone */
    LEAVE_WAIT_S = 10, /* for the keeper to leave */
    STATUS_KILLED = 128 + SIGKILL,
};

/* Cgroups */

/* One group a container, named POD+CONTAINER: a group of the pod's own around them would cost as much as theirs, and limit
 * nothing. */
int pod_container_cgroup(const struct pod *p, const char *id, struct cgroup *ret, struct error *err)
{
    const char *given = p->config.cgroup_parent; /* the pod's own group (the kubelet's) */
    autofree char *path =
        *given ? str_format("%s/%s", given, id) : str_format("%s+%s", p->sb->id, id);
    return path ? cgroup_name_path(p->t->cgroups, path, ret, err)
                : fail(err, ENOMEM, "name a cgroup");
}

/* Life */

void pod_free(struct pod *p)
{
    if (!p)
        return;
    holder_free(p->holder);
    pod_config_done(&p->config);
    free(p);
}

int pod_new(struct namespaces *t, struct sandbox *sb, struct pod **ret, struct error *err)
{
    struct pod *p = calloc(1, sizeof *p);
    if (!p)
        return fail(err, ENOMEM, "hold sandbox '%s'", sb->id);
    p->t = t;
    p->sb = sb;
    co_queue_init(&p->gone);
    int r = pod_config_read(sb, &p->config, err);
    if (r < 0) {
        pod_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

int namespace_sandbox_create(void *t, struct sandbox *sb, struct error *err)
{
    struct pod *p;
    autofree char *name = NULL;
    int r = holder_name(sb->id, &name, err);
    if (!r)
        r = pod_new(t, sb, &p, err);
    if (!r)
        sb->technique = p;
    return r;
}

/* What the keeper tells */

static void exited(void *arg, const char *id, const char *exec_id, uint32_t status,
                   int64_t exited_ns, bool oom_killed, const char *message)
{
    struct pod *p = arg;
    struct process *process = sandboxer_find_process(p->sb->sandboxer, id, exec_id);
    if (process && process->sandbox == p->sb)
        process_exited(process, status, exited_ns, oom_killed, *message ? message : NULL);
}

/* A keeper that ended without being asked to: its containers end with it by their parent-death signal; those that took that
 * off, and what they forked, by their cgroup. */
static void kill_orphans(struct sandbox *sb)
{
    struct process *p;
    list_each(p, &sb->processes, link)
    {
        const struct unit *u = p->technique;
        struct error err = {0};
        if (u && u->own_cgroup && cgroup_kill(&u->cgroup, SIGKILL, &err) < 0 &&
            err.code != -ESRCH && err.code != -ENOENT)
            diag_warning("sandbox '%s': %s", sb->id, err.message);
    }
}

static void gone(void *arg)
{
    struct pod *p = arg;
    bool unasked = p->running;
    p->holder = NULL;
    p->running = false;
    co_queue_wake_all(&p->gone);
    if (!unasked)
        return;
    diag_error("the keeper of sandbox '%s' has ended; its containers end with it", p->sb->id);
    kill_orphans(p->sb);
    sandbox_exited(p->sb, STATUS_KILLED, clock_wall_ns());
}

const struct holder_observer pod_observer = {.exited = exited, .gone = gone};

/* Start */

static int ask_init(struct pod *p, const struct buffer *record, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    int r = wire_put_u32(&b, p->config.wire_flags);
    if (!r)
        r = wire_put_str(&b, p->config.hostname);
    if (!r)
        r = wire_put_str(&b, p->sb->netns_path);
    if (!r)
        r = wire_put_bytes(&b, record->data, record->len);
    if (!r)
        r = wire_put_bytes(&b, p->config.sysctls.data, p->config.sysctls.len);
    if (r < 0)
        return fail(err, r, "tell the keeper of its pod");
    return holder_call(p->holder, WIRE_INIT, &b, NULL, err);
}

static void unlink_socket(const struct pod *p)
{
    autofree char *name = NULL;
    if (holder_name(p->sb->id, &name, NULL) == 0)
        unlinkat(p->t->dir_fd, name, 0);
}

int namespace_sandbox_start(void *t, struct sandbox *sb, const struct buffer *record,
                            struct error *err)
{
    struct namespaces *n = t;
    struct pod *p = sb->technique;
    int r = holder_spawn(n->dir_fd, n->keeper, sb->id, &pod_observer, p, &p->holder, err);
    if (r < 0)
        return r;
    r = ask_init(p, record, err);
    if (r < 0) { /* a keeper without a pod leaves when nobody is connected to it */
        holder_free(p->holder);
        p->holder = NULL;
        unlink_socket(p);
        return r;
    }
    sb->pid = holder_pid(p->holder);
    p->running = true;
    return 0;
}

/* Stop */

static bool runs(const struct process *p)
{
    return p->pid > 0 && !p->exited_ns;
}

static bool all_ended(struct sandbox *sb, int64_t deadline_ns)
{
    /* the list may change while waiting: from its beginning again after each */
    for (;;) {
        struct process *p, *waited = NULL;
        list_each(p, &sb->processes, link) if (runs(p)) waited = p;
        if (!waited)
            return true;
        if (!co_queue_wait(&waited->exited, deadline_ns))
            return false;
    }
}

static void signal_all(struct namespaces *t, struct sandbox *sb, int signal)
{
    struct process *p;
    list_each(p, &sb->processes, link)
    {
        struct error err = {0};
        if (!runs(p))
            continue;
        if (p->state == SANDBOX_PAUSED)
            namespace_resume(t, p, NULL);
        /* what has not been started would be PID 1 without a handler: nothing but SIGKILL ends it */
        bool kill = signal == SIGKILL || p->state == SANDBOX_CREATED;
        if (namespace_signal(t, p, kill ? SIGKILL : signal, kill, &err) < 0 && err.code != -ESRCH)
            diag_warning("stop sandbox '%s': %s", sb->id, err.message);
    }
}

static void tell_rest(struct pod *p)
{
    auto(buffer) struct buffer b = {0};
    if (p->holder && wire_put_i64(&b, clock_wall_ns()) == 0)
        holder_call(p->holder, WIRE_REST, &b, NULL, NULL);
}

int namespace_sandbox_stop(void *t, struct sandbox *sb, int64_t deadline_ns, struct error *err)
{
    struct pod *p = sb->technique;
    if (!p)
        return 0;
    if (deadline_ns > clock_mono_ns()) {
        signal_all(t, sb, SIGTERM);
        all_ended(sb, deadline_ns);
    }
    if (!all_ended(sb, 0)) {
        signal_all(t, sb, SIGKILL);
        if (!all_ended(sb, clock_mono_ns() + KILL_WAIT_S * NSEC_PER_SEC))
            return fail_plain(err, ETIMEDOUT, "a process of it does not end %d s after SIGKILL",
                              KILL_WAIT_S);
    }
    tell_rest(p);
    return 0;
}

/* Remove */

static void dismiss_keeper(struct pod *p)
{
    p->running = false;
    if (!p->holder)
        return;
    holder_call(p->holder, WIRE_LEAVE, NULL, NULL, NULL);
    int64_t deadline = clock_mono_ns() + LEAVE_WAIT_S * NSEC_PER_SEC;
    while (p->holder && co_queue_wait(&p->gone, deadline))
        ;
    if (p->holder && holder_pid(p->holder) > 0) {
        diag_warning("the keeper of sandbox '%s' does not leave and is killed", p->sb->id);
        kill(holder_pid(p->holder), SIGKILL);
    }
}

int namespace_sandbox_remove(void *t, struct sandbox *sb, struct error *err)
{
    (void)t;
    (void)err;
    struct pod *p = sb->technique;
    if (!p)
        return 0;
    dismiss_keeper(p);
    unlink_socket(p);
    sb->technique = NULL;
    pod_free(p);
    return 0;
}
