/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wasi/wasi_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/wasi/wasi_sock.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

/* A vector on the fiber's stack would stay resident: most calls have one or two buffers. */
enum { IOV_SMALL = 8 };

struct vectors {
    struct iovec small[IOV_SMALL];
    struct iovec *v;
    int count;
};

static uint32_t vectors_get(struct wasi_call *c, uint64_t at, uint64_t count, struct vectors *ret)
{
    ret->v = ret->small;
    if ((uint32_t)count > IOV_SMALL) {
        ret->v = malloc(WASI_IOV_MAX * sizeof *ret->v);
        if (!ret->v)
            return WASI_NOMEM;
    }
    ret->count = wasi_iovec(c, at, count, ret->v);
    return ret->count < 0 ? (uint32_t)-ret->count : WASI_SUCCESS;
}

static void vectors_done(struct vectors *v)
{
    if (v->v != v->small)
        free(v->v);
}
CLEANUP_DONE(vectors, struct vectors);

static uint32_t done_bytes(struct wasi_call *c, uint64_t at, ssize_t n)
{
    return n < 0 ? wasi_errno_of(errno) : wasi_store32(c, at, (uint32_t)n);
}

/* Parks until the console's descriptor is ready. */
static uint32_t wait_console(struct wasi_call *c, int fd, uint32_t events)
{
    struct guest *g = c->guest;
    g->wait.fds = calloc(1, sizeof *g->wait.fds);
    if (!g->wait.fds)
        return WASI_NOMEM;
    g->wait.fds[0] = (struct sched_watch){.fd = fd, .events = events};
    g->wait.count = 1;
    g->wait.deadline = INT64_MAX;
    return WASI_PARK;
}

static uint32_t read_console(struct wasi_call *c, struct wasi_fd *f, struct vectors *v)
{
    size_t done = 0;
    for (int i = 0; i < v->count; i++) {
        if (!v->v[i].iov_len)
            continue;
        ssize_t n = console_read(&c->guest->wasi.console, v->v[i].iov_base, v->v[i].iov_len);
        if (n < 0 && done)
            break;
        if (n == -EAGAIN && !(f->flags & FDFLAG_NONBLOCK))
            return wait_console(c, c->guest->wasi.console.fifo[0], EPOLLIN);
        if (n < 0)
            return wasi_errno_of((int)n);
        done += (size_t)n;
        if ((size_t)n < v->v[i].iov_len)
            break;
    }
    return wasi_store32(c, c->args[3], (uint32_t)done);
}

uint32_t wasi_fd_read(struct wasi_call *c)
{
    uint32_t r;
    auto(vectors) struct vectors v;
    v.v = v.small;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, RIGHT_FD_READ, &r);
    if (f)
        r = vectors_get(c, c->args[1], c->args[2], &v);
    if (r)
        return r == WASI_NOTCAPABLE ? WASI_BADF : r; /* as read(2) of what is open for writing */
    if (f->kind == WASI_FD_SOCKET || f->kind == WASI_FD_LISTENER)
        return wasi_sock_read(c, f);
    if (f->kind == WASI_FD_CONSOLE)
        return read_console(c, f, &v);
    if (f->kind == WASI_FD_DIR)
        return WASI_ISDIR;
    return done_bytes(c, c->args[3], readv(f->fd, v.v, v.count));
}

/* Which of the console's streams: 1 or 2. A renumbered descriptor writes to the output. */
static int stream_of(const struct wasi_call *c)
{
    return c->args[0] == 2 ? 2 : 1;
}

static uint32_t write_console(struct wasi_call *c, struct wasi_fd *f, struct vectors *v)
{
    size_t done = 0;
    for (int i = 0; i < v->count; i++) {
        if (!v->v[i].iov_len)
            continue;
        ssize_t n =
            console_write(&c->guest->wasi.console, stream_of(c), v->v[i].iov_base, v->v[i].iov_len);
        if (n < 0 && done)
            break;
        if (n == -EAGAIN && !(f->flags & FDFLAG_NONBLOCK))
            return wait_console(c, c->guest->wasi.console.fifo[stream_of(c)], EPOLLOUT);
        if (n < 0)
            return wasi_errno_of((int)n);
        done += (size_t)n;
        if ((size_t)n < v->v[i].iov_len)
            break;
    }
    return wasi_store32(c, c->args[3], (uint32_t)done);
}

uint32_t wasi_fd_write(struct wasi_call *c)
{
    uint32_t r;
    auto(vectors) struct vectors v;
    v.v = v.small;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, RIGHT_FD_WRITE, &r);
    if (f)
        r = vectors_get(c, c->args[1], c->args[2], &v);
    if (r)
        return r == WASI_NOTCAPABLE ? WASI_BADF : r;
    if (f->kind == WASI_FD_SOCKET || f->kind == WASI_FD_LISTENER)
        return wasi_sock_write(c, f);
    if (f->kind == WASI_FD_CONSOLE)
        return write_console(c, f, &v);
    return done_bytes(c, c->args[3], writev(f->fd, v.v, v.count));
}

uint32_t wasi_fd_pread(struct wasi_call *c)
{
    uint32_t r;
    auto(vectors) struct vectors v;
    v.v = v.small;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_READ | RIGHT_FD_SEEK, &r);
    if (f)
        r = vectors_get(c, c->args[1], c->args[2], &v);
    if (r)
        return r;
    if (c->args[3] > INT64_MAX)
        return WASI_INVAL;
    return done_bytes(c, c->args[4], preadv(f->fd, v.v, v.count, (off_t)c->args[3]));
}

uint32_t wasi_fd_pwrite(struct wasi_call *c)
{
    uint32_t r;
    auto(vectors) struct vectors v;
    v.v = v.small;
    struct wasi_fd *f =
        wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_WRITE | RIGHT_FD_SEEK, &r);
    if (f)
        r = vectors_get(c, c->args[1], c->args[2], &v);
    if (r)
        return r;
    if (c->args[3] > INT64_MAX)
        return WASI_INVAL;
    return done_bytes(c, c->args[4], pwritev(f->fd, v.v, v.count, (off_t)c->args[3]));
}

uint32_t wasi_fd_seek(struct wasi_call *c)
{
    uint32_t r;
    int64_t offset = (int64_t)c->args[1];
    /* seeking to where one is asks for the position alone */
    uint64_t right = offset == 0 && c->args[2] == SEEK_CUR ? RIGHT_FD_TELL : RIGHT_FD_SEEK;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, right, &r);
    if (!f)
        return r;
    if (c->args[2] > SEEK_END) /* WASI's set, cur, end are Linux' */
        return WASI_INVAL;
    off_t at = lseek(f->fd, offset, (int)c->args[2]);
    return at < 0 ? wasi_errno_of(errno) : wasi_store64(c, c->args[3], (uint64_t)at);
}

uint32_t wasi_fd_tell(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_TELL, &r);
    if (!f)
        return r;
    off_t at = lseek(f->fd, 0, SEEK_CUR);
    return at < 0 ? wasi_errno_of(errno) : wasi_store64(c, c->args[1], (uint64_t)at);
}

/* Appends one entry, cut at the buffer's end as the witx wants it. */
static size_t put_entry(uint8_t *to, size_t room, const struct vfs_entry *e, uint64_t next)
{
    uint8_t head[24] = {0};
    uint32_t len = (uint32_t)strlen(e->name);
    memcpy(head, &next, 8);
    memcpy(head + 8, &e->inode, 8);
    memcpy(head + 16, &len, 4);
    head[20] = wasi_filetype((uint32_t)e->type << 12); /* DT_* are the file type's bits of a mode */
    size_t n = sizeof head < room ? sizeof head : room;
    memcpy(to, head, n);
    size_t text = len < room - n ? len : room - n;
    memcpy(to + n, e->name, text);
    return n + text;
}

uint32_t wasi_fd_readdir(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_DIR, RIGHT_FD_READDIR, &r);
    uint8_t *to = wasi_bytes(c, c->args[1], (uint32_t)c->args[2]);
    if (!f || !to)
        return f ? WASI_FAULT : r;
    if (c->args[3] == 0 || !f->entries) {
        auto(vfs_node) struct vfs_node n = {0};
        vfs_entries_free(take_ptr(&f->entries));
        int e = vfs_lookup(c->guest->wasi.vfs, f->path, ".", false, &n);
        if (!e)
            e = vfs_list(c->guest->wasi.vfs, &n, &f->entries);
        if (e < 0)
            return wasi_errno_of(e);
    }
    size_t used = 0, room = (uint32_t)c->args[2];
    for (uint64_t i = c->args[3]; i < f->entries->count && used < room; i++)
        used += put_entry(to + used, room - used, &f->entries->list[i], i + 1);
    return wasi_store32(c, c->args[4], (uint32_t)used);
}
