/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on sandboxes. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "sandbox/record.h"

int sandboxer_create(struct sandboxer *s, const struct sandbox_request *request, struct error *err)
{
    auto(sandbox_entered) struct sandbox *sb = NULL;
    int r = table_add_sandbox(s, request, &sb, err);
    if (r < 0)
        return r;
    co_mutex_lock(&sb->mutex); /* at once: nobody has seen it yet */
    if (s->technique->sandbox_create)
        r = s->technique->sandbox_create(s->t, sb, err);
    if (r < 0) {
        table_drop_sandbox(sb);
        return fail_in(err, r, "create sandbox '%s'", request->id);
    }
    sb->making = false;
    if (!sb->exited_ns)
        sb->state = SANDBOX_CREATED;
    sandbox_changed(sb);
    return 0;
}

static int start_locked(struct sandboxer *s, struct sandbox *sb, struct error *err)
{
    auto(buffer) struct buffer record = {0};
    if (sb->state != SANDBOX_CREATED)
        return fail_plain(err, EPROTO, "sandbox '%s' was started before", sb->id);
    if (!s->technique->sandbox_start)
        return sandboxer_unsupported(s, "start a sandbox", err);
    int r = record_of_sandbox(sb, &record);
    if (r < 0)
        return fail(err, r, "start sandbox '%s'", sb->id);
    r = s->technique->sandbox_start(s->t, sb, &record, err);
    if (r < 0)
        return fail_in(err, r, "start sandbox '%s'", sb->id);
    if (s->technique->config_until_start) {
        free(take_ptr(&sb->config));
        sb->config_len = 0;
    }
    if (sb->state == SANDBOX_CREATED) /* else it has ended already */
        sb->state = SANDBOX_RUNNING;
    sandbox_changed(sb);
    return 0;
}

int sandboxer_start(struct sandboxer *s, const char *id, struct sandbox **ret, struct error *err)
{
    auto(sandbox_entered) struct sandbox *sb = NULL;
    int r = sandboxer_enter_sandbox(s, id, &sb, err);
    if (r == 0)
        r = start_locked(s, sb, err);
    if (r < 0)
        return r;
    if (ret) {
        sandbox_ref(sb);
        *ret = sb;
    }
    return 0;
}

/* Ends what runs. Without a technique's own way it is only marked: then nothing can run. */
static int stop_locked(struct sandboxer *s, struct sandbox *sb, int64_t deadline_ns,
                       struct error *err)
{
    if (sb->exited_ns)
        return 0;
    if (sb->state != SANDBOX_CREATED && s->technique->sandbox_stop) {
        int r = s->technique->sandbox_stop(s->t, sb, deadline_ns, err);
        if (r < 0)
            return fail_in(err, r, "stop sandbox '%s'", sb->id);
    }
    struct process *p;
    list_each(p, &sb->processes, link) if (!p->exited_ns)
        diag_warning("container '%s' had no exit status when its sandbox was stopped", p->key);
    /* of a sandbox that was told to end; those of its processes without a status: killed */
    list_each(p, &sb->processes, link) process_exited(p, 128 + 9, 0, false, NULL);
    sandbox_exited(sb, 0, 0);
    return 0;
}

int sandboxer_stop(struct sandboxer *s, const char *id, uint32_t timeout_s, struct error *err)
{
    int64_t deadline = clock_mono_ns() + timeout_s * NSEC_PER_SEC;
    auto(sandbox_entered) struct sandbox *sb = NULL;
    if (sandboxer_enter_sandbox(s, id, &sb, NULL) < 0)
        return 0;
    return stop_locked(s, sb, deadline, err);
}

/* Execs before their containers. */
static int remove_processes(struct sandbox *sb, struct error *err)
{
    for (struct process *p; (p = list_first(&sb->processes, struct process, link));) {
        struct process *q;
        list_each(q, &sb->processes, link) if (*q->exec_id) p = q;
        int r = process_delete_locked(p, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int shutdown_locked(struct sandboxer *s, struct sandbox *sb, struct error *err)
{
    int r = stop_locked(s, sb, clock_mono_ns(), err);
    if (r == 0)
        r = remove_processes(sb, err);
    if (r == 0 && s->technique->sandbox_remove)
        r = s->technique->sandbox_remove(s->t, sb, err);
    if (r < 0)
        return fail_in(err, r, "remove sandbox '%s'", sb->id);
    table_drop_sandbox(sb);
    return 0;
}

int sandboxer_shutdown(struct sandboxer *s, const char *id, struct error *err)
{
    auto(sandbox_entered) struct sandbox *sb = NULL;
    if (sandboxer_enter_sandbox(s, id, &sb, NULL) < 0)
        return 0;
    return shutdown_locked(s, sb, err);
}

int sandboxer_wait(struct sandboxer *s, const char *id, const struct wait *wait,
                   struct sandbox **ret, struct error *err)
{
    auto(sandbox_unref) struct sandbox *sb = NULL;
    int r = sandboxer_hold_sandbox(s, id, &sb, err);
    if (r < 0)
        return r;
    if (wait)
        wait->begin(wait->arg, &sb->exited);
    while (!sb->exited_ns && !sb->gone) {
        if (wait && wait->cancelled(wait->arg))
            return fail_plain(err, ECANCELED, "the wait for sandbox '%s' was cancelled", sb->id);
        co_queue_wait(&sb->exited, INT64_MAX);
    }
    *ret = take_ptr(&sb);
    return 0;
}
