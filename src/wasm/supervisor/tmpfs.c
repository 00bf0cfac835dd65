/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "oci/spec.h"
#include "wasm/supervisor/tmpfs.h"

struct tmpfs {
    char *dir;
    struct map containers; /* that have any; keys are the values */
};

static int know(struct tmpfs *t, const char *container)
{
    if (map_get(&t->containers, container))
        return 0;
    char *id = strdup(container);
    int r = id ? map_add(&t->containers, id, id) : -ENOMEM;
    if (r < 0)
        free(id);
    return r;
}

static int read_dir(const char *path, int (*fn)(void *arg, const char *name), void *arg)
{
    DIR *d = opendir(path);
    int r = d ? 0 : -errno;
    for (struct dirent *e; !r && (e = readdir(d));)
        if (e->d_name[0] != '.')
            r = fn(arg, e->d_name);
    if (d)
        closedir(d);
    return r;
}

static int know_name(void *arg, const char *name)
{
    return know(arg, name);
}

int tmpfs_new(struct tmpfs **ret, const char *dir, struct error *err)
{
    struct tmpfs *t = calloc(1, sizeof *t);
    if (!t || !(t->dir = strdup(dir))) {
        free(t);
        return fail(err, ENOMEM, "set up '%s'", dir);
    }
    int r = dir_make(AT_FDCWD, dir, 0700, err);
    if (!r) {
        r = read_dir(dir, know_name, t);
        if (r < 0)
            fail(err, r, "read '%s'", dir);
    }
    if (r < 0)
        tmpfs_free(t);
    else
        *ret = t;
    return r;
}

void tmpfs_free(struct tmpfs *t)
{
    size_t i = 0;
    if (!t)
        return;
    for (char *id; (id = map_next(&t->containers, &i));)
        free(id);
    map_done(&t->containers);
    free(t->dir);
    free(t);
}

/* Of a mount's options those that are the file system's own (tmpfs(5)); the rest are flags. */
static int own_options(const struct oci_mount *m, struct buffer *ret)
{
    static const char *const names[] = {
        "size=", "nr_inodes=", "nr_blocks=", "mode=", "uid=", "gid="};
    for (char **o = m->options; o && *o; o++)
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            if (str_after(*o, names[i]) && !strchr(*o, ',') &&
                buffer_printf(ret, "%s%s", ret->len ? "," : "", *o) < 0)
                return -ENOMEM;
    return 0;
}

int tmpfs_mount(struct tmpfs *t, const char *container, unsigned n, const struct oci_mount *m,
                char **ret_path, struct error *err)
{
    auto(buffer) struct buffer options = {0};
    autofree char *parent = str_format("%s/%s", t->dir, container);
    autofree char *path = parent ? str_format("%s/%u", parent, n) : NULL;
    int r = path ? own_options(m, &options) : -ENOMEM;
    if (!r)
        r = know(t, container);
    if (r < 0)
        return fail(err, r, "mount a tmpfs at '%s'", m->destination);
    if (mkdir(parent, 0700) < 0 && errno != EEXIST)
        return fail(err, errno, "make '%s'", parent);
    if (mkdir(path, 0700) < 0)
        return fail(err, errno, "make '%s'", path);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, buffer_text(&options)) < 0)
        return fail(err, errno, "mounts: mount a tmpfs with the options '%s' at '%s'",
                    buffer_text(&options), m->destination);
    *ret_path = take_ptr(&path);
    return 0;
}

static int unmount(void *arg, const char *name)
{
    const char *parent = arg;
    autofree char *path = str_format("%s/%s", parent, name);
    if (path) {
        umount2(path, MNT_DETACH);
        rmdir(path);
    }
    return 0;
}

void tmpfs_remove(struct tmpfs *t, const char *container)
{
    char *id = map_remove(&t->containers, container);
    autofree char *parent = id ? str_format("%s/%s", t->dir, id) : NULL;
    if (parent) {
        read_dir(parent, unmount, parent);
        rmdir(parent);
    }
    free(id);
}

void tmpfs_sweep(struct tmpfs *t, bool (*keep)(void *arg, const char *container), void *arg)
{
    auto(strv) char **gone = NULL;
    size_t i = 0;
    for (char *id; (id = map_next(&t->containers, &i));)
        if (!keep(arg, id) && strv_add(&gone, id) < 0)
            return; /* the next start does it */
    for (char **id = gone; id && *id; id++)
        tmpfs_remove(t, *id);
}
