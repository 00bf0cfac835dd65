/* SPDX-License-Identifier: Apache-2.0 */
/* The worker is not trusted: a container is known or not, a place is inside its tree by the vfs, what is opened is of a harmless kind. */
#include "wasm/files/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/identity.h"
#include "wasm/files/pack.h"
#include "wasm/files/request.h"
#include "wasm/files/table.h"
#include "wasm/files/vfs.h"

enum { MODE_FILE = 0666, MODE_DIRECTORY = 0777 };

/* What an answer is made of. */
struct doing {
    const struct files_request *r;
    struct vfs *tree;
    struct buffer *answer;
    int received; /* the descriptor that came with the request; -1 */
    int fd;
};

static int put_stat(struct doing *d, const struct stat *st)
{
    struct files_stat s;
    files_stat_from(&s, st);
    return buffer_append(d->answer, &s, sizeof s);
}

static int look_up(struct doing *d, struct vfs_node *ret)
{
    return vfs_lookup(d->tree, d->r->base, d->r->path, d->r->flags & FILES_FOLLOW, ret);
}

static int do_stat(struct doing *d)
{
    auto(vfs_node) struct vfs_node n = {0};
    int e = look_up(d, &n);
    return e ? e : n.exists ? put_stat(d, &n.st) : -ENOENT;
}

static int open_flags(uint32_t flags)
{
    bool reads = flags & FILES_READ, writes = flags & FILES_WRITE;
    return (writes ? reads ? O_RDWR : O_WRONLY : O_RDONLY) | (flags & FILES_CREATE ? O_CREAT : 0) |
           (flags & FILES_EXCLUSIVE ? O_EXCL : 0) | (flags & FILES_TRUNCATE ? O_TRUNC : 0) |
           (flags & FILES_APPEND ? O_APPEND : 0) | (flags & FILES_DSYNC ? O_DSYNC : 0) |
           (flags & FILES_SYNC ? O_SYNC : 0);
}

/* Memory and devices: nothing that a thread would wait for. */
static bool is_prompt(int fd, const struct stat *st)
{
    struct statfs fs;
    return S_ISCHR(st->st_mode) || (S_ISREG(st->st_mode) && fstatfs(fd, &fs) == 0 &&
                                    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC));
}

static int open_directory(struct doing *d, const struct vfs_node *n)
{
    uint32_t flags = d->r->flags;
    if (flags & FILES_EXCLUSIVE && flags & FILES_CREATE)
        return -EEXIST;
    if (flags & FILES_TRUNCATE || (flags & FILES_WRITE && !(flags & FILES_DIRECTORY)))
        return -EISDIR;
    int e = put_stat(d, &n->st);
    if (!e)
        e = buffer_append(d->answer, n->path, strlen(n->path));
    return e ? e : FILES_IS_DIRECTORY;
}

static int do_open(struct doing *d)
{
    auto(vfs_node) struct vfs_node n = {0};
    int e = look_up(d, &n);
    if (e < 0)
        return e;
    if (n.exists && S_ISDIR(n.st.st_mode))
        return open_directory(d, &n);
    if (d->r->flags & FILES_DIRECTORY)
        return n.exists ? -ENOTDIR : -ENOENT;
    autoclose int fd = vfs_open(d->tree, &n, open_flags(d->r->flags), MODE_FILE);
    struct stat st;
    if (fd < 0)
        return fd;
    e = fstat(fd, &st) < 0 ? -errno : put_stat(d, &st);
    if (e < 0)
        return e;
    e = FILES_IS_FILE | (is_prompt(fd, &st) ? FILES_IS_PROMPT : 0);
    d->fd = take_fd(&fd);
    return e;
}

static int do_readlink(struct doing *d)
{
    auto(vfs_node) struct vfs_node n = {0};
    int e = look_up(d, &n);
    if (!e)
        e = buffer_reserve(d->answer, PATH_MAX);
    if (!e)
        e = vfs_readlink(d->tree, &n, (char *)d->answer->data + d->answer->len, PATH_MAX);
    if (e > 0)
        d->answer->len += (size_t)e;
    return e;
}

static int do_link(struct doing *d)
{
    auto(vfs_node) struct vfs_node from = {0};
    auto(vfs_node) struct vfs_node to = {0};
    int e = look_up(d, &from);
    if (!e)
        e = vfs_lookup(d->tree, d->r->to_base, d->r->to_path, false, &to);
    if (e < 0)
        return e;
    if (d->r->op == FILES_LINK)
        return vfs_link(d->tree, &from, &to);
    /* a directory into itself; the kernel would see it within one layer only */
    const char *inside = str_after(to.path, from.path);
    if (inside && *inside == '/')
        return -EINVAL;
    return vfs_rename(d->tree, &from, &to);
}

/* Fills the packet. */
static int take_entry(void *arg, const struct vfs_entry *entry)
{
    struct doing *d = arg;
    size_t len = strlen(entry->name);
    struct files_entry e = {.inode = entry->inode,
                            .offset = entry->next.offset,
                            .stage = entry->next.stage,
                            .len = (uint16_t)len,
                            .type = entry->type};
    if (d->answer->len + sizeof e + len > FILES_PACKET_MAX)
        return 1;
    int r = buffer_append(d->answer, &e, sizeof e);
    return r ? r : buffer_append(d->answer, entry->name, len);
}

static int do_list(struct doing *d)
{
    auto(vfs_node) struct vfs_node n = {0};
    struct vfs_cursor cursor = {d->r->stage, d->r->offset};
    int e = look_up(d, &n);
    if (e < 0)
        return e;
    if (!n.exists || !S_ISDIR(n.st.st_mode))
        return n.exists ? -ENOTDIR : -ENOENT;
    return vfs_list(d->tree, &n, &cursor, take_entry, d);
}

/* What makes or changes a name. */
static int do_change(struct doing *d)
{
    auto(vfs_node) struct vfs_node n = {0};
    int e = look_up(d, &n);
    if (e < 0)
        return e;
    switch (d->r->op) {
    case FILES_MKDIR:
        return vfs_mkdir(d->tree, &n, MODE_DIRECTORY);
    case FILES_UNLINK:
        return vfs_unlink(d->tree, &n, false);
    case FILES_RMDIR:
        return vfs_unlink(d->tree, &n, true);
    case FILES_SYMLINK:
        return *d->r->to_path ? vfs_symlink(d->tree, &n, d->r->to_path) : -ENOENT;
    default:
        return vfs_utimes(d->tree, &n, d->r->times);
    }
}

static int do_in_tree(struct doing *d)
{
    switch (d->r->op) {
    case FILES_OPEN:
        return do_open(d);
    case FILES_STAT:
        return do_stat(d);
    case FILES_READLINK:
        return do_readlink(d);
    case FILES_LINK:
    case FILES_RENAME:
        return do_link(d);
    case FILES_LIST:
        return do_list(d);
    default:
        return do_change(d);
    }
}

/* A FIFO of the engine's, which is no place in the tree. */
static int do_stdio(struct doing *d, const struct files_container *c)
{
    autofree char *path = d->r->stage < 3 ? pack_address(c, d->r->stage) : NULL;
    if (!path || *path != '/')
        return -EINVAL;
    int flags = O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    d->fd = open(path, (d->r->stage ? O_WRONLY : O_RDONLY) | flags);
    if (d->fd < 0 && errno == ENXIO) /* no reader yet: hold both ends, as shims do */
        d->fd = open(path, O_RDWR | flags);
    return d->fd < 0 ? -errno : 0;
}

/* The worker has the file open and owns it not. One that it may not write to (of an image) stays as it is. */
static int do_futimes(const struct doing *d, const struct files_container *c)
{
    struct stat st;
    int flags = fcntl(d->received, F_GETFL);
    if (flags < 0 || fstat(d->received, &st) < 0)
        return -errno;
    if ((flags & O_ACCMODE) == O_RDONLY || !S_ISREG(st.st_mode))
        return -EPERM;
    int r = identity_enter(c->who);
    if (r < 0)
        return r;
    r = futimens(d->received, d->r->times) < 0 ? -errno : 0;
    identity_leave(c->who);
    return r;
}

static int serve(struct doing *d)
{
    struct error err = {0};
    struct files_container *c = table_hold(d->r->container);
    if (!c)
        return -ESRCH;
    int e;
    if (d->r->op == FILES_STDIO) {
        e = do_stdio(d, c);
    } else if (d->r->op == FILES_FUTIMES) {
        e = do_futimes(d, c);
    } else {
        e = table_tree(c, &d->tree, &err);
        if (!e) {
            e = do_in_tree(d);
            table_tree_done(c);
        }
    }
    table_release(c);
    return e;
}

void serve_request(const void *packet, size_t len, int fd, struct buffer *answer, int *ret_fd)
{
    struct files_request r = {0};
    struct files_answer head = {0};
    struct doing d = {.r = &r, .answer = answer, .received = fd, .fd = -1};
    buffer_clear(answer);
    int e = buffer_append(answer, &head, sizeof head);
    if (!e)
        e = files_get_request(packet, len, &r);
    if (!e)
        e = serve(&d);
    if (e < 0)
        answer->len = answer->len ? sizeof head : 0;
    head = (struct files_answer){r.tag, e, (uint32_t)(answer->len - sizeof head)};
    if (answer->len)
        memcpy(answer->data, &head, sizeof head);
    *ret_fd = d.fd;
}
