/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/tasks.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

enum { TASKS_MAX = 4096, MOUNTS_MAX = 64, OPTIONS_MAX = 1024, JSON_DEPTH = 64 };

static void free_mount(struct mount_request *m)
{
    free(m->type);
    free(m->source);
    free(m->target);
    strv_free(m->options);
}

static void free_process(struct task_process *p)
{
    list_remove(&p->link);
    free(p->exec_id);
    free(p->spec);
    free(p->stdin_);
    free(p->stdout_);
    free(p->stderr_);
    free(p);
}

static void free_entry(struct task_entry *e)
{
    struct task_process *p;
    list_each(p, &e->processes, link) free_process(p);
    for (size_t i = 0; i < e->rootfs_count; i++)
        free_mount(&e->rootfs[i]);
    list_remove(&e->link);
    free(e->rootfs);
    free(e->id);
    free(e->spec);
    free(e->stdin_);
    free(e->stdout_);
    free(e->stderr_);
    free(e);
}

void sandbox_tasks_free(struct sandbox_tasks *tasks)
{
    if (!tasks)
        return;
    struct task_entry *e;
    list_each(e, &tasks->entries, link) free_entry(e);
    free(tasks);
}
CLEANUP_FREE(sandbox_tasks, struct sandbox_tasks);

/* Reading */

static int get_string(json_object *o, const char *key, char **ret, struct error *err)
{
    json_object *v = json_object_object_get(o, key);
    if (v && !json_object_is_type(v, json_type_string))
        return fail_plain(err, EINVAL, "%s: a string is expected", key);
    *ret = strdup(v ? json_object_get_string(v) : "");
    return *ret ? 0 : fail(err, ENOMEM, "%s", key);
}

/* An object as its text; "" where there is none. Senders that nest JSON in a string are understood
 * as well. */
static int get_spec(json_object *o, char **ret, struct error *err)
{
    json_object *v = json_object_object_get(o, "spec");
    const char *text = "";
    if (v && json_object_is_type(v, json_type_string))
        text = json_object_get_string(v);
    else if (v && json_object_is_type(v, json_type_object))
        text = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);
    else if (v)
        return fail_plain(err, EINVAL, "spec: an object is expected");
    *ret = strdup(text);
    return *ret ? 0 : fail(err, ENOMEM, "spec");
}

static int get_array(json_object *o, const char *key, size_t max, json_object **ret,
                     struct error *err)
{
    *ret = json_object_object_get(o, key);
    if (*ret && !json_object_is_type(*ret, json_type_array))
        return fail_plain(err, EINVAL, "%s: a list is expected", key);
    if (*ret && json_object_array_length(*ret) > max)
        return fail_plain(err, E2BIG, "%s: more than %zu entries", key, max);
    return 0;
}

static int check_object(json_object *o, struct error *err)
{
    return json_object_is_type(o, json_type_object)
               ? 0
               : fail_plain(err, EINVAL, "an object is expected");
}

static int get_stdio(json_object *o, char **in, char **out, char **err_, struct error *err)
{
    int r = get_string(o, "stdin", in, err);
    if (r == 0)
        r = get_string(o, "stdout", out, err);
    return r < 0 ? r : get_string(o, "stderr", err_, err);
}

static int read_options(json_object *o, struct mount_request *m, struct error *err)
{
    json_object *options;
    int r = get_array(o, "options", OPTIONS_MAX, &options, err);
    m->options = r < 0 ? NULL : calloc(1, sizeof *m->options);
    if (r == 0 && !m->options)
        return fail(err, ENOMEM, "options");
    for (size_t i = 0; r == 0 && options && i < json_object_array_length(options); i++) {
        json_object *v = json_object_array_get_idx(options, i);
        if (!json_object_is_type(v, json_type_string))
            return fail_plain(err, EINVAL, "options[%zu]: a string is expected", i);
        r = strv_add(&m->options, json_object_get_string(v));
    }
    return r;
}

static int read_mount(json_object *o, struct mount_request *m, struct error *err)
{
    int r = check_object(o, err);
    if (r == 0)
        r = get_string(o, "type", &m->type, err);
    if (r == 0)
        r = get_string(o, "source", &m->source, err);
    if (r == 0)
        r = get_string(o, "destination", &m->target, err);
    return r < 0 ? r : read_options(o, m, err);
}

static int read_rootfs(json_object *o, struct task_entry *e, struct error *err)
{
    json_object *mounts;
    int r = get_array(o, "rootfs", MOUNTS_MAX, &mounts, err);
    if (r < 0 || !mounts)
        return r;
    size_t n = json_object_array_length(mounts);
    e->rootfs = calloc(n + 1, sizeof *e->rootfs);
    if (!e->rootfs)
        return fail(err, ENOMEM, "rootfs");
    for (size_t i = 0; i < n && r == 0; i++) {
        e->rootfs_count = i + 1;
        r = read_mount(json_object_array_get_idx(mounts, i), &e->rootfs[i], err);
        if (r < 0)
            return fail_in(err, r, "rootfs[%zu]", i);
    }
    return r;
}

static int read_process(json_object *o, struct task_entry *e, struct error *err)
{
    struct task_process *p = calloc(1, sizeof *p);
    if (!p)
        return fail(err, ENOMEM, "make it");
    list_init(&p->link);
    list_append(&e->processes, &p->link);
    int r = check_object(o, err);
    if (r == 0)
        r = get_string(o, "exec_id", &p->exec_id, err);
    if (r == 0)
        r = str_check_id("exec_id", p->exec_id, err);
    if (r == 0)
        r = get_spec(o, &p->spec, err);
    return r < 0 ? r : get_stdio(o, &p->stdin_, &p->stdout_, &p->stderr_, err);
}

static int read_processes(json_object *o, struct task_entry *e, struct error *err)
{
    json_object *list;
    int r = get_array(o, "processes", TASKS_MAX, &list, err);
    for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
        r = read_process(json_object_array_get_idx(list, i), e, err);
        if (r < 0)
            return fail_in(err, r, "processes[%zu]", i);
    }
    return r;
}

static int read_entry(json_object *o, struct sandbox_tasks *tasks, struct error *err)
{
    struct task_entry *e = calloc(1, sizeof *e);
    if (!e)
        return fail(err, ENOMEM, "make it");
    list_init(&e->processes);
    list_init(&e->link);
    list_append(&tasks->entries, &e->link);
    int r = check_object(o, err);
    if (r == 0)
        r = get_string(o, "task_id", &e->id, err);
    if (r == 0)
        r = str_check_id("task_id", e->id, err);
    if (r == 0)
        r = get_spec(o, &e->spec, err);
    if (r == 0)
        r = get_stdio(o, &e->stdin_, &e->stdout_, &e->stderr_, err);
    if (r == 0)
        r = read_rootfs(o, e, err);
    return r < 0 ? r : read_processes(o, e, err);
}

static int read_all(json_object *root, struct sandbox_tasks *tasks, struct error *err)
{
    json_object *list;
    int r = check_object(root, err);
    if (r == 0)
        r = get_array(root, "tasks", TASKS_MAX, &list, err);
    for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
        r = read_entry(json_object_array_get_idx(list, i), tasks, err);
        if (r < 0)
            return fail_in(err, r, "tasks[%zu]", i);
    }
    return r;
}

static json_object *parse(const void *json, size_t len, struct error *err)
{
    json_tokener *t = len > INT32_MAX ? NULL : json_tokener_new_ex(JSON_DEPTH);
    if (!t) {
        fail(err, ENOMEM, "read JSON");
        return NULL;
    }
    json_object *root = json_tokener_parse_ex(t, json, (int)len);
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t end = json_tokener_get_parse_end(t);
    json_tokener_free(t);
    if (!root)
        fail_plain(err, EINVAL, "no valid JSON at byte %zu: %s", end,
                   e == json_tokener_continue ? "it is cut off" : json_tokener_error_desc(e));
    return root;
}

int sandbox_tasks_parse(const void *json, size_t len, struct sandbox_tasks **ret, struct error *err)
{
    auto(sandbox_tasks) struct sandbox_tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks)
        return fail(err, ENOMEM, "read the tasks extension");
    list_init(&tasks->entries);
    json_object *root = parse(json, len, err);
    if (!root)
        return fail_in(err, EINVAL, "the tasks extension");
    int r = read_all(root, tasks, err);
    json_object_put(root);
    if (r < 0)
        return fail_in(err, r, "the tasks extension");
    *ret = take_ptr(&tasks);
    return 0;
}

const struct task_entry *sandbox_tasks_find(const struct sandbox_tasks *tasks, const char *id)
{
    struct task_entry *e;
    if (tasks)
        list_each(e, &tasks->entries, link) if (str_eq(e->id, id)) return e;
    return NULL;
}

const struct task_process *task_entry_find(const struct task_entry *entry, const char *exec_id)
{
    struct task_process *p;
    list_each(p, &entry->processes, link) if (str_eq(p->exec_id, exec_id)) return p;
    return NULL;
}
