/* SPDX-License-Identifier: Apache-2.0 */
/* The tree: mounts, looking up, listing. */
#include "wasm/files/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/identity.h"

enum { SYMLINKS_MAX = 40 };

struct vfs *vfs_new(void)
{
    return calloc(1, sizeof(struct vfs));
}

static void mount_done(struct vfs_mount *m)
{
    for (unsigned i = 0; i < m->count; i++)
        vfs_layer_put(m->layers[i]);
    free(m->layers);
    free(m->destination);
    free(m->work);
    strv_free(m->opaque);
}

void vfs_free(struct vfs *v)
{
    if (!v)
        return;
    for (unsigned i = 0; i < v->count; i++)
        mount_done(&v->mounts[i]);
    free(v->mounts);
    free(v);
}

char *vfs_plain_path(const char *path)
{
    auto(strv) char **parts = str_split(path, "/");
    auto(buffer) struct buffer b = {0};
    for (size_t i = 0; parts && parts[i]; i++) {
        if (str_eq(parts[i], ".") || str_eq(parts[i], ".."))
            return NULL;
        if (buffer_printf(&b, "/%s", parts[i]) < 0)
            return NULL;
    }
    return parts ? buffer_take_text(&b) : NULL;
}

static int fill_mount(struct vfs_mount *m, const struct vfs_mount_spec *spec)
{
    size_t lower = strv_len(spec->layers), upper = spec->upper != NULL;
    m->destination = vfs_plain_path(spec->destination);
    m->layers = calloc(lower + upper, sizeof *m->layers);
    if (!m->destination || !m->layers || (spec->work && !(m->work = strdup(spec->work))))
        return -ENOMEM;
    if (spec->opaque && spec->opaque[0] && !(m->opaque = strv_copy(spec->opaque)))
        return -ENOMEM;
    m->has_upper = upper;
    m->overlay = upper || lower > 1;
    m->read_only = spec->read_only || (m->overlay && !upper);
    for (size_t i = 0; i < lower + upper; i++) {
        const char *path = i < upper ? spec->upper : spec->layers[i - upper];
        m->layers[m->count] = vfs_layer_get(path);
        if (!m->layers[m->count])
            return -ENOMEM;
        m->count++;
    }
    return 0;
}

int vfs_add(struct vfs *v, const struct vfs_mount_spec *spec, struct error *err)
{
    size_t layers = strv_len(spec->layers) + (spec->upper != NULL);
    if (spec->destination[0] != '/' || !layers || layers > VFS_LAYERS_MAX ||
        v->count == VFS_MOUNTS_MAX)
        return fail(err, EINVAL, "mount %zu directories at '%s'", layers, spec->destination);
    struct vfs_mount *mounts = reallocarray(v->mounts, v->count + 1, sizeof *mounts);
    if (!mounts)
        return fail(err, ENOMEM, "mount '%s'", spec->destination);
    v->mounts = mounts;
    struct vfs_mount m = {0};
    int r = fill_mount(&m, spec);
    struct stat st;
    if (!r && !m.overlay) {
        if (stat(vfs_layer_path(m.layers[0]), &st) < 0)
            r = -errno;
        else
            m.file = !S_ISDIR(st.st_mode);
    }
    if (r < 0) {
        mount_done(&m);
        return fail(err, r, "mount '%s' at '%s'", spec->layers[0], spec->destination);
    }
    v->mounts[v->count++] = m;
    return 0;
}

void vfs_node_done(struct vfs_node *n)
{
    free(take_ptr(&n->path));
}

const char *vfs_below(const struct vfs_node *n)
{
    const char *below = n->path + strlen(n->mount->destination);
    return *below ? below + 1 : ".";
}

bool vfs_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* The i-th layer's directory, open at layer. */
static bool is_opaque(const struct vfs_mount *m, unsigned i, int layer, const char *below)
{
    for (char **o = m->opaque; o && *o; o++) {
        char *end;
        unsigned long n = strtoul(*o, &end, 10);
        if (n + m->has_upper == i && *end == ':' && str_eq(end + 1, below))
            return true;
    }
    /* user. is what overlayfs has where trusted. may not be written; workers may not */
    static const char *const names[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
    autoclose int fd = vfs_open_at(layer, below, O_RDONLY | O_DIRECTORY, 0);
    char value = 0;
    for (size_t k = 0; fd >= 0 && k < ARRAY_SIZE(names); k++)
        if (fgetxattr(fd, names[k], &value, 1) == 1 && value == 'y')
            return true;
    return false;
}

static int stat_in(int layer, const char *below, struct stat *st)
{
    autoclose int fd = vfs_open_at(layer, below, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    return fstat(fd, st) < 0 ? -errno : 0;
}

/* Looks n->path up in the layers of its mount that are in mask. */
static int find(struct vfs_node *n, vfs_mask mask)
{
    const struct vfs_mount *m = n->mount;
    const char *below = vfs_below(n);
    n->exists = false;
    n->layers = 0;
    for (unsigned i = 0; i < m->count; i++) {
        if (!(mask >> i & 1))
            continue;
        struct stat st;
        int layer = vfs_layer_pin(m->layers[i]);
        int r = layer < 0 ? layer : m->file ? fstat(layer, &st) : stat_in(layer, below, &st);
        bool opaque = !r && S_ISDIR(st.st_mode) && m->overlay && i + 1 < m->count &&
                      !str_eq(below, ".") && is_opaque(m, i, layer, below);
        if (layer >= 0)
            vfs_layer_unpin(m->layers[i]);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            return r;
        if ((m->overlay && vfs_is_whiteout(&st)) || (n->exists && !S_ISDIR(st.st_mode)))
            break;
        if (!n->exists) {
            n->exists = true;
            n->st = st;
            n->top = i;
        }
        if (!S_ISDIR(st.st_mode))
            break;
        n->layers |= (vfs_mask)1 << i;
        if (opaque)
            break;
    }
    return 0;
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
        r = find(n, ~(vfs_mask)0);
    } else if (n->mount) {
        r = find(n, n->layers);
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
    int r = find(n, ~(vfs_mask)0);
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

int vfs_may(struct vfs *v, const struct vfs_node *n, int mode)
{
    if (!v->who || !n->mount)
        return 0;
    struct vfs_layer *l = n->mount->layers[n->top];
    int layer = vfs_layer_pin(l);
    if (layer == -ENOENT) /* an upper directory that is root's, when it is made */
        return mode & W_OK ? -EACCES : 0;
    if (layer < 0)
        return layer;
    autoclose int fd =
        n->mount->file ? -1 : vfs_open_at(layer, vfs_below(n), O_PATH | O_NOFOLLOW, 0);
    int r = n->mount->file ? identity_check(v->who, layer, mode)
            : fd < 0       ? fd
                           : identity_check(v->who, fd, mode);
    vfs_layer_unpin(l);
    return r;
}

int vfs_readlink(struct vfs *v, const struct vfs_node *n, char *buffer, size_t size)
{
    (void)v;
    if (!n->exists)
        return -ENOENT;
    if (!S_ISLNK(n->st.st_mode))
        return -EINVAL;
    int layer = vfs_layer_pin(n->mount->layers[n->top]);
    autoclose int fd = layer < 0 ? -1 : vfs_open_at(layer, vfs_below(n), O_PATH | O_NOFOLLOW, 0);
    ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", buffer, size);
    int r = layer < 0 ? layer : fd < 0 ? -ENOENT : len < 0 ? -errno : (int)len;
    if (layer >= 0)
        vfs_layer_unpin(n->mount->layers[n->top]);
    return r;
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
    r = find(&lower, parent.layers & ~(vfs_mask)1);
    *ret = lower.exists;
    return r;
}
