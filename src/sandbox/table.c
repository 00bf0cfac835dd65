/* SPDX-License-Identifier: Apache-2.0 */
/* The table: what there is, who still holds it, what is told of it. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "sandbox/record.h"
#include "sandbox/server.h"
#include "sandbox/tasks.h"

int sandboxer_new(struct sandboxer **ret, const struct technique *technique, void *t,
                  const char *address, struct error *err)
{
    auto(sandboxer) struct sandboxer *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "make the table of sandboxes");
    s->technique = technique;
    s->t = t;
    list_init(&s->all);
    event_log_init(&s->events);
    id_new(s->instance);
    if (!(s->address = strdup(address)))
        return fail(err, ENOMEM, "make the table of sandboxes");
    *ret = take_ptr(&s);
    return 0;
}

void sandboxer_free(struct sandboxer *s)
{
    if (!s)
        return;
    struct sandbox *sb;
    while ((sb = list_first(&s->all, struct sandbox, table))) {
        struct process *p;
        while ((p = list_first(&sb->processes, struct process, link)))
            table_drop_process(p);
        table_drop_sandbox(sb);
    }
    map_done(&s->sandboxes);
    map_done(&s->processes);
    event_log_done(&s->events);
    free(s->address);
    free(s);
}

int sandboxer_unsupported(const struct sandboxer *s, const char *what, struct error *err)
{
    return fail_plain(err, EOPNOTSUPP, "the %s technique cannot %s", s->technique->name, what);
}

/* References */

void sandbox_ref(struct sandbox *sb)
{
    sb->refs++;
}

void sandbox_unref(struct sandbox *sb)
{
    if (!sb || --sb->refs)
        return;
    sandbox_tasks_free(sb->tasks);
    free(sb->config);
    free(sb);
}

void process_ref(struct process *p)
{
    p->refs++;
}

void process_unref(struct process *p)
{
    if (!p || --p->refs)
        return;
    free(p->message);
    sandbox_unref(p->sandbox);
    free(p);
}

/* In and out */

static int copy_bytes(uint8_t **ret, const void *data, size_t len)
{
    *ret = NULL;
    if (!len)
        return 0;
    *ret = malloc(len);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, data, len);
    return 0;
}

/* Copies s to *at and moves on; an empty one takes no room. */
static const char *put(char **at, const char *s)
{
    if (str_empty(s))
        return "";
    char *here = *at;
    *at = stpcpy(here, s) + 1;
    return here;
}

static size_t room_of(const char *s)
{
    return strlen(str_or_empty(s)) + 1;
}

static struct sandbox *sandbox_new(struct sandboxer *s, const struct sandbox_request *request)
{
    struct sandbox *sb =
        calloc(1, sizeof *sb + room_of(request->id) + room_of(request->netns_path));
    if (!sb)
        return NULL;
    char *at = sb->text;
    sb->refs = 1;
    sb->sandboxer = s;
    sb->created_ns = clock_wall_ns();
    sb->task_v3 = request->task_v3;
    list_init(&sb->processes);
    list_init(&sb->table);
    co_mutex_init(&sb->mutex);
    co_queue_init(&sb->exited);
    sb->id = put(&at, request->id);
    sb->netns_path = put(&at, request->netns_path);
    if (copy_bytes(&sb->config, request->config, request->config_len) < 0) {
        sandbox_unref(sb);
        return NULL;
    }
    sb->config_len = request->config_len;
    return sb;
}

int table_add_sandbox(struct sandboxer *s, const struct sandbox_request *request,
                      struct sandbox **ret, struct error *err)
{
    int r = str_check_id("sandbox id", request->id, err);
    if (r < 0)
        return r;
    auto(sandbox_unref) struct sandbox *sb = sandbox_new(s, request);
    if (!sb)
        return fail(err, ENOMEM, "make sandbox '%s'", request->id);
    r = map_add(&s->sandboxes, sb->id, sb);
    if (r == -EEXIST)
        return fail_plain(err, EEXIST, "sandbox '%s' exists already", request->id);
    if (r < 0)
        return fail(err, r, "make sandbox '%s'", request->id);
    sb->making = true;
    sb->serial = ++s->serial;
    list_append(&s->all, &sb->table);
    sandbox_ref(sb);
    *ret = take_ptr(&sb);
    return 0;
}

static struct process *process_new(struct sandbox *sb, const struct process_request *request)
{
    const char *texts[] = {request->id,      request->exec_id, request->stdin_,
                           request->stdout_, request->stderr_, request->bundle};
    size_t room = *request->exec_id ? room_of(request->id) + room_of(request->exec_id) : 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        room += room_of(texts[i]);
    struct process *p = calloc(1, sizeof *p + room);
    if (!p)
        return NULL;
    char *at = p->text;
    p->refs = 1;
    p->sandbox = sb;
    sandbox_ref(sb);
    p->created_ns = clock_wall_ns();
    p->terminal = request->terminal;
    list_init(&p->link);
    co_queue_init(&p->exited);
    co_queue_init(&p->idle);
    p->id = p->key = put(&at, request->id);
    p->exec_id = put(&at, request->exec_id);
    p->stdin_ = put(&at, request->stdin_);
    p->stdout_ = put(&at, request->stdout_);
    p->stderr_ =
        str_eq(request->stdout_, request->stderr_) ? p->stdout_ : put(&at, request->stderr_);
    p->bundle = put(&at, request->bundle);
    if (*p->exec_id) {
        p->key = at;
        sprintf(at, "%s/%s", p->id, p->exec_id);
    }
    return p;
}

static int check_process(const struct process_request *request, struct error *err)
{
    int r = str_check_id("container id", request->id, err);
    return r < 0 || !*request->exec_id ? r : str_check_id("exec id", request->exec_id, err);
}

int table_add_process(struct sandboxer *s, struct sandbox *sb,
                      const struct process_request *request, struct process **ret,
                      struct error *err)
{
    int r = check_process(request, err);
    if (r < 0)
        return r;
    auto(process_unref) struct process *p = process_new(sb, request);
    if (!p)
        return fail(err, ENOMEM, "make container '%s'", request->id);
    r = map_add(&s->processes, p->key, p);
    if (r == -EEXIST)
        return fail_plain(err, EEXIST, "%s '%s' exists already", *p->exec_id ? "exec" : "container",
                          p->key);
    if (r < 0)
        return fail(err, r, "make container '%s'", request->id);
    p->making = true;
    list_append(&sb->processes, &p->link);
    process_ref(p);
    *ret = take_ptr(&p);
    return 0;
}

/* malloc keeps what a burst took until it is asked. */
static void give_back(struct sandboxer *s)
{
    enum { WORTH_IT = 1000 };
    size_t count = s->sandboxes.count;
    if (count > s->most)
        s->most = count;
    if (s->most < WORTH_IT || count > s->most / 2)
        return;
    s->most = count;
    map_fit(&s->sandboxes);
    map_fit(&s->processes);
    malloc_trim(0);
}

void table_drop_sandbox(struct sandbox *sb)
{
    struct sandboxer *s = sb->sandboxer;
    map_remove(&s->sandboxes, sb->id);
    list_remove(&sb->table);
    sb->gone = true;
    if (!sb->making)
        sb->changed = event_log_add(&s->events, true, sb->id, false);
    co_queue_wake_all(&sb->exited);
    sandbox_unref(sb);
    give_back(s);
}

void table_drop_process(struct process *p)
{
    struct sandboxer *s = p->sandbox->sandboxer;
    map_remove(&s->processes, p->key);
    list_remove(&p->link);
    p->gone = true;
    if (!p->making)
        p->changed = event_log_add(&s->events, false, p->key, false);
    co_queue_wake_all(&p->exited);
    process_unref(p);
}

/* Looking up */

struct sandbox *sandboxer_find_sandbox(struct sandboxer *s, const char *id)
{
    return map_get(&s->sandboxes, str_or_empty(id));
}

struct process *sandboxer_find_process(struct sandboxer *s, const char *id, const char *exec_id)
{
    if (strchr(str_or_empty(id), '/')) /* a container's name may not reach an exec */
        return NULL;
    if (str_empty(exec_id))
        return map_get(&s->processes, str_or_empty(id));
    char key[2 * 128 + 2];
    int n = snprintf(key, sizeof key, "%s/%s", str_or_empty(id), exec_id);
    return n < 0 || (size_t)n >= sizeof key ? NULL : map_get(&s->processes, key);
}

static int no_sandbox(const char *id, struct error *err)
{
    return fail_plain(err, ENOENT, "no such sandbox: '%.130s'", str_or_empty(id));
}

static int no_process(const char *id, const char *exec_id, struct error *err)
{
    if (str_empty(exec_id))
        return fail_plain(err, ENOENT, "no such container: '%.130s'", str_or_empty(id));
    return fail_plain(err, ENOENT, "no such exec: '%.130s' in container '%.130s'", exec_id,
                      str_or_empty(id));
}

int sandboxer_hold_sandbox(struct sandboxer *s, const char *id, struct sandbox **ret,
                           struct error *err)
{
    struct sandbox *sb = sandboxer_find_sandbox(s, id);
    if (!sb || sb->making)
        return no_sandbox(id, err);
    sandbox_ref(sb);
    *ret = sb;
    return 0;
}

int sandboxer_hold_process(struct sandboxer *s, const char *id, const char *exec_id,
                           struct process **ret, struct error *err)
{
    struct process *p = sandboxer_find_process(s, id, exec_id);
    if (!p || p->making)
        return no_process(id, exec_id, err);
    process_ref(p);
    *ret = p;
    return 0;
}

int sandboxer_enter_sandbox(struct sandboxer *s, const char *id, struct sandbox **ret,
                            struct error *err)
{
    struct sandbox *sb = sandboxer_find_sandbox(s, id);
    if (!sb)
        return no_sandbox(id, err);
    sandbox_ref(sb);
    co_mutex_lock(&sb->mutex);
    if (sb->gone) {
        sandbox_leave(sb);
        return no_sandbox(id, err);
    }
    *ret = sb;
    return 0;
}

void sandbox_leave(struct sandbox *sb)
{
    if (!sb)
        return;
    co_mutex_unlock(&sb->mutex);
    sandbox_unref(sb);
}

int sandboxer_enter_process(struct sandboxer *s, const char *id, const char *exec_id,
                            struct process **ret, struct error *err)
{
    struct process *p = sandboxer_find_process(s, id, exec_id);
    if (!p)
        return no_process(id, exec_id, err);
    process_ref(p);
    co_mutex_lock(&p->sandbox->mutex);
    if (p->gone) {
        process_leave(p);
        return no_process(id, exec_id, err);
    }
    *ret = p;
    return 0;
}

void process_leave(struct process *p)
{
    if (!p)
        return;
    co_mutex_unlock(&p->sandbox->mutex);
    process_unref(p);
}

/* What is told */

void sandbox_changed(struct sandbox *sb)
{
    if (!sb->gone && !sb->making)
        sb->changed = event_log_add(&sb->sandboxer->events, true, sb->id, sb->exited_ns);
}

void process_changed(struct process *p)
{
    if (!p->gone && !p->making)
        p->changed = event_log_add(&p->sandbox->sandboxer->events, false, p->key, p->exited_ns);
}

void process_exited(struct process *p, uint32_t exit_status, int64_t exited_ns, bool oom_killed,
                    const char *message)
{
    if (p->exited_ns)
        return;
    p->state = SANDBOX_STOPPED;
    p->exit_status = exit_status;
    p->exited_ns = exited_ns > 0 ? exited_ns : clock_wall_ns();
    p->oom_killed = oom_killed;
    p->message = str_empty(message) ? NULL : strdup(message);
    co_queue_wake_all(&p->exited);
    process_changed(p);
}

void sandbox_exited(struct sandbox *sb, uint32_t exit_status, int64_t exited_ns)
{
    if (sb->exited_ns)
        return;
    struct process *p;
    list_each(p, &sb->processes, link) process_exited(p, exit_status, exited_ns, false, NULL);
    sb->state = SANDBOX_STOPPED;
    sb->exit_status = exit_status;
    sb->exited_ns = exited_ns > 0 ? exited_ns : clock_wall_ns();
    co_queue_wake_all(&sb->exited);
    sandbox_changed(sb);
}

/* Recovery */

int sandboxer_adopt_sandbox(struct sandboxer *s, const void *data, size_t len,
                            enum sandbox_state state, pid_t pid, struct sandbox **ret,
                            struct error *err)
{
    auto(arena) struct arena arena = {0};
    auto(sandbox_unref) struct sandbox *sb = NULL;
    struct record record;
    int r = record_read_sandbox(data, len, &arena, &record, err);
    if (r == 0)
        r = table_add_sandbox(s, &record.sandbox, &sb, err);
    if (r < 0)
        return fail_in(err, r == -EEXIST ? EINVAL : r, "adopt a sandbox");
    sb->making = false;
    sb->state = state;
    sb->pid = pid;
    sb->created_ns = record.created_ns;
    sandbox_changed(sb);
    *ret = sb;
    return 0;
}

int sandboxer_adopt_process(struct sandboxer *s, struct sandbox *sb, const void *data, size_t len,
                            enum sandbox_state state, pid_t pid, int64_t started_ns,
                            struct process **ret, struct error *err)
{
    auto(arena) struct arena arena = {0};
    auto(process_unref) struct process *p = NULL;
    struct record record;
    int r = record_read_process(data, len, &arena, &record, err);
    if (r == 0 && !str_eq(record.process.sandbox_id, sb->id))
        r = fail_plain(err, EINVAL, "the record of container '%.130s' names sandbox '%.130s'",
                       record.process.id, record.process.sandbox_id);
    if (r == 0)
        r = table_add_process(s, sb, &record.process, &p, err);
    if (r < 0)
        return fail_in(err, r == -EEXIST ? EINVAL : r, "adopt a container of sandbox '%s'", sb->id);
    p->making = false;
    p->state = state;
    p->pid = pid;
    p->created_ns = record.created_ns;
    p->started_ns = started_ns;
    process_changed(p);
    *ret = p;
    return 0;
}
