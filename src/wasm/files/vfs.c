/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up. */
#include "wasm/files/vfs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

/* STEPS_MAX: a path of 4 KiB goes down and up a thousand times, each of which is a walk from the root. */
enum { SYMLINKS_MAX = 40, STEPS_MAX = 16384 };

void vfs_node_done(struct vfs_node *n)
{
    free(take_ptr(&n->path));
}

static const struct vfs_mount *mount_at(const struct vfs *v, const char *path)
{
    for (unsigned i = v->count; i-- > 0;) /* a later one hides an earlier */
        if (str_eq(v->mounts[i].destination, path))
            return &v->mounts[i];
    return vfs_device_at(v, path);
}

static bool above_a_mount(const struct vfs *v, const char *path)
{
    if (str_eq(path, "/dev") && vfs_has_devices(v))
        return true;
    for (unsigned i = 0; i < v->count; i++) {
        const char *rest = str_after(v->mounts[i].destination, path);
        if (rest && *rest == '/')
            return true;
    }
    return false;
}

/* n is a directory; goes to its child of this name. */
static int step(struct vfs *v, struct vfs_node *n, const char *name, size_t len)
{
    if (v->steps++ > STEPS_MAX)
        return -ELOOP;
    char *path = str_format("%s/%.*s", n->path, (int)len, name);
    if (!path)
        return -ENOMEM;
    if (len > NAME_MAX || strlen(path) >= PATH_MAX) {
        free(path);
        return -ENAMETOOLONG;
    }
    free(n->path);
    n->path = path;
    const struct vfs_mount *m = mount_at(v, path);
    int r = 0;
    if (m) {
        n->mount = m;
        r = vfs_find(n, ~(vfs_mask)0);
    } else if (n->mount) {
        r = vfs_find(n, n->layers);
    } else {
        n->exists = false;
    }
    if (!r && !n->exists && above_a_mount(v, path)) {
        n->mount = NULL;
        n->exists = true;
        n->st = (struct stat){.st_mode = S_IFDIR | 0755, .st_nlink = 1};
    }
    return r;
}

static int to_root(struct vfs *v, struct vfs_node *n)
{
    free(n->path);
    *n = (struct vfs_node){.path = strdup(""), .mount = &v->mounts[0]};
    if (!n->path)
        return -ENOMEM;
    int r = vfs_find(n, ~(vfs_mask)0);
    if (!r && !n->exists) { /* an upper directory alone, not made yet */
        n->exists = true;
        n->st = (struct stat){.st_mode = S_IFDIR | 0755, .st_nlink = 1};
    }
    return r;
}

/* "" or "/a/b": nothing that steps over a mount or a whiteout. */
static bool is_plain(const char *path)
{
    for (const char *p = path; *p;) {
        if (*p++ != '/')
            return false;
        size_t len = strcspn(p, "/");
        if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += len;
    }
    return true;
}

/* Goes to a path that was found before, which has no symlinks. */
static int go(struct vfs *v, struct vfs_node *n, const char *path)
{
    int r = to_root(v, n);
    for (const char *p = path; !r && *(p += strspn(p, "/"));) {
        size_t len = strcspn(p, "/");
        r = step(v, n, p, len);
        p += len;
        if (!r && (!n->exists || (*p && !S_ISDIR(n->st.st_mode))))
            r = -ENOENT;
    }
    return r;
}

static int go_up(struct vfs *v, struct vfs_node *n, size_t base_len)
{
    if (strlen(n->path) <= base_len)
        return base_len ? -EPERM : 0; /* "/.." is "/" */
    autofree char *path = strdup(n->path);
    if (!path)
        return -ENOMEM;
    *strrchr(path, '/') = 0;
    return go(v, n, path);
}

/* n is a symlink: what is left to walk becomes its target and rest; n becomes the directory to walk from. */
static int into_symlink(struct vfs *v, struct vfs_node *n, size_t base_len, char **todo,
                        const char *rest)
{
    autofree char *target = malloc(PATH_MAX);
    int len = target ? vfs_readlink(v, n, target, PATH_MAX) : -ENOMEM;
    if (len < 0)
        return len;
    if (len == PATH_MAX)
        return -ENAMETOOLONG;
    char *next = str_format("%.*s%s", len, target, rest);
    if (!next)
        return -ENOMEM;
    free(*todo);
    *todo = next;
    if (target[0] == '/')
        return base_len ? -EPERM : to_root(v, n);
    autofree char *parent = strdup(n->path);
    if (!parent)
        return -ENOMEM;
    *strrchr(parent, '/') = 0;
    return go(v, n, parent);
}

static int walk(struct vfs *v, struct vfs_node *n, size_t base_len, char **todo, bool follow)
{
    int links = 0;
    bool directory = false, dots = false; /* a trailing slash asks for a directory */
    const char *p = *todo;
    while (*(p += strspn(p, "/"))) {
        size_t len = strcspn(p, "/");
        if (!n->exists)
            return -ENOENT;
        if (!S_ISDIR(n->st.st_mode))
            return -ENOTDIR;
        int r = vfs_may(v, n, X_OK);
        if (r < 0)
            return r;
        bool up = len == 2 && p[0] == '.' && p[1] == '.';
        dots = up || (len == 1 && p[0] == '.');
        if (up)
            r = go_up(v, n, base_len);
        else if (!dots)
            r = step(v, n, p, len);
        if (r < 0)
            return r;
        p += len;
        bool last = !p[strspn(p, "/")];
        directory = *p == '/';
        if (n->exists && S_ISLNK(n->st.st_mode) && (!last || follow || directory)) {
            if (++links > SYMLINKS_MAX)
                return -ELOOP;
            r = into_symlink(v, n, base_len, todo, p);
            if (r < 0)
                return r;
            p = *todo;
        }
    }
    n->slash = directory;
    n->dots = dots;
    return directory && n->exists && !S_ISDIR(n->st.st_mode) ? -ENOTDIR : 0;
}

int vfs_lookup(struct vfs *v, const char *base, const char *path, bool follow, struct vfs_node *ret)
{
    v->steps = 0;
    auto(vfs_node) struct vfs_node n = {0};
    autofree char *todo = strdup(path);
    if (!todo)
        return -ENOMEM;
    if (!*path)
        return -ENOENT;
    if (path[0] == '/')
        return -EPERM; /* WASI has relative paths only */
    if (!is_plain(base))
        return -EINVAL;
    int r = go(v, &n, base);
    if (!r)
        r = walk(v, &n, strlen(base), &todo, follow);
    if (r < 0)
        return r;
    *ret = n;
    n.path = NULL;
    return 0;
}

int vfs_lower_has(struct vfs *v, const struct vfs_node *n, bool *ret)
{
    auto(vfs_node) struct vfs_node parent = {0};
    autofree char *path = strdup(n->path);
    *ret = false;
    if (!path)
        return -ENOMEM;
    if (!n->mount->overlay)
        return 0;
    *strrchr(path, '/') = 0;
    int r = go(v, &parent, path);
    if (r < 0)
        return r;
    struct vfs_node lower = {.path = n->path, .mount = n->mount};
    r = vfs_find(&lower, parent.layers & ~(vfs_mask)1);
    *ret = lower.exists;
    return r;
}
