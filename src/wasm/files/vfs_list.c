/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a merged directory from a cursor on. Nothing is remembered between two calls: what an upper layer has, or hides, is looked for
 * there name by name, so that a directory may be as large as it will. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

/* Stages of a cursor: ".", "..", then the layers, then what is there because a mount lies below. */
enum { STAGE_SELF, STAGE_PARENT, STAGE_LAYERS, CHUNK = 8 << 10 };

struct listing {
    struct vfs *vfs;
    const struct vfs_node *node;
    struct vfs_cursor *cursor;
    vfs_take *take;
    void *arg;
    int above[VFS_LAYERS_MAX]; /* the directory in the layers above the one that is read */
    unsigned above_count;
};

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
};

/* Hands one on; the cursor goes behind it where it is taken. */
static int give(struct listing *l, const char *name, uint64_t inode, uint8_t type, uint32_t stage,
                uint64_t offset)
{
    struct vfs_entry e = {
        .name = name, .inode = inode, .type = type, .next = {.stage = stage, .offset = offset}};
    int r = l->take(l->arg, &e);
    if (!r)
        *l->cursor = e.next;
    return r;
}

/* Whether a layer above has the name, or hides it. */
static bool is_hidden(const struct listing *l, const char *name)
{
    struct stat st;
    for (unsigned i = 0; i < l->above_count; i++)
        if (fstatat(l->above[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    return false;
}

static bool hides(const struct listing *l, int dir, const struct linux_dirent64 *e)
{
    struct stat st;
    return l->node->mount->overlay && (e->d_type == DT_CHR || e->d_type == DT_UNKNOWN) &&
           fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && vfs_is_whiteout(&st);
}

static int give_chunk(struct listing *l, int dir, const char *chunk, size_t len)
{
    int r = 0;
    for (size_t at = 0; !r && at < len;) {
        const struct linux_dirent64 *e = (const void *)(chunk + at);
        at += e->d_reclen;
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || hides(l, dir, e) ||
            is_hidden(l, e->d_name))
            l->cursor->offset = (uint64_t)e->d_off;
        else
            r = give(l, e->d_name, e->d_ino, e->d_type, l->cursor->stage, (uint64_t)e->d_off);
    }
    return r;
}

static int open_in_layer(const struct vfs_node *n, unsigned i)
{
    int layer = vfs_layer_pin(n->mount->layers[i]);
    if (layer < 0)
        return layer;
    int fd = vfs_open_at(layer, vfs_below(n), O_RDONLY | O_DIRECTORY, 0);
    vfs_layer_unpin(n->mount->layers[i]);
    return fd;
}

/* Reads the directory in layer i, from the cursor's offset to its end. */
static int give_layer(struct listing *l, int dir)
{
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        return -ENOMEM;
    if (l->cursor->offset && lseek(dir, (off_t)l->cursor->offset, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long n = syscall(SYS_getdents64, dir, chunk, CHUNK);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = give_chunk(l, dir, chunk, (size_t)n);
        if (r)
            return r;
    }
}

static int give_layers(struct listing *l)
{
    const struct vfs_node *n = l->node;
    for (unsigned i = 0; n->mount && i < n->mount->count; i++) {
        if (!(n->layers >> i & 1))
            continue;
        uint32_t stage = STAGE_LAYERS + i;
        int dir = open_in_layer(n, i), r = 0;
        if (dir < 0 && dir != -ENOENT)
            return dir;
        if (dir >= 0 && l->cursor->stage <= stage) {
            if (l->cursor->stage < stage)
                *l->cursor = (struct vfs_cursor){.stage = stage};
            r = give_layer(l, dir);
        }
        if (dir >= 0)
            l->above[l->above_count++] = dir; /* closed at the end */
        if (r)
            return r;
    }
    return 0;
}

/* The component of mount i's destination below the node; NULL where it does not lie below it. Devices count as mounts behind the
 * others. */
static char *component_of(const struct listing *l, unsigned i, bool *ret_last)
{
    bool mount = i < l->vfs->count;
    const char *rest = str_after(
        mount ? l->vfs->mounts[i].destination : vfs_device(i - l->vfs->count), l->node->path);
    if (!rest || *rest != '/')
        return NULL;
    size_t len = strcspn(rest + 1, "/");
    *ret_last = !rest[1 + len];
    return strndup(rest + 1, len);
}

static bool was_given(const struct listing *l, unsigned i, const char *name)
{
    bool last;
    for (unsigned k = 0; k < i; k++) {
        autofree char *other = component_of(l, k, &last);
        if (other && str_eq(other, name))
            return true;
    }
    return is_hidden(l, name);
}

/* The next component of mounts that lie below the directory. */
static int give_mounts(struct listing *l)
{
    uint32_t stage = STAGE_LAYERS + VFS_LAYERS_MAX;
    if (l->cursor->stage < stage)
        *l->cursor = (struct vfs_cursor){.stage = stage};
    unsigned count = l->vfs->count;
    if (vfs_has_devices(l->vfs))
        while (vfs_device(count - l->vfs->count))
            count++;
    for (unsigned i = (unsigned)l->cursor->offset; i < count; i++) {
        bool last = false;
        autofree char *name = component_of(l, i, &last);
        if (!name || was_given(l, i, name))
            continue;
        uint8_t type = !last                    ? DT_DIR
                       : i >= l->vfs->count     ? DT_CHR
                       : l->vfs->mounts[i].file ? DT_REG
                                                : DT_DIR;
        int r = give(l, name, 0, type, stage, i + 1ul);
        if (r)
            return r;
    }
    return 0;
}

int vfs_list(struct vfs *v, const struct vfs_node *n, struct vfs_cursor *cursor, vfs_take *take,
             void *arg)
{
    struct listing l = {.vfs = v, .node = n, .cursor = cursor, .take = take, .arg = arg};
    int r = vfs_may(v, n, R_OK);
    if (!r && cursor->stage == STAGE_SELF)
        r = give(&l, ".", n->st.st_ino, DT_DIR, STAGE_PARENT, 0);
    if (!r && cursor->stage == STAGE_PARENT)
        r = give(&l, "..", 0, DT_DIR, STAGE_LAYERS, 0);
    if (!r)
        r = give_layers(&l);
    if (!r)
        r = give_mounts(&l);
    for (unsigned i = 0; i < l.above_count; i++)
        close(l.above[i]);
    return r;
}

static int is_another(void *arg, const struct vfs_entry *e)
{
    (void)arg;
    return !str_eq(e->name, ".") && !str_eq(e->name, "..");
}

int vfs_is_empty(struct vfs *v, const struct vfs_node *n)
{
    struct vfs_cursor start = {0};
    struct vfs all = *v;
    all.who = NULL; /* who removes a directory need not be able to read it */
    int r = vfs_list(&all, n, &start, is_another, NULL);
    return r < 0 ? r : !r;
}
