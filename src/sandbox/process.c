/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on containers and execs. */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sandbox/record.h"

enum { EXEC_END_S = 10 }; /* how long the removal of a container waits for an exec that it killed */

static const char *kind(const struct process *p)
{
    return *p->exec_id ? "exec" : "container";
}

/* Making and removing */

static int start_locked(struct sandboxer *s, struct process *p, struct error *err);

/* By the technique, in one step or two. */
static int make(struct sandboxer *s, struct process *p, bool run, const struct buffer *record,
                struct error *err)
{
    int (*one)(void *t, struct process *p, const struct buffer *record, struct error *err) =
        run ? s->technique->run : NULL;
    if (!one)
        return s->technique->create(s->t, p, record, err);
    p->started_ns = clock_wall_ns(); /* first, for an exit that is told while it is under way */
    return one(s->t, p, record, err);
}

static int create_in(struct sandboxer *s, struct sandbox *sb, const struct process_request *request,
                     pid_t *ret_pid, struct error *err)
{
    auto(process_unref) struct process *p = NULL;
    auto(buffer) struct buffer record = {0};
    if (sb->state != SANDBOX_RUNNING)
        return fail_plain(err, EPROTO, "sandbox '%s' is not running", sb->id);
    int r = table_add_process(s, sb, request, &p, err);
    if (r < 0)
        return r;
    p->spec = request->spec;
    p->spec_len = request->spec_len;
    p->rootfs = request->rootfs;
    p->rootfs_count = request->rootfs_count;
    r = record_of_process(p, &record);
    if (r < 0)
        fail(err, r, "make its record");
    else
        r = make(s, p, request->start, &record, err);
    p->spec = NULL;
    p->rootfs = NULL;
    p->spec_len = p->rootfs_count = 0;
    if (r < 0) {
        table_drop_process(p);
        return fail_in(err, r, "create %s '%s'", kind(p), p->key);
    }
    p->making = false;
    if (!p->exited_ns)
        p->state = p->started_ns ? SANDBOX_RUNNING : SANDBOX_CREATED;
    process_changed(p);
    if (request->start && !p->started_ns && (r = start_locked(s, p, err)) < 0) {
        process_delete_locked(p, NULL);
        return r;
    }
    *ret_pid = p->pid;
    return 0;
}

/* An exec needs its container running. */
static int create_exec(struct sandboxer *s, const struct process_request *request, pid_t *ret_pid,
                       struct error *err)
{
    auto(process_entered) struct process *container = NULL;
    int r = sandboxer_enter_process(s, request->id, "", &container, err);
    if (r < 0)
        return r;
    if (container->state != SANDBOX_RUNNING)
        return fail_plain(err, EPROTO, "container '%s' is not running", request->id);
    return create_in(s, container->sandbox, request, ret_pid, err);
}

int process_create(struct sandboxer *s, const struct process_request *request, pid_t *ret_pid,
                   struct error *err)
{
    if (!s->technique->create)
        return sandboxer_unsupported(s, "create a container", err);
    if (*request->exec_id)
        return create_exec(s, request, ret_pid, err);
    auto(sandbox_entered) struct sandbox *sb = NULL;
    int r = sandboxer_enter_sandbox(s, request->sandbox_id, &sb, err);
    return r < 0 ? r : create_in(s, sb, request, ret_pid, err);
}

static int start_locked(struct sandboxer *s, struct process *p, struct error *err)
{
    if (p->started_ns)
        return fail_plain(err, EPROTO, "%s '%s' was started before", kind(p), p->key);
    if (p->state != SANDBOX_CREATED)
        return fail_plain(err, EPROTO, "%s '%s' ended before it was started", kind(p), p->key);
    if (!s->technique->start)
        return sandboxer_unsupported(s, "start a container", err);
    p->started_ns =
        clock_wall_ns(); /* first, for an exit that is told while start() is under way */
    int r = s->technique->start(s->t, p, err);
    if (r < 0) {
        p->started_ns = 0;
        return fail_in(err, r, "start %s '%s'", kind(p), p->key);
    }
    if (p->state == SANDBOX_CREATED)
        p->state = SANDBOX_RUNNING;
    process_changed(p);
    return 0;
}

int process_start(struct sandboxer *s, const char *id, const char *exec_id, pid_t *ret_pid,
                  struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = sandboxer_enter_process(s, id, exec_id, &p, err);
    if (r == 0)
        r = start_locked(s, p, err);
    if (r == 0)
        *ret_pid = p->pid;
    return r;
}

/* Ends an exec that outlives its container (it may, in a shared pid namespace). */
static int end_exec(struct sandboxer *s, struct process *p, struct error *err)
{
    if (p->exited_ns || p->state == SANDBOX_CREATED || !s->technique->signal)
        return 0;
    struct error ended;
    int r = s->technique->signal(s->t, p, SIGKILL, true, &ended);
    if (r < 0 && r != -ESRCH)
        return fail_with(err, &ended);
    int64_t deadline = clock_mono_ns() + EXEC_END_S * NSEC_PER_SEC;
    while (!p->exited_ns)
        if (!co_queue_wait(&p->exited, deadline))
            return fail_plain(err, EBUSY, "exec '%s' does not end", p->key);
    return 0;
}

static int remove_one(struct sandboxer *s, struct process *p, struct error *err)
{
    p->removing = true;
    while (p->beside)
        co_queue_wait(&p->idle, INT64_MAX);
    int r = s->technique->remove ? s->technique->remove(s->t, p, err) : 0;
    if (r < 0) {
        p->removing = false;
        return fail_in(err, r, "remove %s '%s'", kind(p), p->key);
    }
    process_exited(p, 128 + SIGKILL, 0, false,
                   NULL); /* one that never started; else without effect */
    table_drop_process(p);
    return 0;
}

static struct process *an_exec_of(const struct process *container)
{
    struct process *p;
    list_each(p, &container->sandbox->processes,
              link) if (*p->exec_id && str_eq(p->id, container->id)) return p;
    return NULL;
}

int process_delete_locked(struct process *p, struct error *err)
{
    struct sandboxer *s = p->sandbox->sandboxer;
    if (p->state == SANDBOX_RUNNING || p->state == SANDBOX_PAUSED)
        return fail_plain(err, EPROTO, "%s '%s' is running: kill it first", kind(p), p->key);
    for (struct process *exec; !*p->exec_id && (exec = an_exec_of(p));) {
        int r = end_exec(s, exec, err);
        if (r == 0)
            r = remove_one(s, exec, err);
        if (r < 0)
            return r;
    }
    return remove_one(s, p, err);
}

int process_delete(struct sandboxer *s, const char *id, const char *exec_id, struct process **ret,
                   struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = sandboxer_enter_process(s, id, exec_id, &p, err);
    if (r == 0)
        r = process_delete_locked(p, err);
    if (r == 0 && ret) {
        process_ref(p);
        *ret = p;
    }
    return r;
}

/* Beside others */

/* For what may run beside an operation, but not beside its removal. */
static int begin_beside(struct sandboxer *s, const char *id, const char *exec_id,
                        struct process **ret, struct error *err)
{
    struct process *p = NULL;
    int r = sandboxer_hold_process(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (p->removing) {
        process_unref(p);
        return fail_plain(err, ENOENT, "no such container: '%.130s' (it is being removed)", id);
    }
    p->beside++;
    *ret = p;
    return 0;
}

static void cleanup_beside(struct process **at)
{
    struct process *p = *at;
    if (!p)
        return;
    if (--p->beside == 0)
        co_queue_wake_all(&p->idle);
    process_unref(p);
}

int process_kill(struct sandboxer *s, const char *id, const char *exec_id, int signal, bool all,
                 struct error *err)
{
    auto(beside) struct process *p = NULL;
    int r = begin_beside(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (signal < 1 || signal > SIGRTMAX)
        return fail_plain(err, EINVAL, "%d is no signal", signal);
    if (p->exited_ns && !all) /* NOT_FOUND, by which containerd knows one that has ended */
        return fail_plain(err, ENOENT, "%s '%s' has ended", kind(p), p->key);
    if (!s->technique->signal)
        return sandboxer_unsupported(s, "signal a container", err);
    r = s->technique->signal(s->t, p, signal, all, err);
    if (r == -ESRCH && all && p->exited_ns)
        return 0;
    if (r == -ESRCH)
        return fail_plain(err, ENOENT, "%s '%s' has ended", kind(p), p->key);
    return r < 0 ? fail_in(err, r, "signal %s '%s'", kind(p), p->key) : 0;
}

int process_get_stats(struct sandboxer *s, const char *id, struct process_stats *ret,
                      struct error *err)
{
    auto(beside) struct process *p = NULL;
    int r = begin_beside(s, id, "", &p, err);
    if (r < 0)
        return r;
    if (!s->technique->stats)
        return sandboxer_unsupported(s, "measure a container", err);
    r = s->technique->stats(s->t, p, ret, err);
    return r < 0 ? fail_in(err, r, "measure container '%s'", id) : 0;
}

int process_attach(struct sandboxer *s, const char *id, const char *exec_id, bool in, bool out,
                   bool err_, char **ret_address, char **ret_token, struct error *err)
{
    auto(beside) struct process *p = NULL;
    int r = begin_beside(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (!s->technique->attach)
        return sandboxer_unsupported(s, "attach to a container", err);
    r = s->technique->attach(s->t, p, in, out, err_, ret_address, ret_token, err);
    return r < 0 ? fail_in(err, r, "attach to %s '%s'", kind(p), p->key) : 0;
}

int process_wait(struct sandboxer *s, const char *id, const char *exec_id, const struct wait *wait,
                 struct process **ret, struct error *err)
{
    auto(process_unref) struct process *p = NULL;
    int r = sandboxer_hold_process(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (wait)
        wait->begin(wait->arg, &p->exited);
    while (!p->exited_ns && !p->gone) {
        if (wait && wait->cancelled(wait->arg))
            return fail_plain(err, ECANCELED, "the wait for %s '%s' was cancelled", kind(p),
                              p->key);
        co_queue_wait(&p->exited, INT64_MAX);
    }
    *ret = take_ptr(&p);
    return 0;
}

/* One after another */

static int enter_running(struct sandboxer *s, const char *id, const char *exec_id,
                         struct process **ret, struct error *err)
{
    struct process *p = NULL;
    int r = sandboxer_enter_process(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (p->exited_ns)
        r = fail_plain(err, EPROTO, "%s '%s' is not running", kind(p), p->key);
    if (r < 0)
        process_leave(p);
    else
        *ret = p;
    return r;
}

int process_pause(struct sandboxer *s, const char *id, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = enter_running(s, id, "", &p, err);
    if (r < 0 || p->state == SANDBOX_PAUSED)
        return r;
    if (p->state != SANDBOX_RUNNING)
        return fail_plain(err, EPROTO, "container '%s' is not running", id);
    if (!s->technique->pause)
        return sandboxer_unsupported(s, "pause a container", err);
    r = s->technique->pause(s->t, p, err);
    if (r < 0)
        return fail_in(err, r, "pause container '%s'", id);
    if (p->state == SANDBOX_RUNNING)
        p->state = SANDBOX_PAUSED;
    process_changed(p);
    return 0;
}

int process_resume(struct sandboxer *s, const char *id, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = enter_running(s, id, "", &p, err);
    if (r < 0)
        return r;
    if (p->state != SANDBOX_PAUSED)
        return fail_plain(err, EPROTO, "container '%s' is not paused", id);
    if (!s->technique->resume)
        return sandboxer_unsupported(s, "resume a container", err);
    r = s->technique->resume(s->t, p, err);
    if (r < 0)
        return fail_in(err, r, "resume container '%s'", id);
    if (p->state == SANDBOX_PAUSED)
        p->state = SANDBOX_RUNNING;
    process_changed(p);
    return 0;
}

int process_update(struct sandboxer *s, const char *id, const void *resources, size_t len,
                   struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = enter_running(s, id, "", &p, err);
    if (r < 0)
        return r;
    if (!s->technique->update)
        return sandboxer_unsupported(s, "change a container's resources", err);
    r = s->technique->update(s->t, p, resources, len, err);
    return r < 0 ? fail_in(err, r, "update container '%s'", id) : 0;
}

int process_pids(struct sandboxer *s, const char *id, struct buffer *pids, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = sandboxer_enter_process(s, id, "", &p, err);
    if (r < 0 || p->exited_ns)
        return r;
    if (!s->technique->pids)
        return sandboxer_unsupported(s, "list a container's processes", err);
    r = s->technique->pids(s->t, p, pids, err);
    return r < 0 ? fail_in(err, r, "list the processes of container '%s'", id) : 0;
}

int process_resize(struct sandboxer *s, const char *id, const char *exec_id, uint32_t columns,
                   uint32_t rows, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = enter_running(s, id, exec_id, &p, err);
    if (r < 0)
        return r;
    if (!p->terminal)
        return fail_plain(err, EPROTO, "%s '%s' has no terminal", kind(p), p->key);
    if (!s->technique->resize)
        return sandboxer_unsupported(s, "resize a terminal", err);
    r = s->technique->resize(s->t, p, columns, rows, err);
    return r < 0 ? fail_in(err, r, "resize the terminal of %s '%s'", kind(p), p->key) : 0;
}

int process_close_stdin(struct sandboxer *s, const char *id, const char *exec_id, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = sandboxer_enter_process(s, id, exec_id, &p, err);
    if (r < 0 || p->exited_ns || str_empty(p->stdin_))
        return r;
    if (!s->technique->close_stdin)
        return sandboxer_unsupported(s, "close a container's stdin", err);
    r = s->technique->close_stdin(s->t, p, err);
    return r < 0 ? fail_in(err, r, "close the stdin of %s '%s'", kind(p), p->key) : 0;
}

int process_reopen_log(struct sandboxer *s, const char *id, struct error *err)
{
    auto(process_entered) struct process *p = NULL;
    int r = enter_running(s, id, "", &p, err);
    if (r < 0)
        return r;
    if (!s->technique->reopen_log)
        return sandboxer_unsupported(s, "reopen a log", err);
    r = s->technique->reopen_log(s->t, p, err);
    return r < 0 ? fail_in(err, r, "reopen the log of container '%s'", id) : 0;
}
