/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of a mount have at a place. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/identity.h"
#include "wasm/files/vfs.h"

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

int vfs_find(struct vfs_node *n, vfs_mask mask)
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
