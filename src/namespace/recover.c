/* SPDX-License-Identifier: Apache-2.0 */
/* Finding again what keepers hold. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "namespace/pod.h"

struct found { /* a keeper that is being asked what it has */
    struct namespaces *t;
    struct sandboxer *s;
    struct pod *pod; /* once it is known */
    struct buffer
        processes; /* WIRE_PROCESS payloads, each as bytes: they come before the pod's record */
    bool gone;
};

static void found_process(void *arg, const struct wire_process *p)
{
    struct found *f = arg;
    auto(buffer) struct buffer b = {0};
    if (wire_put_process(&b, p) == 0)
        wire_put_bytes(&f->processes, b.data, b.len);
}

static void found_exited(void *arg, const char *id, const char *exec_id, uint32_t status,
                         int64_t exited_ns, bool oom_killed, const char *message)
{
    struct found *f =
        arg; /* before WIRE_LIST's answer it is in that; there is nobody to tell yet */
    if (f->pod)
        pod_observer.exited(f->pod, id, exec_id, status, exited_ns, oom_killed, message);
}

static void found_gone(void *arg)
{
    ((struct found *)arg)->gone = true;
}

static enum sandbox_state state_of(uint32_t wire_state)
{
    return wire_state == WIRE_STOPPED   ? SANDBOX_STOPPED
           : wire_state == WIRE_RUNNING ? SANDBOX_RUNNING
                                        : SANDBOX_CREATED;
}

static int adopt_process(struct found *f, struct sandbox *sb, const struct wire_process *w,
                         struct error *err)
{
    struct process *p;
    struct unit *u;
    const void *record;
    size_t record_len;
    int r = unit_open(w->record, w->record_len, &u, &record, &record_len);
    if (r < 0)
        return fail(err, r, "read the record of '%s'", w->id);
    r = sandboxer_adopt_process(f->s, sb, record, record_len, state_of(w->state), (pid_t)w->pid,
                                w->started_ns, &p, err);
    if (!r)
        r = pod_container_cgroup(f->pod, w->id, &u->cgroup, err);
    if (r < 0) {
        unit_free(u);
        return r;
    }
    u->own_cgroup = !*w->exec_id;
    p->technique = u;
    if (w->state == WIRE_STOPPED)
        process_exited(p, w->status, w->exited_ns, w->oom_killed, *w->message ? w->message : NULL);
    return 0;
}

static void adopt_processes(struct found *f, struct sandbox *sb)
{
    struct wire_reader all = {.at = f->processes.data, .end = f->processes.data + f->processes.len};
    while (all.at < all.end) {
        size_t len;
        const uint8_t *data = wire_bytes(&all, &len);
        struct wire_reader one = {.at = data, .end = data + len};
        struct wire_process w;
        struct error err = {0};
        wire_process(&one, &w);
        if (all.bad || one.bad || adopt_process(f, sb, &w, &err) < 0)
            diag_error("recover a container of sandbox '%s': %s", sb->id, err.message);
        if (all.bad)
            return;
    }
}

static int adopt(struct found *f, struct holder *h, const struct buffer *answer, struct error *err)
{
    struct wire_reader r = {.at = answer->data, .end = answer->data + answer->len};
    size_t len;
    struct sandbox *sb;
    const void *record = wire_bytes(&r, &len);
    int64_t stopped_ns = wire_i64(&r);
    pid_t pid = (pid_t)wire_u32(&r);
    if (r.bad)
        return fail_plain(err, EPROTO, "the keeper's answer cannot be read");
    holder_set_pid(h, pid);
    int n = sandboxer_adopt_sandbox(f->s, record, len,
                                    stopped_ns ? SANDBOX_STOPPED : SANDBOX_RUNNING, pid, &sb, err);
    if (!n)
        n = pod_new(f->t, sb, &f->pod, err);
    if (n < 0)
        return n;
    sb->technique = f->pod;
    f->pod->holder = h;
    f->pod->running = true;
    adopt_processes(f, sb);
    if (stopped_ns)
        sandbox_exited(sb, 0, stopped_ns);
    holder_observe(h, &pod_observer, f->pod);
    return 0;
}

static void end_group(struct namespaces *t, const char *name)
{
    struct cgroup g;
    struct error err = {0};
    int r = cgroup_name_path(t->cgroups, name, &g, &err);
    if (r == 0)
        r = cgroup_kill(&g, SIGKILL, &err);
    if (r == 0 || r == -ESRCH)
        r = cgroup_remove_parked(&g, &err);
    if (r < 0 && r != -ENOENT)
        diag_warning("%s", err.message);
}

/* The groups of a pod in one hierarchy's directory. */
static char **find_groups(const char *dir, const char *id)
{
    char **names = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *rest = str_after(e->d_name, id);
        if (rest && *rest == '+' && strv_add(&names, e->d_name) < 0)
            break;
    }
    if (d)
        closedir(d);
    return names;
}

/* Its pod ended with it, but for what took the parent-death signal off. */
static void bury(struct namespaces *t, const char *name)
{
    autofree char *id = holder_id(name);
    auto(arena) struct arena a = {0};
    struct cgroup parent = {.host = t->cgroups};
    char **paths;
    unlinkat(t->dir_fd, name, 0);
    snprintf(parent.path, sizeof parent.path, "%s", t->cgroup_parent);
    if (!id || cgroup_join_paths(&parent, &a, &paths, NULL) < 0)
        return;
    diag_warning("the keeper of sandbox '%s' has ended; what is left of it is removed", id);
    for (; *paths; paths++) {
        *strrchr(*paths, '/') = 0;
        auto(strv) char **groups = find_groups(*paths, id);
        for (char **g = groups; g && *g; g++)
            end_group(t, *g);
    }
}

static void recover_one(struct namespaces *t, struct sandboxer *s, const char *name)
{
    static const struct holder_observer observer = {found_exited, found_process, found_gone};
    struct found f = {.t = t, .s = s};
    struct error err = {0};
    struct holder *h;
    auto(buffer) struct buffer answer = {0};
    int r = holder_connect(t->dir_fd, name, &observer, &f, &h, &err);
    if (r == -ECONNREFUSED) {
        bury(t, name);
        return;
    }
    if (r == 0) {
        r = holder_call(h, WIRE_LIST, NULL, &answer, &err);
        if (r == 0 && !f.gone)
            r = adopt(&f, h, &answer, &err);
        if (r < 0 && !f.gone) { /* it is not known what it holds: it ends */
            holder_call(h, WIRE_LEAVE, NULL, NULL, NULL);
            if (!f.gone)
                holder_free(h);
        }
    }
    buffer_done(&f.processes);
    if (r < 0)
        diag_error("recover the keeper at '%s': %s", name, err.message);
}

int namespace_recover(void *t, struct sandboxer *s, struct error *err)
{
    struct namespaces *n = t;
    DIR *d = opendir(n->dir);
    if (!d)
        return fail(err, errno, "open '%s'", n->dir);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_type == DT_SOCK) {
            autofree char *id = holder_id(e->d_name);
            if (id)
                recover_one(n, s, e->d_name);
        }
    }
    closedir(d);
    return 0;
}
