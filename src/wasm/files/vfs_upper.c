/* SPDX-License-Identifier: Apache-2.0 */
/* What brings things into the upper directory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

static int pin_upper(const struct vfs_mount *m)
{
    int fd = vfs_layer_pin(m->layers[0]);
    if (fd == -ENOENT && m->has_upper) {
        fd = dir_make(AT_FDCWD, vfs_layer_path(m->layers[0]), 0755, NULL);
        if (!fd)
            fd = vfs_layer_pin(m->layers[0]);
    }
    return fd;
}

/* Makes one directory of the upper layer as the merged one is. */
static int make_like(struct vfs *v, const struct vfs_mount *m, int upper, const char *below)
{
    auto(vfs_node) struct vfs_node n = {0};
    autofree char *base = strdup(m->destination);
    int r = base ? vfs_lookup(v, base, below, false, &n) : -ENOMEM;
    if (r < 0)
        return r;
    if (!n.exists || !S_ISDIR(n.st.st_mode))
        return -ENOENT;
    autofree char *parent = strdup(below);
    if (!parent)
        return -ENOMEM;
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    const char *name = slash ? slash + 1 : below;
    autoclose int dir = vfs_open_at(upper, slash ? parent : ".", O_PATH | O_DIRECTORY, 0);
    if (dir < 0)
        return dir;
    if (mkdirat(dir, name, n.st.st_mode & 07777) < 0)
        return errno == EEXIST ? 0 : -errno;
    if (fchownat(dir, name, n.st.st_uid, n.st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM)
        return -errno;
    return fchmodat(dir, name, n.st.st_mode & 07777, 0) < 0 ? -errno : 0;
}

static int make_all(struct vfs *v, const struct vfs_mount *m, int upper, const char *below)
{
    autofree char *path = strdup(below);
    int r = path ? 0 : -ENOMEM;
    for (char *p = path; !r && p;) {
        p = strchr(p, '/');
        if (p)
            *p = 0;
        autoclose int fd = vfs_open_at(upper, path, O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT)
            r = make_like(v, m, upper, path);
        else if (fd < 0)
            r = fd;
        if (p)
            *p++ = '/';
    }
    return r;
}

int vfs_open_upper(struct vfs *v, const struct vfs_mount *m, const char *below)
{
    if (m->read_only)
        return -EROFS;
    int upper = pin_upper(m);
    if (upper < 0)
        return upper;
    int fd = vfs_open_at(upper, below, O_PATH | O_DIRECTORY, 0);
    if (fd == -ENOENT && m->overlay) {
        fd = make_all(v, m, upper, below);
        if (!fd)
            fd = vfs_open_at(upper, below, O_PATH | O_DIRECTORY, 0);
    }
    vfs_layer_unpin(m->layers[0]);
    return fd;
}

static int copy_data(int from, int to)
{
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
        if (n == 0)
            return 0;
        if (n < 0)
            break;
    }
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    autofree char *buffer = malloc(64 << 10);
    for (;;) {
        ssize_t n = buffer ? read(from, buffer, 64 << 10) : -1;
        if (n <= 0)
            return n ? -errno : 0;
        int r = fd_write_all(to, buffer, (size_t)n);
        if (r < 0)
            return r;
    }
}

static int copy_file(int from, const struct stat *st, int dir, const char *name)
{
    autoclose int to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    int r = copy_data(from, to);
    if (!r && fchown(to, st->st_uid, st->st_gid) < 0 && errno != EPERM)
        r = -errno;
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (!r && (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0))
        r = -errno;
    return r;
}

static int copy_link(struct vfs *v, struct vfs_node *n, int dir, const char *name)
{
    autofree char *target = malloc(PATH_MAX + 1);
    int len = target ? vfs_readlink(v, n, target, PATH_MAX) : -ENOMEM;
    if (len < 0)
        return len;
    target[len] = 0;
    return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

int vfs_copy_up(struct vfs *v, struct vfs_node *n)
{
    const struct vfs_mount *m = n->mount;
    if (m->read_only)
        return -EROFS;
    if (!m->overlay || n->top == 0)
        return 0;
    if (!S_ISREG(n->st.st_mode) && !S_ISLNK(n->st.st_mode))
        return -EXDEV;
    autofree char *parent = strdup(vfs_below(n));
    if (!parent)
        return -ENOMEM;
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    const char *name = strrchr(n->path, '/') + 1;
    autoclose int dir = vfs_open_upper(v, m, slash ? parent : ".");
    if (dir < 0)
        return dir;
    if (S_ISLNK(n->st.st_mode)) {
        int r = copy_link(v, n, dir, name);
        n->top = r ? n->top : 0;
        return r;
    }
    int layer = vfs_layer_pin(m->layers[n->top]);
    if (layer < 0)
        return layer;
    autoclose int from = vfs_open_at(layer, vfs_below(n), O_RDONLY | O_NOFOLLOW, 0);
    vfs_layer_unpin(m->layers[n->top]);
    if (from < 0)
        return from;
    /* made beside the tree, so that nobody sees half a file */
    autoclose int work = -1;
    if (m->work && dir_make(AT_FDCWD, m->work, 0700, NULL) == 0)
        work = open(m->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    static unsigned counter;
    autofree char *part =
        str_format(".warren-%d-%u", getpid(), __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
    int at = work < 0 ? dir : work;
    int r = part ? copy_file(from, &n->st, at, part) : -ENOMEM;
    if (!r && renameat(at, part, dir, name) < 0)
        r = -errno;
    if (r < 0 && part)
        unlinkat(at, part, 0);
    n->top = r ? n->top : 0;
    return r;
}
