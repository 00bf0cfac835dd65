/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, making, removing, renaming. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/identity.h"
#include "wasm/files/vfs.h"

/* What a guest may open: files, FIFOs, and the harmless devices. A device node of an image is not a way to the host's. */
static int check_type(const struct stat *st)
{
    if (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode))
        return 0;
    if (S_ISDIR(st->st_mode))
        return -EISDIR;
    if (S_ISLNK(st->st_mode))
        return -ELOOP;
    unsigned minor_ = minor(st->st_rdev);
    if (S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
        (minor_ == 3 || minor_ == 5 || (minor_ >= 7 && minor_ <= 9)))
        return 0; /* null, zero, full, random, urandom */
    return -EACCES;
}

static const char *name_of(const struct vfs_node *n)
{
    return strrchr(n->path, '/') + 1;
}

static bool is_root_of_mount(const struct vfs_node *n)
{
    return !n->mount || str_eq(n->path, n->mount->destination);
}

/* The directory that n lies in, in the layer that is written to. */
static int open_parent(struct vfs *v, const struct vfs_node *n)
{
    if (!n->mount)
        return -EROFS;
    if (is_root_of_mount(n))
        return -EBUSY;
    autofree char *parent = strdup(vfs_below(n));
    if (!parent)
        return -ENOMEM;
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    return vfs_open_upper(v, n->mount, slash ? parent : ".");
}

/* The same for who makes or removes n there. */
static int open_to_change(struct vfs *v, const struct vfs_node *n)
{
    autoclose int dir = open_parent(v, n);
    int r = dir < 0 ? dir : identity_check(v->who, dir, W_OK | X_OK);
    return r < 0 ? r : take_fd(&dir);
}

/* A call of the kernel's, as whom the tree is used for: 0 or what it returns, or -errno. */
#define AS(who, call)                                                                              \
    __extension__({                                                                                \
        int entered_ = identity_enter(who);                                                        \
        if (!entered_) {                                                                           \
            entered_ = (call);                                                                     \
            entered_ = entered_ < 0 ? -errno : entered_;                                           \
            identity_leave(who);                                                                   \
        }                                                                                          \
        entered_;                                                                                  \
    })

/* Takes a whiteout of this name away; true in *ret where there was one. */
static int clear_whiteout(const struct vfs_node *n, int dir, bool *ret)
{
    struct stat st;
    *ret = n->mount->overlay && fstatat(dir, name_of(n), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           vfs_is_whiteout(&st);
    return *ret && unlinkat(dir, name_of(n), 0) < 0 ? -errno : 0;
}

static int hide_lower(int dir, const char *name)
{
    autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* trusted. is for those that may; overlayfs reads user. where it is mounted with userxattr */
    if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 &&
        fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
        return -errno;
    return 0;
}

static int create(struct vfs *v, struct vfs_node *n, int flags, mode_t mode)
{
    autoclose int dir = open_to_change(v, n);
    bool whiteout;
    int r = dir < 0 ? dir : clear_whiteout(n, dir, &whiteout);
    if (r < 0)
        return r;
    flags |= O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = AS(v->who, openat(dir, name_of(n), flags, mode));
    if (fd < 0)
        return fd;
    n->exists = true;
    n->top = 0;
    return fd;
}

/* The file behind an O_PATH descriptor: the mount's source, whatever its name is by now. */
static int reopen(int path_fd, int flags)
{
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", path_fd);
    int fd = open(name, flags & ~O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* In a merged tree, whose lower directories may be more closed than what is merged, who uses it has been checked. */
static int open_file(struct vfs *v, struct vfs_node *n, int flags)
{
    const struct identity *who = n->mount->overlay ? NULL : v->who;
    const struct vfs_mount *m = n->mount;
    flags = (flags & ~(O_CREAT | O_EXCL)) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int layer = vfs_layer_pin(m->layers[n->top]);
    if (layer < 0)
        return layer;
    int fd = identity_enter(who);
    if (!fd) {
        fd = m->file ? reopen(layer, flags) : vfs_open_at(layer, vfs_below(n), flags, 0);
        identity_leave(who);
    }
    vfs_layer_unpin(m->layers[n->top]);
    if (fd < 0)
        return fd;
    int r = fstat(fd, &n->st) < 0 ? -errno : check_type(&n->st);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int vfs_open(struct vfs *v, struct vfs_node *n, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    bool reads = (flags & O_ACCMODE) != O_WRONLY;
    if (!n->exists && !(flags & O_CREAT))
        return -ENOENT;
    if (!n->exists)
        return n->slash ? -EISDIR : create(v, n, flags, mode);
    if (flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    int r = check_type(&n->st);
    if (!r && writes && S_ISREG(n->st.st_mode) && n->mount->read_only)
        r = -EROFS;
    if (!r)
        r = vfs_may(v, n, (reads ? R_OK : 0) | (writes ? W_OK : 0));
    if (!r && writes && S_ISREG(n->st.st_mode))
        r = vfs_copy_up(v, n);
    return r < 0 ? r : open_file(v, n, flags);
}

int vfs_mkdir(struct vfs *v, struct vfs_node *n, mode_t mode)
{
    if (n->exists)
        return -EEXIST;
    autoclose int dir = open_to_change(v, n);
    bool whiteout;
    int r = dir < 0 ? dir : clear_whiteout(n, dir, &whiteout);
    if (!r)
        r = AS(v->who, mkdirat(dir, name_of(n), mode));
    return !r && whiteout ? hide_lower(dir, name_of(n)) : r;
}

int vfs_symlink(struct vfs *v, struct vfs_node *n, const char *target)
{
    if (n->exists || n->slash)
        return n->exists ? -EEXIST : -ENOENT;
    autoclose int dir = open_to_change(v, n);
    bool whiteout;
    int r = dir < 0 ? dir : clear_whiteout(n, dir, &whiteout);
    return r < 0 ? r : AS(v->who, symlinkat(target, dir, name_of(n)));
}

/* A merged directory that shows nothing may have whiteouts in its upper one. */
static int remove_directory(const struct vfs *v, int dir, const char *name)
{
    int r = AS(v->who, unlinkat(dir, name, AT_REMOVEDIR));
    if (!r || r == -ENOENT)
        return 0;
    if (r != -ENOTEMPTY && r != -EEXIST)
        return r;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && vfs_is_whiteout(&st))
            unlinkat(fd, e->d_name, 0);
    }
    closedir(d);
    return AS(v->who, unlinkat(dir, name, AT_REMOVEDIR));
}

static int make_whiteout(int dir, const char *name)
{
    return mknodat(dir, name, S_IFCHR, 0) < 0 ? -errno : 0;
}

static int check_empty(struct vfs *v, const struct vfs_node *n)
{
    int r = vfs_is_empty(v, n);
    return r ? r < 0 ? r : 0 : -ENOTEMPTY;
}

/* Of what lower layers alone have, the kernel cannot say it. */
static int check_sticky(const struct vfs *v, const struct vfs_node *n, int dir)
{
    struct stat st;
    if (!v->who || n->top == 0 || !n->mount->overlay)
        return 0;
    if (fstat(dir, &st) < 0)
        return -errno;
    bool free = !(st.st_mode & S_ISVTX) || identity_owns(v->who, st.st_uid);
    return free || identity_owns(v->who, n->st.st_uid) ? 0 : -EPERM;
}

int vfs_unlink(struct vfs *v, struct vfs_node *n, bool directory)
{
    if (!n->exists)
        return -ENOENT;
    if (directory != S_ISDIR(n->st.st_mode))
        return directory ? -ENOTDIR : -EISDIR;
    if (n->dots)
        return -EINVAL;
    bool lower;
    autoclose int dir = open_to_change(v, n);
    int r = dir < 0 ? dir : check_sticky(v, n, dir);
    if (!r)
        r = vfs_lower_has(v, n, &lower);
    if (!r && directory)
        r = check_empty(v, n);
    if (r < 0)
        return r;
    if (directory)
        r = remove_directory(v, dir, name_of(n));
    else
        r = AS(v->who, unlinkat(dir, name_of(n), 0));
    if (r == -ENOENT && lower)
        r = 0;
    return !r && lower ? make_whiteout(dir, name_of(n)) : r;
}

int vfs_link(struct vfs *v, struct vfs_node *from, struct vfs_node *to)
{
    if (!from->exists)
        return -ENOENT;
    if (to->exists || to->slash)
        return to->exists ? -EEXIST : -ENOENT;
    if (S_ISDIR(from->st.st_mode))
        return -EPERM;
    if (from->mount != to->mount || !from->mount)
        return -EXDEV;
    int r = vfs_copy_up(v, from);
    autoclose int from_dir = r < 0 ? r : open_parent(v, from);
    autoclose int to_dir = from_dir < 0 ? from_dir : open_parent(v, to);
    if (to_dir < 0)
        return to_dir;
    r = AS(v->who, linkat(from_dir, name_of(from), to_dir, name_of(to), 0));
    if (r != -EEXIST)
        return r;
    bool whiteout;
    r = identity_check(v->who, to_dir, W_OK | X_OK);
    if (!r)
        r = clear_whiteout(to, to_dir, &whiteout);
    return r < 0 ? r : AS(v->who, linkat(from_dir, name_of(from), to_dir, name_of(to), 0));
}

static int check_rename(struct vfs *v, const struct vfs_node *from, const struct vfs_node *to)
{
    if (!from->exists)
        return -ENOENT;
    if (is_root_of_mount(from) || is_root_of_mount(to) || from->dots || to->dots)
        return -EBUSY;
    /* a directory with lower parts would have to be copied whole: overlayfs says EXDEV as well */
    bool directory = S_ISDIR(from->st.st_mode);
    if (from->mount != to->mount || (directory && from->mount->overlay && from->layers >> 1))
        return -EXDEV;
    if (!to->exists)
        return to->slash && !directory ? -ENOTDIR : 0;
    if (directory != S_ISDIR(to->st.st_mode))
        return directory ? -ENOTDIR : -EISDIR;
    if (directory && to->mount->overlay && to->layers >> 1)
        return -EXDEV;
    return directory ? check_empty(v, to) : 0;
}

int vfs_rename(struct vfs *v, struct vfs_node *from, struct vfs_node *to)
{
    int r = check_rename(v, from, to);
    if (r < 0)
        return r;
    if (str_eq(from->path, to->path))
        return 0;
    bool lower_from = false, lower_to = false, whiteout, directory = S_ISDIR(from->st.st_mode);
    if (!directory)
        r = vfs_copy_up(v, from);
    if (!r)
        r = vfs_lower_has(v, from, &lower_from);
    if (!r)
        r = vfs_lower_has(v, to, &lower_to);
    autoclose int from_dir = r < 0 ? r : open_to_change(v, from);
    autoclose int to_dir = from_dir < 0 ? from_dir : open_to_change(v, to);
    if (to_dir < 0)
        return to_dir;
    r = to->exists ? check_sticky(v, to, to_dir) : 0;
    if (!r)
        r = clear_whiteout(to, to_dir, &whiteout);
    if (!r && directory && to->exists)
        r = remove_directory(v, to_dir, name_of(to)); /* it may have whiteouts in it */
    if (!r)
        r = AS(v->who, renameat(from_dir, name_of(from), to_dir, name_of(to)));
    if (!r && directory && lower_to)
        r = hide_lower(to_dir, name_of(to));
    return !r && lower_from ? make_whiteout(from_dir, name_of(from)) : r;
}

int vfs_utimes(struct vfs *v, struct vfs_node *n, const struct timespec times[2])
{
    if (!n->exists)
        return -ENOENT;
    if (!n->mount)
        return -EROFS;
    if (S_ISDIR(n->st.st_mode)) {
        autoclose int fd = vfs_open_upper(v, n->mount, vfs_below(n));
        return fd < 0 ? fd : AS(v->who, utimensat(fd, "", times, AT_EMPTY_PATH));
    }
    int r = vfs_copy_up(v, n);
    autoclose int dir = r < 0 ? r : open_parent(v, n);
    if (dir < 0)
        return dir;
    return AS(v->who, utimensat(dir, name_of(n), times, AT_SYMLINK_NOFOLLOW));
}
