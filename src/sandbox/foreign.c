/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine runs at a foreign sandboxer: the table, and its way onto the wire. Following it is in foreign_follow.c. */
#include "sandbox/foreign_table.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "sandbox.pb-c.h"
#include "sandbox/foreign_bundle.h"
#include "task_v2.pb-c.h"

/* The table */

struct foreign *foreign_table(struct remote *c)
{
    if (!c->foreign) {
        c->foreign = calloc(1, sizeof *c->foreign);
        if (!c->foreign)
            abort();
        list_init(&c->foreign->sandboxes);
    }
    return c->foreign;
}

void foreign_process_unref(struct foreign_process *p)
{
    if (--p->refs)
        return;
    free(p->id);
    free(p->exec_id);
    free(p->spec);
    free(p->stdin_);
    free(p->stdout_);
    free(p->stderr_);
    foreign_sandbox_unref(p->sandbox);
    free(p);
}

void foreign_sandbox_unref(struct foreign_sandbox *sb)
{
    if (--sb->refs)
        return;
    rpc_client_free(sb->task);
    free(sb->id);
    free(sb);
}

static void drop_process(struct foreign_process *p)
{
    foreign_log_end(take_ptr(&p->log));
    list_remove(&p->link);
    p->gone = true;
    foreign_process_unref(p);
}

static void drop_sandbox(struct foreign_sandbox *sb)
{
    struct foreign_process *p;
    while ((p = list_first(&sb->processes, struct foreign_process, link)))
        drop_process(p);
    list_remove(&sb->link);
    sb->gone = true;
    rpc_client_free(take_ptr(&sb->task));
    foreign_sandbox_unref(sb);
}

void foreign_free(struct foreign *f)
{
    struct foreign_sandbox *sb;
    while (f && (sb = list_first(&f->sandboxes, struct foreign_sandbox, link)))
        drop_sandbox(sb);
    free(f);
}

struct foreign_sandbox *foreign_find_sandbox(struct remote *c, const char *id)
{
    struct foreign_sandbox *sb;
    list_each(sb, &foreign_table(c)->sandboxes, link) if (str_eq(sb->id, id)) return sb;
    return NULL;
}

struct foreign_process *foreign_find(struct remote *c, const char *id, const char *exec_id)
{
    struct foreign_sandbox *sb;
    struct foreign_process *p;
    list_each(sb, &foreign_table(c)->sandboxes, link)
        list_each(p, &sb->processes, link) if (str_eq(p->id, id) &&
                                               str_eq(p->exec_id, str_or_empty(exec_id))) return p;
    return NULL;
}

int foreign_add_sandbox(struct remote *c, const char *id, struct foreign_sandbox **ret,
                        struct error *err)
{
    struct foreign_sandbox *sb = foreign_find_sandbox(c, id);
    if (!sb) {
        sb = calloc(1, sizeof *sb);
        if (!sb || !(sb->id = strdup(id))) {
            free(sb);
            return fail(err, ENOMEM, "remember sandbox '%s'", id);
        }
        sb->refs = 1;
        list_init(&sb->processes);
        list_append(&foreign_table(c)->sandboxes, &sb->link);
    }
    *ret = sb;
    return 0;
}

int foreign_add_process(struct foreign_sandbox *sb, const struct peer_container *from,
                        struct foreign_process **ret, struct error *err)
{
    struct foreign_process *p = calloc(1, sizeof *p);
    if (!p)
        return fail(err, ENOMEM, "remember container '%s'", from->id);
    p->refs = 1;
    p->sandbox = sb;
    sb->refs++;
    list_init(&p->link);
    p->id = strdup(from->id);
    p->exec_id = strdup(str_or_empty(from->exec_id));
    p->spec = strndup(from->spec, from->spec_len);
    p->stdin_ = strdup(str_or_empty(from->stdin_));
    p->stdout_ = strdup(str_or_empty(from->stdout_));
    p->stderr_ = strdup(str_or_empty(from->stderr_));
    p->terminal = from->terminal;
    if (!p->id || !p->exec_id || !p->spec || !p->stdin_ || !p->stdout_ || !p->stderr_) {
        foreign_process_unref(p);
        return fail(err, ENOMEM, "remember container '%s'", from->id);
    }
    list_append(&sb->processes, &p->link);
    *ret = p;
    return 0;
}

void foreign_leave(struct foreign *f)
{
    struct foreign_sandbox *sb;
    struct foreign_process *p;
    if (!f)
        return;
    list_each(sb, &f->sandboxes, link)
    {
        rpc_client_free(take_ptr(&sb->task));
        list_each(p, &sb->processes, link) foreign_log_drop(take_ptr(&p->log));
    }
}

struct rpc_client *foreign_task(struct remote *c, const char *id)
{
    struct foreign_process *p = foreign_find(c, id, "");
    return p ? p->sandbox->task : NULL;
}

/* ttrpc+unix:///PATH or unix:///PATH; guests behind vsock are for their own engines. */
int foreign_connect(struct foreign_sandbox *sb, const char *address, struct error *err)
{
    const char *path = str_after(address, "ttrpc+");
    path = str_after(path ? path : address, "unix://");
    if (!path || *path != '/')
        return fail_plain(err, EOPNOTSUPP,
                          "sandbox '%s': its task address '%s' is not of the form "
                          "ttrpc+unix:///PATH",
                          sb->id, address);
    rpc_client_free(take_ptr(&sb->task));
    return rpc_client_new(&sb->task, RPC_TTRPC, path, err);
}

/* Update: all tasks of a sandbox */

static void put(json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, json_object_new_string(value));
}

static void put_spec(json_object *o, const struct foreign_process *p)
{
    json_object_object_add(o, "spec", json_tokener_parse(p->spec));
    put(o, "stdin", p->stdin_);
    put(o, "stdout", p->stdout_);
    put(o, "stderr", p->stderr_);
}

/* The rootfs is mounted by then: a bind of it, as Kuasar's engines say it. */
static json_object *rootfs_of(const struct remote *c, const struct foreign_process *p)
{
    json_object *list = json_object_new_array(), *mount = json_object_new_object();
    json_object *options = json_object_new_array();
    autofree char *dir = foreign_bundle_dir(c->bundles, p->sandbox->id, p->id);
    autofree char *source = str_format("%s/rootfs", str_or_empty(dir));
    json_object_array_add(options, json_object_new_string("rbind"));
    put(mount, "destination", "/");
    put(mount, "type", "bind");
    put(mount, "source", str_or_empty(source));
    json_object_object_add(mount, "options", options);
    json_object_array_add(list, mount);
    return list;
}

static json_object *task_of(const struct remote *c, const struct foreign_process *p)
{
    json_object *task = json_object_new_object(), *execs = json_object_new_array();
    struct foreign_process *q;
    put(task, "task_id", p->id);
    put_spec(task, p);
    json_object_object_add(task, "rootfs", rootfs_of(c, p));
    list_each(q, &p->sandbox->processes, link)
    {
        if (!*q->exec_id || !str_eq(q->id, p->id))
            continue;
        json_object *exec = json_object_new_object();
        put(exec, "exec_id", q->exec_id);
        put_spec(exec, q);
        json_object_array_add(execs, exec);
    }
    json_object_object_add(task, "processes", execs);
    return task;
}

static json_object *tasks_of(const struct remote *c, const struct foreign_sandbox *sb)
{
    json_object *root = json_object_new_object(), *tasks = json_object_new_array();
    struct foreign_process *p;
    list_each(p, &sb->processes, link) if (!*p->exec_id)
        json_object_array_add(tasks, task_of(c, p));
    json_object_object_add(root, "tasks", tasks);
    return root;
}

static int announce(struct remote *c, struct foreign_sandbox *sb, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Services__Sandbox__V1__ControllerUpdateRequest q =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_UPDATE_REQUEST__INIT;
    Containerd__Types__Sandbox sandbox = CONTAINERD__TYPES__SANDBOX__INIT;
    Containerd__Types__Sandbox__ExtensionsEntry entry =
        CONTAINERD__TYPES__SANDBOX__EXTENSIONS_ENTRY__INIT;
    Containerd__Types__Sandbox__ExtensionsEntry *entries[] = {&entry};
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    char *fields[] = {(char *)"extensions.tasks"};
    json_object *tasks = tasks_of(c, sb);
    const char *text = json_object_to_json_string_ext(tasks, JSON_C_TO_STRING_PLAIN);
    void *answer;
    any.type_url = (char *)"github.com/containerd/containerd/Tasks";
    any.value.data = (uint8_t *)text;
    any.value.len = strlen(text);
    entry.key = (char *)"tasks";
    entry.value = &any;
    sandbox.sandbox_id = q.sandbox_id = sb->id;
    sandbox.extensions = entries;
    sandbox.n_extensions = 1;
    q.sandbox = &sandbox;
    q.fields = fields;
    q.n_fields = 1;
    struct remote_call call = {.service =
                                   &containerd__services__sandbox__v1__controller__descriptor,
                               .method = "Update",
                               .request = &q};
    int r = remote_call(c, &call, &arena, &answer, err);
    json_object_put(tasks);
    return r;
}

/* Sandboxes */

static int need_bundles(const struct remote *c, struct error *err)
{
    return c->bundles ? 0
                      : fail_plain(err, EOPNOTSUPP,
                                   "the sandboxer at '%s' needs bundle directories, and this "
                                   "engine was given no place for them",
                                   c->path);
}

int foreign_sandbox_created(struct remote *c, const char *id, struct error *err)
{
    struct foreign_sandbox *sb;
    autofree char *dir = c->bundles ? foreign_sandbox_dir(c->bundles, id) : NULL;
    int r = need_bundles(c, err);
    if (r == 0)
        r = dir ? dir_make(AT_FDCWD, dir, 0711, err) : fail(err, ENOMEM, "name a directory");
    return r < 0 ? r : foreign_add_sandbox(c, id, &sb, err);
}

int foreign_sandbox_started(struct remote *c, const char *id, const char *address, pid_t pid,
                            struct error *err)
{
    struct foreign_sandbox *sb;
    int r = need_bundles(c, err);
    if (r == 0)
        r = foreign_add_sandbox(c, id, &sb, err);
    if (r == 0)
        r = foreign_connect(sb, address, err);
    if (r < 0)
        return r;
    autofree char *path = str_format("%s/%s/address", c->bundles, id);
    if (!path)
        return fail(err, ENOMEM, "write an address");
    r = file_replace(AT_FDCWD, path, address, strlen(address), 0600, false, err);
    sb->pid = pid;
    sb->state = SANDBOX_RUNNING;
    foreign_tell_sandbox(c, sb);
    foreign_wait_sandbox(c, sb);
    return r;
}

static int remove_sandbox_dir(void *arg, struct error *err)
{
    return foreign_sandbox_dir_remove(arg, err);
}

int foreign_sandbox_removed(struct remote *c, const char *id, struct error *err)
{
    struct foreign_sandbox *sb = foreign_find_sandbox(c, id);
    autofree char *dir = c->bundles ? foreign_sandbox_dir(c->bundles, id) : NULL;
    if (sb)
        drop_sandbox(sb);
    return dir ? co_pool(remove_sandbox_dir, dir, err) : 0;
}

/* Containers */

struct bundle_work {
    const char *dir;
    const struct peer_container *container;
};

static int make_bundle(void *arg, struct error *err)
{
    const struct bundle_work *w = arg;
    return foreign_bundle_make(w->dir, w->container, err);
}

static int remove_bundle(void *arg, struct error *err)
{
    return foreign_bundle_remove(arg, err);
}

static int say_create(struct remote *c, const struct foreign_process *p, const char *dir,
                      pid_t *ret_pid, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
    Containerd__Task__V2__CreateTaskResponse *answer;
    q.id = p->id;
    q.bundle = (char *)dir;
    q.stdin = p->stdin_;
    q.stdout = p->stdout_;
    q.stderr = p->stderr_;
    q.terminal = p->terminal;
    struct remote_call call = {.service = &containerd__task__v2__task__descriptor,
                               .method = "Create",
                               .request = &q,
                               .id = p->id};
    int r = remote_call(c, &call, &arena, (void **)&answer, err);
    if (r == 0)
        *ret_pid = (pid_t)answer->pid;
    return r;
}

static int say_exec(struct remote *c, const struct foreign_process *p, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Containerd__Task__V2__ExecProcessRequest q = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
    Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
    void *answer;
    spec.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
    spec.value.data = (uint8_t *)p->spec;
    spec.value.len = strlen(p->spec);
    q.id = p->id;
    q.exec_id = p->exec_id;
    q.stdin = p->stdin_;
    q.stdout = p->stdout_;
    q.stderr = p->stderr_;
    q.terminal = p->terminal;
    q.spec = &spec;
    struct remote_call call = {.service = &containerd__task__v2__task__descriptor,
                               .method = "Exec",
                               .request = &q,
                               .id = p->id};
    return remote_call(c, &call, &arena, &answer, err);
}

/* p is held by the caller; on failure it is out of the table. */
static int say(struct remote *c, struct foreign_process *p, const char *dir, pid_t *ret_pid,
               struct error *err)
{
    int r = announce(c, p->sandbox, err);
    if (r == 0)
        r = *p->exec_id ? say_exec(c, p, err) : say_create(c, p, dir, ret_pid, err);
    if (r == 0 && !p->gone) {
        p->pid = *ret_pid;
        p->state = SANDBOX_CREATED;
        p->created_ns = clock_wall_ns();
        foreign_tell_process(c, p);
    } else if (!p->gone) {
        struct foreign_sandbox *sb = p->sandbox;
        drop_process(p);
        announce(c, sb,
                 NULL); /* the wanted state without it; who does not hear it ends it with the pod */
    }
    return r;
}

static int create_container(struct remote *c, struct foreign_sandbox *sb,
                            const struct peer_container *container, pid_t *ret_pid,
                            struct error *err)
{
    autofree char *dir = foreign_bundle_dir(c->bundles, sb->id, container->id);
    autofree char *out = dir ? foreign_stdio(dir, container->stdout_, "stdout") : NULL;
    autofree char *errors = dir ? foreign_stdio(dir, container->stderr_, "stderr") : NULL;
    const char *log = foreign_is_log(container->stdout_) ? container->stdout_ : container->stderr_;
    struct bundle_work work = {.dir = dir, .container = container};
    struct peer_container translated = *container;
    struct foreign_process *p;
    if (!out || !errors)
        return fail(err, ENOMEM, "create container '%s'", container->id);
    translated.stdout_ = out;
    translated.stderr_ = container->terminal ? "" : errors;
    int r = foreign_add_process(sb, &translated, &p, err);
    if (r < 0)
        return r;
    p->refs++;
    r = co_pool(make_bundle, &work, err);
    if (r == 0 && !p->gone && foreign_is_log(log))
        r = foreign_log_open(&p->log, dir, log, err);
    bool made = r == 0;
    if (r < 0 && !p->gone)
        drop_process(p);
    else if (r == 0)
        r = say(c, p, dir, ret_pid, err);
    if (r < 0 && made)
        co_pool(remove_bundle, dir, NULL);
    foreign_process_unref(p);
    return r;
}

static int create_exec(struct remote *c, struct foreign_sandbox *sb,
                       const struct peer_container *exec, pid_t *ret_pid, struct error *err)
{
    struct foreign_process *p;
    *ret_pid = 0;
    if (foreign_is_log(exec->stdout_) || foreign_is_log(exec->stderr_))
        return fail_plain(err, EOPNOTSUPP, "the sandboxer at '%s' cannot log an exec", c->path);
    int r = foreign_add_process(sb, exec, &p, err);
    if (r < 0)
        return r;
    p->refs++;
    r = say(c, p, NULL, ret_pid, err);
    foreign_process_unref(p);
    return r;
}

int foreign_create(struct remote *c, const struct peer_container *container, pid_t *ret_pid,
                   struct error *err)
{
    bool exec = !str_empty(container->exec_id);
    int r = need_bundles(c, err);
    if (r < 0)
        return r;
    struct foreign_process *of = foreign_find(c, container->id, "");
    struct foreign_sandbox *sb =
        exec ? (of ? of->sandbox : NULL) : foreign_find_sandbox(c, container->sandbox_id);
    if (!sb)
        return fail_plain(err, ENOENT, exec ? "no such container: '%s'" : "no such sandbox: '%s'",
                          exec ? container->id : container->sandbox_id);
    if (foreign_find(c, container->id, container->exec_id))
        return fail_plain(err, EEXIST, "container '%s' exists already", container->id);
    sb->refs++;
    r = exec ? create_exec(c, sb, container, ret_pid, err)
             : create_container(c, sb, container, ret_pid, err);
    foreign_sandbox_unref(sb);
    return r;
}

void foreign_started(struct remote *c, const char *id, const char *exec_id, pid_t pid)
{
    struct foreign_process *p = foreign_find(c, id, exec_id);
    if (!p)
        return;
    p->pid = pid;
    p->state = SANDBOX_RUNNING;
    p->started_ns = clock_wall_ns();
    foreign_tell_process(c, p);
    foreign_wait_process(c, p);
}

void foreign_removed(struct remote *c, const char *id, const char *exec_id)
{
    struct foreign_process *p = foreign_find(c, id, exec_id);
    struct error err = {0};
    if (!p)
        return;
    struct foreign_sandbox *sb = p->sandbox;
    autofree char *dir = foreign_bundle_dir(c->bundles, sb->id, id);
    bool container = !*p->exec_id;
    sb->refs++;
    drop_process(p);
    if (announce(c, sb, &err) < 0)
        diag_warning("%s", err.message);
    if (container && dir && co_pool(remove_bundle, dir, &err) < 0)
        diag_warning("%s", err.message);
    foreign_sandbox_unref(sb);
}
