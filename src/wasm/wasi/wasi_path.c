/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a directory descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/worker/guest.h"

/* Looks up the path at (at, len) of the guest below descriptor fd, which must have these rights. */
static uint32_t look_up(struct wasi_call *c, uint64_t fd, uint64_t rights, uint64_t at,
                        uint64_t len, bool follow, struct vfs_node *ret)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, fd, WASI_FD_DIR, rights, &r);
    const char *text = wasi_bytes(c, at, (uint32_t)len);
    if (!f || !text)
        return f ? WASI_FAULT : r;
    if ((uint32_t)len >= PATH_MAX)
        return WASI_NAMETOOLONG;
    if (memchr(text, 0, (uint32_t)len))
        return WASI_INVAL;
    autofree char *path = strndup(text, (uint32_t)len);
    if (!path)
        return WASI_NOMEM;
    return wasi_errno_of(vfs_lookup(c->guest->wasi.vfs, f->path, path, follow, ret));
}

static uint32_t path_create_directory(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node n = {0};
    uint32_t r =
        look_up(c, c->args[0], RIGHT_PATH_CREATE_DIRECTORY, c->args[1], c->args[2], false, &n);
    return r ? r : wasi_errno_of(vfs_mkdir(c->guest->wasi.vfs, &n, 0777));
}

static uint32_t path_filestat_get(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node n = {0};
    uint32_t r = look_up(c, c->args[0], RIGHT_PATH_FILESTAT_GET, c->args[2], c->args[3],
                         c->args[1] & LOOKUP_FOLLOW, &n);
    if (r)
        return r;
    return n.exists ? wasi_store_stat(c, c->args[4], &n.st) : WASI_NOENT;
}

static uint32_t path_filestat_set_times(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node n = {0};
    struct timespec times[2];
    uint32_t r = wasi_times(c->args[4], c->args[5], c->args[6], times);
    if (!r)
        r = look_up(c, c->args[0], RIGHT_PATH_FILESTAT_SET_TIMES, c->args[2], c->args[3],
                    c->args[1] & LOOKUP_FOLLOW, &n);
    return r ? r : wasi_errno_of(vfs_utimes(c->guest->wasi.vfs, &n, times));
}

static uint32_t path_link(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node from = {0};
    auto(vfs_node) struct vfs_node to = {0};
    uint32_t r = look_up(c, c->args[0], RIGHT_PATH_LINK_SOURCE, c->args[2], c->args[3],
                         c->args[1] & LOOKUP_FOLLOW, &from);
    if (!r)
        r = look_up(c, c->args[4], RIGHT_PATH_LINK_TARGET, c->args[5], c->args[6], false, &to);
    return r ? r : wasi_errno_of(vfs_link(c->guest->wasi.vfs, &from, &to));
}

static uint32_t path_rename(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node from = {0};
    auto(vfs_node) struct vfs_node to = {0};
    uint32_t r =
        look_up(c, c->args[0], RIGHT_PATH_RENAME_SOURCE, c->args[1], c->args[2], false, &from);
    if (!r)
        r = look_up(c, c->args[3], RIGHT_PATH_RENAME_TARGET, c->args[4], c->args[5], false, &to);
    if (r)
        return r;
    /* a directory into itself; the kernel would see it within one layer only */
    const char *inside = str_after(to.path, from.path);
    if (inside && *inside == '/')
        return WASI_INVAL;
    return wasi_errno_of(vfs_rename(c->guest->wasi.vfs, &from, &to));
}

static uint32_t path_readlink(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node n = {0};
    uint32_t r = look_up(c, c->args[0], RIGHT_PATH_READLINK, c->args[1], c->args[2], false, &n);
    size_t size = (uint32_t)c->args[4];
    char *to = wasi_bytes(c, c->args[3], size);
    if (r || !to || !size)
        return r ? r : to ? WASI_INVAL : WASI_FAULT;
    int len = vfs_readlink(c->guest->wasi.vfs, &n, to, size < PATH_MAX ? size : PATH_MAX);
    return len < 0 ? wasi_errno_of(len) : wasi_store32(c, c->args[5], (uint32_t)len);
}

static uint32_t path_symlink(struct wasi_call *c)
{
    auto(vfs_node) struct vfs_node n = {0};
    size_t len = (uint32_t)c->args[1];
    const char *text = wasi_bytes(c, c->args[0], len);
    if (!text)
        return WASI_FAULT;
    if (!len || len >= PATH_MAX || memchr(text, 0, len))
        return len ? WASI_INVAL : WASI_NOENT;
    autofree char *target = strndup(text, len);
    if (!target)
        return WASI_NOMEM;
    uint32_t r = look_up(c, c->args[2], RIGHT_PATH_SYMLINK, c->args[3], c->args[4], false, &n);
    return r ? r : wasi_errno_of(vfs_symlink(c->guest->wasi.vfs, &n, target));
}

static uint32_t remove_path(struct wasi_call *c, uint64_t right, bool directory)
{
    auto(vfs_node) struct vfs_node n = {0};
    uint32_t r = look_up(c, c->args[0], right, c->args[1], c->args[2], false, &n);
    return r ? r : wasi_errno_of(vfs_unlink(c->guest->wasi.vfs, &n, directory));
}

static uint32_t path_remove_directory(struct wasi_call *c)
{
    return remove_path(c, RIGHT_PATH_REMOVE_DIRECTORY, true);
}

static uint32_t path_unlink_file(struct wasi_call *c)
{
    return remove_path(c, RIGHT_PATH_UNLINK_FILE, false);
}

static int open_flags(uint32_t oflags, uint64_t rights, uint32_t fdflags)
{
    bool reads = rights & (RIGHT_FD_READ | RIGHT_FD_READDIR);
    bool writes = rights & (RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE |
                            RIGHT_FD_DATASYNC);
    return (writes ? reads ? O_RDWR : O_WRONLY : O_RDONLY) | wasi_open_flags(fdflags) |
           (oflags & OFLAG_CREAT ? O_CREAT : 0) | (oflags & OFLAG_EXCL ? O_EXCL : 0) |
           (oflags & OFLAG_TRUNC ? O_TRUNC : 0);
}

struct opening {
    uint32_t oflags, fdflags;
    uint64_t rights, inheriting;
};

static uint32_t open_node(struct wasi_call *c, struct vfs_node *n, const struct opening *o,
                          struct wasi_fd *ret)
{
    *ret = (struct wasi_fd){.fd = -1, .flags = (uint16_t)o->fdflags, .inheriting = o->inheriting};
    if (n->exists && S_ISDIR(n->st.st_mode)) {
        if (o->oflags & OFLAG_EXCL && o->oflags & OFLAG_CREAT)
            return WASI_EXIST;
        if (o->oflags & OFLAG_TRUNC ||
            (o->rights & RIGHT_FD_WRITE && !(o->oflags & OFLAG_DIRECTORY)))
            return WASI_ISDIR;
        ret->kind = WASI_FD_DIR;
        ret->filetype = FILETYPE_DIRECTORY;
        ret->rights = o->rights & RIGHTS_DIR;
        ret->path = n->path;
        n->path = NULL;
        return WASI_SUCCESS;
    }
    if (o->oflags & OFLAG_DIRECTORY)
        return n->exists ? WASI_NOTDIR : WASI_NOENT;
    int fd = vfs_open(c->guest->wasi.vfs, n, open_flags(o->oflags, o->rights, o->fdflags), 0666);
    if (fd < 0)
        return wasi_errno_of(fd);
    struct stat st;
    ret->filetype = fstat(fd, &st) < 0 ? FILETYPE_UNKNOWN : wasi_filetype(st.st_mode);
    ret->kind = WASI_FD_FILE;
    ret->fd = fd;
    ret->rights = o->rights & (RIGHTS_FILE_READ | RIGHTS_FILE_WRITE);
    ret->inheriting = 0;
    return WASI_SUCCESS;
}

static uint32_t path_open(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *dir = wasi_fd_get(c, c->args[0], WASI_FD_DIR, RIGHT_PATH_OPEN, &r);
    if (!dir)
        return r;
    struct opening o = {(uint32_t)c->args[4], (uint32_t)c->args[7], c->args[5] & dir->inheriting,
                        c->args[6] & dir->inheriting};
    if (c->args[1] & ~(uint64_t)LOOKUP_FOLLOW || o.oflags & ~(uint32_t)OFLAGS_ALL ||
        o.fdflags & ~(uint32_t)FDFLAGS_ALL)
        return WASI_INVAL;
    if (o.oflags & OFLAG_DIRECTORY && o.oflags & OFLAG_CREAT)
        return WASI_INVAL; /* as open(2) */
    uint64_t needs = RIGHT_PATH_OPEN;
    if (o.oflags & OFLAG_CREAT)
        needs |= RIGHT_PATH_CREATE_FILE;
    if (o.oflags & OFLAG_TRUNC)
        needs |= RIGHT_PATH_FILESTAT_SET_SIZE;
    /* O_EXCL looks at the name itself, as open(2) does */
    bool follow = c->args[1] & LOOKUP_FOLLOW && !(o.oflags & OFLAG_EXCL);
    auto(vfs_node) struct vfs_node n = {0};
    r = look_up(c, c->args[0], needs, c->args[2], c->args[3], follow, &n);
    struct wasi_fd opened;
    if (!r)
        r = open_node(c, &n, &o, &opened);
    if (r)
        return r;
    uint32_t at;
    int e = wasi_fd_new(&c->guest->wasi, &at);
    r = e < 0 ? (uint32_t)-e : wasi_store32(c, c->args[8], at);
    if (r) {
        close_fd(&opened.fd);
        free(opened.path);
        return r;
    }
    c->guest->wasi.fds[at] = opened;
    return WASI_SUCCESS;
}

const struct wasi_entry wasi_path_entries[] = {
    {.name = "path_create_directory", .params = "iii", .fn = path_create_directory},
    {.name = "path_filestat_get", .params = "iiiii", .fn = path_filestat_get},
    {.name = "path_filestat_set_times", .params = "iiiilli", .fn = path_filestat_set_times},
    {.name = "path_link", .params = "iiiiiii", .fn = path_link},
    {.name = "path_open", .params = "iiiiillii", .fn = path_open},
    {.name = "path_readlink", .params = "iiiiii", .fn = path_readlink},
    {.name = "path_remove_directory", .params = "iii", .fn = path_remove_directory},
    {.name = "path_rename", .params = "iiiiii", .fn = path_rename},
    {.name = "path_symlink", .params = "iiiii", .fn = path_symlink},
    {.name = "path_unlink_file", .params = "iii", .fn = path_unlink_file},
    {0},
};
