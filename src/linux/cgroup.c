/* SPDX-License-Identifier: Apache-2.0 */
/* Making and removing groups, and entering them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "linux/cgroup_host.h"
#include "oci/spec.h"

/* Making */

/* A new cpuset has no CPUs and takes no process: it gets its parent's. */
static int inherit_cpuset(const char *dir, const char *file)
{
    char path[PATH_MAX + 64];
    auto(buffer) struct buffer ours = {0}, above = {0};
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int e = file_read(AT_FDCWD, path, 65536, &ours, NULL);
    if (e || ours.len > 1)
        return e;
    snprintf(path, sizeof path, "%s/../%s", dir, file);
    e = file_read(AT_FDCWD, path, 65536, &above, NULL);
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return e ? e : file_write(AT_FDCWD, path, buffer_text(&above), NULL);
}

/* On v2 a controller is there in a group only where the group above hands it down. */
static int hand_down(const char *dir)
{
    static const char *const wanted[] = {"+cpu", "+cpuset", "+memory", "+io", "+pids", "+hugetlb"};
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/../cgroup.subtree_control", dir);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        file_write(AT_FDCWD, path, wanted[i],
                   NULL); /* what is not there shows when a limit is set */
    return 0;
}

static int make_directory(const struct cgroup_host *h, const struct cgroup_hierarchy *y,
                          const char *dir)
{
    if (mkdir(dir, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    if (h->version == 2)
        return hand_down(dir);
    if (!(y->controllers & 1U << CGROUP_CPUSET))
        return 0;
    int e = inherit_cpuset(dir, "cpuset.cpus");
    return e ? e : inherit_cpuset(dir, "cpuset.mems");
}

static int make_all(const struct cgroup_host *h, const struct cgroup_hierarchy *y, char *path)
{
    int e = 0;
    for (char *p = path + strlen(y->base) + 1; !e; p++) {
        p += strcspn(p, "/");
        char c = *p;
        *p = 0;
        e = make_directory(h, y, path);
        *p = c;
        if (!c)
            break;
    }
    return e;
}

static int make_in(const struct cgroup *g, const struct cgroup_hierarchy *y, struct error *err)
{
    char path[PATH_MAX];
    int e = cgroup_file(g, y, "", path);
    if (!e)
        e = make_directory(g->host, y, path); /* most often only the last is missing */
    if (e == -ENOENT)
        e = make_all(g->host, y, path);
    return e ? fail(err, e, "make the cgroup '%s'", path) : 0;
}

static unsigned always(const struct oci_resources *r)
{
    unsigned set = 1U << CGROUP_CPUACCT | 1U << CGROUP_MEMORY | 1U << CGROUP_FREEZER |
                   1U << CGROUP_BLKIO | 1U << CGROUP_PIDS;
    return r ? set | cgroup_controllers_of(r) : set | 1U << CGROUP_SYSTEMD;
}

static void remove_in(const struct cgroup *g, const struct cgroup_hierarchy *y)
{
    char path[PATH_MAX];
    if (cgroup_file(g, y, "", path) == 0)
        rmdir(path);
}

int cgroup_make(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    unsigned wanted = always(r);
    int e = 0;
    for (size_t i = 0; !e && i < g->host->count; i++)
        if (g->host->hierarchies[i].controllers & wanted)
            e = make_in(g, &g->host->hierarchies[i], err);
    if (!e && r)
        e = cgroup_limit(g, r, err);
    if (!e && r)
        e = cgroup_limit_devices(g, r, err);
    for (size_t i = 0; e && i < g->host->count; i++)
        remove_in(g, &g->host->hierarchies[i]);
    return e;
}

int cgroup_update(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    unsigned wanted = cgroup_controllers_of(r);
    const struct cgroup_hierarchy *added[CGROUP_CONTROLLERS];
    size_t n = 0;
    int e = 0;
    for (size_t i = 0; !e && i < g->host->count; i++) {
        const struct cgroup_hierarchy *y = &g->host->hierarchies[i];
        if (!(y->controllers & wanted) || cgroup_is_in(g, y))
            continue;
        e = make_in(g, y, err);
        added[n++] = y;
    }
    if (!e)
        e = cgroup_limit(g, r, err);
    /* a limit where there was none: the processes are moved to the new group */
    for (size_t i = 0; !e && i < n; i++)
        e = cgroup_move(g, added[i], err);
    return e;
}

/* Removing */

static int remove_tree(const char *path, int depth)
{
    enum { DEPTH_MAX = 64 };
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    if ((errno != EBUSY && errno != ENOTEMPTY) || depth == DEPTH_MAX)
        return -errno;
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT ? 0 : -errno;
    int e = 0;
    for (struct dirent *entry; !e && (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || *entry->d_name == '.')
            continue;
        autofree char *below = str_format("%s/%s", path, entry->d_name);
        e = below ? remove_tree(below, depth + 1) : -ENOMEM;
    }
    closedir(d);
    if (!e && rmdir(path) < 0 && errno != ENOENT)
        e = -errno;
    return e;
}

int cgroup_remove(const struct cgroup *g, struct error *err)
{
    enum { TRIES = 10 };
    int result = 0;
    for (size_t i = 0; i < g->host->count; i++) {
        char path[PATH_MAX];
        int e = cgroup_file(g, &g->host->hierarchies[i], "", path);
        /* a process that has been waited for may still be counted for a moment */
        for (int attempt = 0; !e && attempt < TRIES; attempt++) {
            e = remove_tree(path, 0);
            if (e != -EBUSY)
                break;
            nanosleep(&(struct timespec){0, 1000000L << attempt / 2}, NULL);
            if (attempt + 1 < TRIES)
                e = 0;
        }
        if (e && !result)
            result = fail(err, e, "remove the cgroup '%s'", path);
    }
    return result;
}

/* Entering */

int cgroup_join_paths(const struct cgroup *g, struct arena *a, char ***ret, struct error *err)
{
    const struct cgroup_host *h = g->host;
    char **v = arena_array(a, char *, h->count + 1);
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++) {
        char path[PATH_MAX];
        if (!cgroup_is_in(g, &h->hierarchies[i]))
            continue;
        int e = cgroup_file(g, &h->hierarchies[i], h->version == 2 ? "" : "tasks", path);
        if (e)
            return fail(err, e, "cgroup '%s'", g->path);
        v[n++] = arena_strdup(a, path);
    }
    *ret = v;
    return 0;
}

int cgroup_join(const struct cgroup *g, struct error *err)
{
    const struct cgroup_host *h = g->host;
    for (size_t i = 0; i < h->count; i++) {
        char path[PATH_MAX];
        if (!cgroup_is_in(g, &h->hierarchies[i]))
            continue;
        int e =
            cgroup_file(g, &h->hierarchies[i], h->version == 2 ? "cgroup.procs" : "tasks", path);
        if (!e)
            e = file_write(AT_FDCWD, path, "0", err);
        if (e)
            return fail_in(err, e, "enter the cgroup '%s'", g->path);
    }
    return 0;
}

int cgroup_views(const struct cgroup *g, struct arena *a, struct cgroup_view **ret,
                 size_t *ret_count, struct error *err)
{
    const struct cgroup_host *h = g->host;
    struct cgroup_view *v = arena_array(a, struct cgroup_view, h->count);
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++) {
        char path[PATH_MAX];
        if (!cgroup_is_in(g, &h->hierarchies[i]))
            continue;
        int e = cgroup_file(g, &h->hierarchies[i], "", path);
        if (e)
            return fail(err, e, "cgroup '%s'", g->path);
        v[n++] =
            (struct cgroup_view){arena_strdup(a, h->hierarchies[i].name), arena_strdup(a, path)};
    }
    *ret = v;
    *ret_count = n;
    return 0;
}
