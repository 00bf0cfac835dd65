/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies the machine has, and what our groups are called in them. */
#include "linux/cgroup_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

static const char *const names[CGROUP_CONTROLLERS] = {
    "cpu",     "cpuacct", "cpuset", "memory",  "devices",
    "freezer", "blkio",   "pids",   "hugetlb", "name=systemd",
};

static unsigned controllers_of(char *const *words)
{
    unsigned set = 0;
    for (; *words; words++)
        for (int c = 0; c < CGROUP_CONTROLLERS; c++)
            if (str_eq(*words, names[c]))
                set |= 1U << c;
    return set;
}

/* The caller's own group in the hierarchy, from /proc/self/cgroup's "4:memory:/a/b"; "/" where it is not told. */
static char *own_group(const char *text, unsigned controllers)
{
    auto(strv) char **lines = str_split(text, "\n");
    for (char **l = lines; l && *l; l++) {
        char *list = strchr(*l, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        auto(strv) char **words = str_split(list + 1, ",");
        if (words && controllers_of(words) == controllers)
            return strdup(path);
    }
    return strdup("/");
}

/* As root our groups are below the mount's root, wherever the caller itself is: so they are found again after a
 * restart from another place. Others may write below their own group only. */
static int add_hierarchy(struct cgroup_host *h, unsigned controllers, const char *mount_root,
                         const char *mount_point, const char *own_text)
{
    if (h->count == CGROUP_CONTROLLERS)
        return 0;
    struct cgroup_hierarchy *y = &h->hierarchies[h->count];
    autofree char *own = own_group(own_text, h->version == 2 ? 0 : controllers);
    if (!own)
        return -ENOMEM;
    const char *below = str_eq(mount_root, "/") ? own : str_after(own, mount_root);
    if (geteuid() == 0 || !below || str_eq(below, "/"))
        below = "";
    const char *slash = strrchr(mount_point, '/');
    y->controllers = controllers;
    y->base = str_format("%s%s", mount_point, below);
    y->name = strdup(h->version == 2 ? "" : slash ? slash + 1 : mount_point);
    h->count++;
    return y->base && y->name ? 0 : -ENOMEM;
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue (proc_pid_mountinfo(5)) */
static int read_mount(struct cgroup_host *h, char *line, unsigned *seen, const char *own_text)
{
    enum { ROOT = 3, POINT = 4, TYPE_AFTER = 1, OPTIONS_AFTER = 3 };
    char *dash = strstr(line, " - ");
    auto(strv) char **after = dash ? str_split(dash + 3, " ") : NULL;
    if (!after || strv_len(after) < 2)
        return 0;
    *dash = 0;
    auto(strv) char **fields = str_split(line, " ");
    if (!fields || strv_len(fields) <= POINT)
        return 0;
    if (h->version == 2)
        return str_eq(after[0], "cgroup2") && !h->count
                   ? add_hierarchy(h, (1U << CGROUP_SYSTEMD) - 1, fields[ROOT], fields[POINT],
                                   own_text)
                   : 0;
    if (!str_eq(after[0], "cgroup"))
        return 0;
    auto(strv) char **words = str_split(after[strv_len(after) - 1], ",");
    unsigned set = words ? controllers_of(words) : 0;
    if (!set || set & *seen) /* mounted twice: the first place will do */
        return 0;
    *seen |= set;
    return add_hierarchy(h, set, fields[ROOT], fields[POINT], own_text);
}

static int read_mounts(struct cgroup_host *h, const char *mounts, const char *own)
{
    unsigned seen = 0;
    auto(strv) char **lines = str_split(mounts, "\n");
    if (!lines)
        return -ENOMEM;
    int e = 0;
    for (char **l = lines; !e && *l; l++)
        e = read_mount(h, *l, &seen, own);
    return e;
}

int cgroup_host_new(const char *parent, struct cgroup_host **ret, struct error *err)
{
    enum { FILE_MAX = 16 << 20 };
    auto(buffer) struct buffer mounts = {0}, own = {0};
    auto(cgroup_host) struct cgroup_host *h = calloc(1, sizeof *h);
    if (!h)
        return fail(err, ENOMEM, "find the machine's cgroups");
    h->parent = strdup(str_empty(parent) ? "warren" : parent);
    int e = h->parent ? 0 : fail(err, ENOMEM, "find the machine's cgroups");
    if (!e)
        e = file_read(AT_FDCWD, "/proc/self/mountinfo", FILE_MAX, &mounts, err);
    if (!e)
        e = file_read(AT_FDCWD, "/proc/self/cgroup", FILE_MAX, &own, err);
    for (h->version = 1; !e && h->version <= 2; h->version++) {
        e = read_mounts(h, buffer_text(&mounts), buffer_text(&own));
        if (e < 0)
            return fail(err, e, "find the machine's cgroups");
        if (h->count)
            break;
    }
    if (!e && !h->count)
        e = fail_plain(err, ENOENT, "no cgroup file system is mounted on this machine");
    if (!e)
        *ret = take_ptr(&h);
    return e;
}

void cgroup_host_free(struct cgroup_host *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++) {
        free(h->hierarchies[i].base);
        free(h->hierarchies[i].name);
    }
    free(h->parent);
    free(h);
}

int cgroup_host_version(const struct cgroup_host *h)
{
    return h->version;
}

int cgroup_name(const struct cgroup_host *h, const char *pod, const char *container,
                struct cgroup *ret, struct error *err)
{
    int e = str_check_id("pod id", pod, err);
    if (!e && container)
        e = str_check_id("container id", container, err);
    if (e)
        return e;
    autofree char *path = str_format("%s%s%s", pod, container ? "/" : "", str_or_empty(container));
    return path ? cgroup_name_path(h, path, ret, err) : fail(err, ENOMEM, "name a cgroup");
}

int cgroup_name_path(const struct cgroup_host *h, const char *path, struct cgroup *ret,
                     struct error *err)
{
    auto(strv) char **parts = str_split(path, "/");
    if (!parts || !parts[0])
        return fail_plain(err, EINVAL, "linux.cgroupsPath: '%s' names no group", path);
    for (char **p = parts; *p; p++)
        if (str_eq(*p, ".") || str_eq(*p, "..") || strchr(*p, '\n'))
            return fail_plain(err, EINVAL, "linux.cgroupsPath: '%s' has a part '%s'", path, *p);
    bool absolute = *path == '/';
    int n = snprintf(ret->path, sizeof ret->path, "%s%s", absolute ? "" : h->parent,
                     absolute ? "" : "/");
    for (char **p = parts; *p && n >= 0 && (size_t)n < sizeof ret->path; p++)
        n += snprintf(ret->path + n, sizeof ret->path - (size_t)n, "%s%s", p == parts ? "" : "/",
                      *p);
    if (n < 0 || (size_t)n >= sizeof ret->path)
        return fail_plain(err, ENAMETOOLONG, "linux.cgroupsPath: longer than %d bytes",
                          CGROUP_PATH_MAX - 1);
    ret->host = h;
    return 0;
}

const struct cgroup_hierarchy *cgroup_find(const struct cgroup_host *h, enum cgroup_controller c)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->hierarchies[i].controllers & 1U << c)
            return &h->hierarchies[i];
    return NULL;
}

int cgroup_file(const struct cgroup *g, const struct cgroup_hierarchy *y, const char *file,
                char path[PATH_MAX])
{
    const char *base = y->base[0] == '/' && !y->base[1] ? "" : y->base;
    const char *rest = g->path[0] == '/' ? g->path + 1 : g->path;
    int n = snprintf(path, PATH_MAX, "%s/%s%s%s", base, rest, *file ? "/" : "", file);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

bool cgroup_is_in(const struct cgroup *g, const struct cgroup_hierarchy *y)
{
    char path[PATH_MAX];
    return cgroup_file(g, y, "", path) == 0 && access(path, F_OK) == 0;
}

bool cgroup_has_file(const struct cgroup *g, enum cgroup_controller c, const char *file)
{
    char path[PATH_MAX];
    const struct cgroup_hierarchy *y = cgroup_find(g->host, c);
    return y && cgroup_file(g, y, file, path) == 0 && access(path, F_OK) == 0;
}

int cgroup_set(const struct cgroup *g, enum cgroup_controller c, const char *file, const char *text,
               struct error *err)
{
    char path[PATH_MAX];
    const struct cgroup_hierarchy *y = cgroup_find(g->host, c);
    if (!y)
        return fail_plain(err, EOPNOTSUPP,
                          "set %s to '%s': this machine has no cgroup controller '%s'", file, text,
                          names[c]);
    int e = cgroup_file(g, y, file, path);
    if (e)
        return fail(err, e, "cgroup '%s'", g->path);
    struct error why = {0};
    e = file_write(AT_FDCWD, path, text, &why);
    return e < 0 ? fail(err, e, "cgroup '%s': set %s to '%s'", g->path, file, text) : 0;
}

int cgroup_setf(const struct cgroup *g, enum cgroup_controller c, struct error *err,
                const char *file, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cgroup_set(g, c, file, text, err);
}
