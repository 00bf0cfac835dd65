/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a merged directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

struct listing {
    struct vfs_entries *entries;
    struct map seen; /* names that are listed or hidden; keys are arena's */
    struct arena names;
};

static int add(struct listing *l, const char *name, uint64_t inode, uint8_t type)
{
    struct vfs_entries *e = l->entries;
    if (e->count == e->size) {
        size_t size = e->size ? 2 * e->size : 16;
        struct vfs_entry *list = reallocarray(e->list, size, sizeof *list);
        if (!list)
            return -ENOMEM;
        e->list = list;
        e->size = size;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    e->list[e->count++] = (struct vfs_entry){copy, inode, type};
    return 0;
}

/* 0 where the name is new. */
static int see(struct listing *l, const char *name)
{
    return map_add(&l->seen, arena_strdup(&l->names, name), l);
}

static int add_from(struct listing *l, const struct vfs_mount *m, DIR *d)
{
    int r = 0;
    for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(d));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        r = see(l, e->d_name);
        if (r == -EEXIST) {
            r = 0;
            continue;
        }
        struct stat st;
        if (m->overlay && (e->d_type == DT_CHR || e->d_type == DT_UNKNOWN) &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && vfs_is_whiteout(&st))
            continue; /* seen: it hides what is below */
        if (!r)
            r = add(l, e->d_name, e->d_ino, e->d_type);
    }
    return r;
}

static int add_layer(struct listing *l, const struct vfs_node *n, unsigned i)
{
    int layer = vfs_layer_pin(n->mount->layers[i]);
    if (layer < 0)
        return layer == -ENOENT ? 0 : layer;
    int fd = vfs_open_at(layer, vfs_below(n), O_RDONLY | O_DIRECTORY, 0);
    vfs_layer_unpin(n->mount->layers[i]);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    int r = add_from(l, n->mount, d);
    closedir(d);
    return r;
}

/* The next component of mounts that lie below path. */
static int add_mounts(struct listing *l, struct vfs *v, const char *path)
{
    int r = 0;
    for (unsigned i = 0; !r && i < v->count; i++) {
        const char *rest = str_after(v->mounts[i].destination, path);
        if (!rest || *rest != '/')
            continue;
        autofree char *name = strndup(rest + 1, strcspn(rest + 1, "/"));
        if (!name)
            return -ENOMEM;
        r = see(l, name);
        if (!r)
            r = add(l, name, 0, v->mounts[i].file && !strchr(rest + 1, '/') ? DT_REG : DT_DIR);
        if (r == -EEXIST)
            r = 0;
    }
    return r;
}

int vfs_list(struct vfs *v, const struct vfs_node *n, struct vfs_entries **ret)
{
    struct listing l = {.entries = calloc(1, sizeof *l.entries)};
    if (!l.entries)
        return -ENOMEM;
    int r = add(&l, ".", n->st.st_ino, DT_DIR);
    if (!r)
        r = add(&l, "..", 0, DT_DIR);
    for (unsigned i = 0; !r && n->mount && i < n->mount->count; i++)
        if (n->layers >> i & 1)
            r = add_layer(&l, n, i);
    if (!r)
        r = add_mounts(&l, v, n->path);
    map_done(&l.seen);
    arena_done(&l.names);
    if (r < 0)
        vfs_entries_free(l.entries);
    else
        *ret = l.entries;
    return r;
}

void vfs_entries_free(struct vfs_entries *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->count; i++)
        free(e->list[i].name);
    free(e->list);
    free(e);
}
