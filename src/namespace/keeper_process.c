/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "namespace/keeper.h"

struct list kept_all = LIST_INIT(kept_all);

struct kept *kept_find(const char *id, const char *exec_id)
{
    struct kept *k;
    list_each(k, &kept_all,
              link) if (!k->refused && str_eq(k->id, id) && str_eq(k->exec_id, exec_id)) return k;
    return NULL;
}

/* What the sandboxer is told */

static void name_put(struct buffer *b, const struct kept *k)
{
    wire_put_str(b, k->id);
    wire_put_str(b, k->exec_id);
}

static void answer_number(struct kept *k, bool wide, int64_t number)
{
    auto(buffer) struct buffer b = {0};
    if (wide)
        wire_put_i64(&b, number);
    else
        wire_put_u32(&b, (uint32_t)number);
    if (k->asker)
        control_reply(k->asker, k->serial, &b);
    k->asker = NULL;
}

static void answer_error(struct kept *k, const struct error *err)
{
    if (k->asker)
        control_fail(k->asker, k->serial, err);
    k->asker = NULL;
}

static void tell_exit(const struct kept *k)
{
    auto(buffer) struct buffer b = {0};
    name_put(&b, k);
    wire_put_u32(&b, k->status);
    wire_put_i64(&b, k->exited_ns);
    wire_put_u32(&b, k->oom_killed);
    wire_put_str(&b, k->message);
    control_tell(WIRE_EXITED, &b);
}

void kept_forget_asker(struct control *c)
{
    struct kept *k;
    list_each(k, &kept_all, link) if (k->asker == c) k->asker = NULL;
}

/* From the recipe to a running program */

static void child_over(struct kept *k)
{
    watch_end(&k->child_control); /* which closes child.control */
    k->child.control = -1;
    container_child_done(&k->child);
}

/* What it said last; true where it has said its last. */
static bool child_heard(struct kept *k)
{
    struct error err = {0};
    int terminal = -1;
    switch (container_receive(&k->child, &terminal, &err)) {
    case CONTAINER_NOTHING:
        return true;
    case CONTAINER_WARNING:
        control_note("container %s: %s", k->id, err.message);
        return false;
    case CONTAINER_READY:
        if (terminal >= 0)
            stdio_terminal(&k->io, terminal);
        if (k->columns && k->rows)
            stdio_resize(&k->io, k->columns, k->rows, NULL);
        k->state = WIRE_CREATED;
        answer_number(k, false, k->pid);
        return false;
    case CONTAINER_STARTED:
        k->state = WIRE_RUNNING;
        k->started_ns = clock_wall_ns();
        child_over(k);
        answer_number(k, true, k->started_ns);
        return true;
    case CONTAINER_FAILED:
    case CONTAINER_ENDED:
        free(k->message);
        k->message = strdup(err.message);
        k->refused = k->state == 0;
        child_over(k);
        answer_error(k, &err);
        return true;
    }
    return true;
}

static void child_ready(struct watch *w, short revents)
{
    (void)revents;
    struct kept *k = container_of(w, struct kept, child_control);
    while (!child_heard(k))
        ;
}

static struct kept *kept_new(const struct wire_create *c)
{
    struct kept *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    list_init(&k->link);
    k->child = (struct container_child){.pid = -1, .pidfd = -1, .control = -1};
    k->child_control.fd = -1;
    stdio_init(&k->io, c->flags & WIRE_TERMINAL);
    k->flags = c->flags;
    k->columns = c->columns;
    k->rows = c->rows;
    k->id = strdup(c->id);
    k->exec_id = strdup(c->exec_id);
    k->procs = strdup(c->procs);
    k->oom = strdup(c->oom);
    k->record = malloc(c->record_len + 1);
    if (k->record && c->record_len)
        memcpy(k->record, c->record, c->record_len);
    k->record_len = c->record_len;
    return k;
}

void kept_free(struct kept *k)
{
    if (!k)
        return;
    list_remove(&k->link);
    child_over(k);
    stdio_done(&k->io);
    free(k->id);
    free(k->exec_id);
    free(k->procs);
    free(k->oom);
    free(k->record);
    free(k->message);
    free(k);
}

/* The container's first process as a descriptor: of an exec, what it goes into. */
static int open_target(const struct kept *k, const struct recipe *recipe, struct error *err)
{
    if (!recipe_is_exec(recipe))
        return -1;
    const struct kept *first = kept_find(k->id, "");
    if (!first || first->state != WIRE_RUNNING)
        return fail_plain(err, ESRCH, "container '%s' is not running", k->id);
    int fd = (int)syscall(SYS_pidfd_open, first->pid, 0);
    return fd < 0 ? fail(err, errno, "open the first process of container '%s'", k->id) : fd;
}

static int clone_child(struct kept *k, const struct recipe *recipe, const struct container_io *io,
                       struct error *err)
{
    pod_privileges(true);
    int r = k->flags & WIRE_PID_POD ? pod_pid_enter(err) : 0;
    if (r == 0) {
        r = container_clone(recipe, io, &k->child, err);
        if (k->flags & WIRE_PID_POD && pod_pid_return(NULL) < 0)
            abort(); /* the next container would be born in the wrong namespace */
    }
    pod_privileges(false);
    return r;
}

static int begin(struct kept *k, const struct wire_create *c, struct error *err)
{
    const struct recipe *recipe;
    autofree void *aligned = malloc(c->recipe_len + 1); /* in the frame it lies anywhere */
    if (!aligned)
        return fail(err, ENOMEM, "read the recipe");
    if (c->recipe_len)
        memcpy(aligned, c->recipe, c->recipe_len);
    int r = recipe_open(aligned, c->recipe_len, &recipe, err);
    if (r < 0)
        return r;
    struct container_io io;
    r = stdio_open(&k->io, c, &io, err);
    if (!r) {
        r = io.target = open_target(k, recipe, err);
        r = r == -1 || r > 0 ? 0 : r;
    }
    if (!r)
        r = clone_child(k, recipe, &io, err);
    close_fd(&io.in);
    close_fd(&io.out);
    close_fd(&io.err);
    close_fd(&io.target);
    if (r < 0)
        return r;
    k->pid = k->child.pid;
    watch_begin(&k->child_control, k->child.control, POLLIN, child_ready);
    return 0;
}

void kept_create(struct control *asker, uint64_t serial, const struct wire_create *c)
{
    struct error err = {0};
    if (kept_find(c->id, c->exec_id)) {
        fail_plain(&err, EEXIST, "'%s' is there already", *c->exec_id ? c->exec_id : c->id);
        control_fail(asker, serial, &err);
        return;
    }
    struct kept *k = kept_new(c);
    if (!k || !k->id || !k->exec_id || !k->procs || !k->oom || !k->record) {
        fail(&err, ENOMEM, "keep container '%s'", c->id);
        control_fail(asker, serial, &err);
        kept_free(k);
        return;
    }
    k->asker = asker;
    k->serial = serial;
    list_append(&kept_all, &k->link);
    if (begin(k, c, &err) < 0) {
        answer_error(k, &err);
        kept_free(k);
    }
}

void kept_start(struct kept *k, struct control *asker, uint64_t serial)
{
    struct error err = {0};
    if (k->state != WIRE_CREATED || k->asker) {
        fail_plain(&err, EINVAL, "'%s' is not in state created", *k->exec_id ? k->exec_id : k->id);
        control_fail(asker, serial, &err);
        return;
    }
    k->asker = asker;
    k->serial = serial;
    if (container_go(&k->child, &err) < 0)
        answer_error(k, &err);
}

/* Ending */

/* Signals each process of the container; *ret_count is how many there were. */
static int signal_all(const struct kept *k, int signal, int *ret_count)
{
    *ret_count = 0;
    FILE *f = fopen(k->procs, "re");
    if (!f)
        return -errno;
    for (int pid; fscanf(f, "%d", &pid) == 1;)
        if (pid > 1 && kill(pid, signal) == 0)
            ++*ret_count;
    fclose(f);
    return 0;
}

/* Processes may fork while they are being killed: as long as there are some, again. Those that are dying are still listed. */
static void kill_rest(const struct kept *k)
{
    if (k->flags & WIRE_PID_OWN || !*k->procs || *k->exec_id)
        return;
    for (int round = 0, count = 1; round < 10 && count; round++)
        if (signal_all(k, SIGKILL, &count) < 0)
            return;
}

int kept_signal(struct kept *k, int signal, bool all, struct error *err)
{
    int count;
    if (k->state == WIRE_STOPPED || k->reaped)
        return fail_plain(err, ESRCH, "process %d has ended", k->pid);
    bool whole =
        all && *k->procs && !*k->exec_id && !(signal == SIGKILL && k->flags & WIRE_PID_OWN);
    if (whole && signal_all(k, signal, &count) == 0 && count)
        return 0;
    return kill(k->pid, signal) < 0
               ? fail(err, errno, "send signal %d to process %d", signal, k->pid)
               : 0;
}

bool kept_kill_all(void)
{
    bool ended = true;
    struct kept *k;
    list_each(k, &kept_all, link)
    {
        if (k->reaped || k->pid <= 0)
            continue;
        ended = false;
        kill(k->pid, SIGKILL);
    }
    if (ended && pod_init() > 0) {
        kill(pod_init(), SIGKILL);
        ended = false;
    }
    return ended;
}

static bool oom_killed(const struct kept *k)
{
    char line[128];
    unsigned long count = 0;
    FILE *f = *k->oom ? fopen(k->oom, "re") : NULL;
    if (!f)
        return false;
    while (!count && fgets(line, sizeof line, f))
        sscanf(line, "oom_kill %lu", &count);
    fclose(f);
    return count > 0;
}

static void ended(struct kept *k, int status)
{
    while (k->child_control.fd >= 0 && !child_heard(k)) /* what it said before it ended */
        ;
    k->reaped = true;
    k->exited_ns = clock_wall_ns();
    k->status = (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    bool was_there = k->state != 0 || (!k->refused && !k->asker);
    k->state = WIRE_STOPPED;
    kill_rest(k);
    if (k->child_control.fd >= 0) {
        struct error err = {0};
        fail_plain(&err, ESRCH, "the process ended before its program was executed");
        answer_error(k, &err);
        child_over(k);
    }
    if (!was_there) { /* its creation was refused: nobody knows of it */
        kept_free(k);
        return;
    }
    k->oom_killed = k->status == 128 + SIGKILL && oom_killed(k);
    stdio_drain(&k->io);
    watch_end(&k->io.in.fifo);
    if (!k->io.terminal)
        watch_end(&k->io.in.to);
    tell_exit(k);
}

void kept_reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct kept *k;
        pod_reaped(pid);
        list_each(k, &kept_all, link)
        {
            if (k->pid == pid && !k->reaped) {
                ended(k, status);
                break;
            }
        }
    }
}
