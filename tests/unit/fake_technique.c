/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_technique.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct fake_sandbox {
    struct fake *fake;
    bool busy; /* one operation at a time */
    bool dead;
};

struct fake_process {
    struct fake *fake;
    struct process *p; /* NULL once removed */
    unsigned refs, beside;
    bool ending;
    int64_t run_ns; /* < 0: until it is killed */
    uint32_t status;
    struct co_queue killed;
};

static void broken(struct fake *f, const char *what)
{
    f->broken++;
    fprintf(stderr, "fake technique: %s\n", what);
}

uint32_t fake_random(struct fake *f, uint32_t below)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return below ? (uint32_t)(f->random >> 11) % below : 0;
}

static int chaos(struct fake *f, const char *what, struct error *err)
{
    if (!f->random)
        return 0;
    for (uint32_t n = fake_random(f, 8); n; n--)
        co_yield ();
    if (fake_random(f, 100) < f->fail_percent)
        return fail_plain(err, EIO, "the fake refuses to %s", what);
    return 0;
}

static void unref(struct fake_process *q)
{
    if (--q->refs == 0)
        free(q);
}

static int begin(struct sandbox *sb)
{
    struct fake_sandbox *fs = sb->technique;
    if (fs->busy)
        broken(fs->fake, "two operations on one sandbox at once");
    fs->busy = true;
    return 0;
}

static void end(struct sandbox *sb)
{
    ((struct fake_sandbox *)sb->technique)->busy = false;
}

/* Sandboxes */

static int make_sandbox(struct fake *f, struct sandbox *sb)
{
    struct fake_sandbox *fs = calloc(1, sizeof *fs);
    if (!fs)
        return -ENOMEM;
    fs->fake = f;
    sb->technique = fs;
    f->sandboxes++;
    return 0;
}

static int sandbox_create(void *t, struct sandbox *sb, struct error *err)
{
    int r = chaos(t, "create a sandbox", err);
    return r < 0 ? r : make_sandbox(t, sb);
}

void fake_kill_holder(struct sandbox *sb)
{
    struct fake_sandbox *fs = sb->technique;
    if (!fs || sb->state != SANDBOX_RUNNING)
        return;
    fs->dead = true;
    sandbox_exited(sb, 128 + SIGKILL, clock_wall_ns());
}

static int sandbox_start(void *t, struct sandbox *sb, const struct buffer *record,
                         struct error *err)
{
    struct fake *f = t;
    begin(sb);
    buffer_clear(&f->last_sandbox_record);
    buffer_append(&f->last_sandbox_record, record->data, record->len);
    int r = chaos(t, "start a sandbox", err);
    if (r == 0)
        sb->pid = 4242;
    end(sb);
    return r;
}

static int sandbox_stop(void *t, struct sandbox *sb, int64_t deadline_ns, struct error *err)
{
    (void)deadline_ns;
    begin(sb);
    int r = chaos(t, "stop a sandbox", err);
    struct process *p;
    if (r == 0)
        list_each(p, &sb->processes, link)
            process_exited(p, 128 + SIGKILL, clock_wall_ns(), false, NULL);
    end(sb);
    return r;
}

static int sandbox_remove(void *t, struct sandbox *sb, struct error *err)
{
    struct fake *f = t;
    begin(sb);
    int r = chaos(t, "remove a sandbox", err);
    end(sb);
    if (r < 0)
        return r;
    if (!list_empty(&sb->processes))
        broken(f, "a sandbox is removed before its processes");
    free(sb->technique);
    sb->technique = NULL;
    f->sandboxes--;
    return 0;
}

/* Processes */

static const char *argument(json_object *root, size_t i)
{
    json_object *process = NULL, *args = NULL;
    if (!json_object_object_get_ex(root, "process", &process))
        process = root; /* an exec's spec is the process itself */
    if (!json_object_object_get_ex(process, "args", &args) || i >= json_object_array_length(args))
        return "";
    return json_object_get_string(json_object_array_get_idx(args, i));
}

static int plan(struct fake_process *q, const struct process *p, struct error *err)
{
    q->run_ns = -1;
    autofree char *text = strndup((const char *)p->spec, p->spec_len);
    json_object *root = text ? json_tokener_parse(text) : NULL;
    if (!root)
        return fail_plain(err, EINVAL, "the spec of '%s' is no JSON", p->key);
    const char *verb = argument(root, 0), *value = argument(root, 1);
    int r = 0;
    if (str_eq(verb, "exit")) {
        q->run_ns = 0;
        q->status = (uint32_t)atoi(value);
    } else if (str_eq(verb, "sleep")) {
        q->run_ns = (int64_t)(atof(value) * 1e9);
    } else if (str_eq(verb, "missing")) {
        r = fail_plain(err, ENOENT, "exec: \"missing\": executable file not found in $PATH");
    }
    json_object_put(root);
    return r;
}

static int create(void *t, struct process *p, const struct buffer *record, struct error *err)
{
    struct fake *f = t;
    struct fake_sandbox *fs = p->sandbox->technique;
    struct fake_process *q = calloc(1, sizeof *q);
    begin(p->sandbox);
    buffer_clear(&f->last_process_record);
    buffer_append(&f->last_process_record, record->data, record->len);
    q->fake = f;
    co_queue_init(&q->killed);
    int r = plan(q, p, err);
    if (r == 0)
        r = chaos(f, "create a process", err);
    end(p->sandbox);
    if (r == 0 && fs->dead)
        r = fail_plain(err, EPIPE, "the holder is gone");
    if (r < 0) {
        free(q);
        return r;
    }
    q->p = p;
    q->refs = 1;
    p->technique = q;
    p->pid = 1000 + (pid_t)f->processes++;
    if (f->random && fake_random(f, 20) == 0)
        process_exited(p, 9, clock_wall_ns(), false, "it ended before it began");
    return 0;
}

static void run(void *arg)
{
    struct fake_process *q = arg;
    struct fake *f = q->fake;
    if (f->random) {
        for (uint32_t n = fake_random(f, 200); n && !q->ending; n--)
            co_yield ();
    } else if (!q->ending) {
        int64_t until = q->run_ns < 0 ? INT64_MAX : clock_mono_ns() + q->run_ns;
        co_queue_wait(&q->killed, until);
    }
    if (q->p)
        process_exited(q->p, q->ending ? 128 + SIGKILL : q->status, clock_wall_ns(), false, NULL);
    unref(q);
}

static int start(void *t, struct process *p, struct error *err)
{
    struct fake_process *q = p->technique;
    begin(p->sandbox);
    int r = chaos(t, "start a process", err);
    if (r == 0) {
        q->refs++;
        co_start(run, q);
    }
    if (r == 0)
        chaos(t, "answer at once", NULL); /* it may end before this returns */
    end(p->sandbox);
    return r;
}

static int enter_beside(struct process *p, const char *what, struct error *err)
{
    struct fake_process *q = p->technique;
    q->beside++;
    int r = chaos(q->fake, what, err);
    q->beside--;
    return r;
}

static int signal_process(void *t, struct process *p, int sig, bool all, struct error *err)
{
    (void)t;
    (void)all;
    int r = enter_beside(p, "signal a process", err);
    if (r < 0)
        return r;
    struct fake_process *q = p->technique;
    if (p->exited_ns)
        return fail(err, ESRCH, "signal it");
    if (sig != SIGKILL && sig != SIGTERM)
        return 0;
    q->ending = true;
    co_queue_wake_all(&q->killed);
    if (!p->started_ns)
        process_exited(p, 128 + (uint32_t)sig, clock_wall_ns(), false, NULL);
    return 0;
}

static int remove_process(void *t, struct process *p, struct error *err)
{
    struct fake *f = t;
    struct fake_process *q = p->technique;
    begin(p->sandbox);
    if (q->beside)
        broken(f, "a process is removed beside another operation on it");
    int r = chaos(t, "remove a process", err);
    if (q->beside)
        broken(f, "an operation began beside a removal");
    end(p->sandbox);
    if (r < 0)
        return r;
    q->ending = true;
    co_queue_wake_all(&q->killed);
    q->p = NULL;
    p->technique = NULL;
    unref(q);
    f->processes--;
    return 0;
}

static int pause_process(void *t, struct process *p, struct error *err)
{
    (void)p;
    return chaos(t, "pause a process", err);
}

static int resume_process(void *t, struct process *p, struct error *err)
{
    (void)p;
    return chaos(t, "resume a process", err);
}

static int pids(void *t, struct process *p, struct buffer *b, struct error *err)
{
    int r = chaos(t, "list processes", err);
    return r < 0 ? r : buffer_append(b, &p->pid, sizeof p->pid);
}

static int stats(void *t, struct process *p, struct process_stats *ret, struct error *err)
{
    (void)t;
    int r = enter_beside(p, "measure a process", err);
    if (r == 0)
        *ret = (struct process_stats){.timestamp = clock_wall_ns(),
                                      .cpu_ns = 5 * NSEC_PER_MSEC,
                                      .memory_usage = 1 << 20,
                                      .memory_working_set = 1 << 19,
                                      .pids = 1};
    return r;
}

static int attach(void *t, struct process *p, bool in, bool out, bool err_, char **ret_address,
                  char **ret_token, struct error *err)
{
    (void)t;
    (void)in;
    (void)out;
    (void)err_;
    int r = enter_beside(p, "attach", err);
    if (r < 0)
        return r;
    *ret_address = strdup("unix:///nowhere");
    *ret_token = strdup("token");
    return 0;
}

static int recover(void *t, struct sandboxer *s, struct error *err)
{
    struct fake *f = t;
    struct sandbox *sb;
    struct process *p;
    if (!f->adopt_sandbox)
        return 0;
    int r = sandboxer_adopt_sandbox(s, f->adopt_sandbox->data, f->adopt_sandbox->len,
                                    SANDBOX_RUNNING, 4242, &sb, err);
    if (r == 0)
        r = make_sandbox(f, sb);
    if (r == 0 && f->adopt_process)
        r = sandboxer_adopt_process(s, sb, f->adopt_process->data, f->adopt_process->len,
                                    SANDBOX_RUNNING, 77, clock_wall_ns(), &p, err);
    if (r < 0 || !f->adopt_process)
        return r;
    struct fake_process *q = calloc(1, sizeof *q);
    q->fake = f;
    q->p = p;
    q->refs = 2;
    q->run_ns = -1;
    co_queue_init(&q->killed);
    p->technique = q;
    f->processes++;
    co_start(run, q);
    return 0;
}

const struct technique fake_technique = {
    .name = "fake",
    .recover = recover,
    .sandbox_create = sandbox_create,
    .sandbox_start = sandbox_start,
    .sandbox_stop = sandbox_stop,
    .sandbox_remove = sandbox_remove,
    .create = create,
    .start = start,
    .signal = signal_process,
    .remove = remove_process,
    .pause = pause_process,
    .resume = resume_process,
    .pids = pids,
    .stats = stats,
    .attach = attach,
};
