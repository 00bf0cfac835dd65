/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the processes of a group: freezing, signals, lists. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "linux/cgroup_host.h"

enum { LIST_MAX = 16 << 20, DEPTH_MAX = 64 };

/* The hierarchy that every group of ours is in. */
static const struct cgroup_hierarchy *main_hierarchy(const struct cgroup *g)
{
    const struct cgroup_hierarchy *y = cgroup_find(g->host, CGROUP_FREEZER);
    return y ? y : cgroup_find(g->host, CGROUP_PIDS);
}

static int read_pids(const char *dir, struct buffer *pids, int depth)
{
    auto(buffer) struct buffer text = {0};
    autofree char *file = str_format("%s/cgroup.procs", dir);
    int e = file ? file_read(AT_FDCWD, file, LIST_MAX, &text, NULL) : -ENOMEM;
    for (char *p = (char *)text.data; !e && p && *p;) {
        pid_t pid = (pid_t)strtol(p, &p, 10);
        p += strspn(p, "\n");
        if (pid > 0) /* 0: of another pid namespace */
            e = buffer_append(pids, &pid, sizeof pid);
    }
    DIR *d = e || depth == DEPTH_MAX ? NULL : opendir(dir);
    for (struct dirent *entry; !e && d && (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || *entry->d_name == '.')
            continue;
        autofree char *below = str_format("%s/%s", dir, entry->d_name);
        e = below ? read_pids(below, pids, depth + 1) : -ENOMEM;
        if (e == -ENOENT) /* removed meanwhile */
            e = 0;
    }
    if (d)
        closedir(d);
    return e;
}

int cgroup_pids(const struct cgroup *g, struct buffer *pids, struct error *err)
{
    char path[PATH_MAX];
    const struct cgroup_hierarchy *y = main_hierarchy(g);
    int e = y ? cgroup_file(g, y, "", path) : -EOPNOTSUPP;
    if (!e)
        e = read_pids(path, pids, 0);
    return e < 0 ? fail(err, e, "list the processes of cgroup '%s'", g->path) : 0;
}

static int state_is(const struct cgroup *g, bool v2, bool frozen)
{
    char path[PATH_MAX];
    auto(buffer) struct buffer b = {0};
    int e = cgroup_file(g, main_hierarchy(g), v2 ? "cgroup.events" : "freezer.state", path);
    if (!e)
        e = file_read(AT_FDCWD, path, 4096, &b, NULL);
    if (e)
        return e;
    const char *wanted = v2 ? (frozen ? "frozen 1" : "frozen 0") : frozen ? "FROZEN" : "THAWED";
    return strstr(buffer_text(&b), wanted) != NULL;
}

static int set_frozen(const struct cgroup *g, bool frozen, struct error *err)
{
    if (g->host->version == 2)
        return cgroup_set(g, CGROUP_FREEZER, "cgroup.freeze", frozen ? "1" : "0", err);
    return cgroup_set(g, CGROUP_FREEZER, "freezer.state", frozen ? "FROZEN" : "THAWED", err);
}

int cgroup_freeze(const struct cgroup *g, bool frozen, struct error *err)
{
    int64_t deadline = clock_mono_ns() + 5 * NSEC_PER_SEC;
    int e = set_frozen(g, frozen, err);
    for (long wait = 100000; !e; wait = wait < 10000000 ? wait * 2 : wait) {
        int there = state_is(g, g->host->version == 2, frozen);
        if (there < 0)
            return fail(err, there, "cgroup '%s': read whether it is frozen", g->path);
        if (there)
            return 0;
        if (clock_mono_ns() > deadline)
            break;
        nanosleep(&(struct timespec){0, wait}, NULL);
        /* v1: a process that was being made while the group froze needs it said again */
        e = g->host->version == 1 && frozen ? set_frozen(g, frozen, err) : 0;
    }
    if (e)
        return e;
    set_frozen(g, false, NULL);
    return fail_plain(err, ETIMEDOUT, "cgroup '%s': some of its processes could not be frozen",
                      g->path);
}

int cgroup_kill(const struct cgroup *g, int signal, struct error *err)
{
    if (g->host->version == 2 && signal == SIGKILL &&
        cgroup_has_file(g, CGROUP_PIDS, "cgroup.kill"))
        return cgroup_set(g, CGROUP_PIDS, "cgroup.kill", "1", err);
    /* frozen, so that none is made while we go through the list */
    bool freeze = signal == SIGKILL && set_frozen(g, true, NULL) == 0;
    auto(buffer) struct buffer pids = {0};
    int e = cgroup_pids(g, &pids, err);
    size_t n = pids.len / sizeof(pid_t), sent = 0;
    const pid_t *list = (const pid_t *)(const void *)pids.data;
    for (size_t i = 0; i < n; i++)
        sent += kill(list[i], signal) == 0;
    if (freeze)
        set_frozen(g, false, NULL);
    if (!e && !sent)
        e = fail_plain(err, ESRCH, "cgroup '%s' has no processes", g->path);
    return e;
}

int cgroup_move(const struct cgroup *g, const struct cgroup_hierarchy *y, struct error *err)
{
    enum { ROUNDS = 8 }; /* until none is made meanwhile any more */
    char path[PATH_MAX];
    int e = cgroup_file(g, y, "cgroup.procs", path);
    size_t before = 0;
    for (int round = 0; !e && round < ROUNDS; round++) {
        auto(buffer) struct buffer pids = {0};
        e = cgroup_pids(g, &pids, err);
        size_t n = pids.len / sizeof(pid_t);
        const pid_t *list = (const pid_t *)(const void *)pids.data;
        for (size_t i = 0; !e && i < n; i++) {
            char text[16];
            snprintf(text, sizeof text, "%d", list[i]);
            e = file_write(AT_FDCWD, path, text, err);
            if (e == -ESRCH)
                e = 0;
        }
        if (n == before)
            break;
        before = n;
    }
    return e;
}
