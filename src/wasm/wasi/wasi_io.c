/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wasi/wasi_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/wasi/wasi_sock.h"
#include "wasm/worker/console.h"
#include "wasm/worker/disk.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"
#include "wasm/worker/sched.h"

/* A vector on the fiber's stack would stay resident: most calls have one or two buffers. */
enum { IOV_SMALL = 8, GATHERED_MAX = 1024 };

struct vectors {
    struct iovec small[IOV_SMALL];
    struct iovec *all; /* small, or malloced */
    struct iovec *v;   /* what is left of all */
    int count;
};

static uint32_t vectors_get(struct wasi_call *c, uint64_t at, uint64_t count, struct vectors *ret)
{
    ret->v = ret->all = ret->small;
    if ((uint32_t)count > IOV_SMALL) {
        ret->v = ret->all = malloc(WASI_IOV_MAX * sizeof *ret->v);
        if (!ret->v)
            return WASI_NOMEM;
    }
    int n = wasi_iovec(c, at, count, ret->v);
    ret->count = n < 0 ? 0 : n;
    return n < 0 ? (uint32_t)-n : WASI_SUCCESS;
}

static void vectors_done(struct vectors *v)
{
    if (v->all != v->small)
        free(v->all);
}

/* Drops the first n bytes. */
static void vectors_skip(struct vectors *v, size_t n)
{
    while (v->count && n >= v->v->iov_len) {
        n -= v->v->iov_len;
        v->v++;
        v->count--;
    }
    if (v->count) {
        v->v->iov_base = (uint8_t *)v->v->iov_base + n;
        v->v->iov_len -= n;
    }
}

static size_t vectors_size(const struct vectors *v)
{
    size_t size = 0;
    for (int i = 0; i < v->count; i++)
        size += v->v[i].iov_len;
    return size;
}

/* A call that reads or writes: its buffers, less what is done, and where the count goes. */
struct transfer {
    struct vectors v;
    struct wasi_fd *f;
    int64_t offset; /* -1: the descriptor's own position */
    uint64_t count_at;
    bool writes;
};

static void transfer_done(struct transfer *t)
{
    vectors_done(&t->v);
}
CLEANUP_DONE(transfer, struct transfer);

/* The call is over: with what is done, or why nothing is. */
static uint32_t finish(struct wasi_call *c, const struct transfer *t, int code)
{
    size_t done = c->guest->progress;
    return code < 0 && !done ? wasi_errno_of(code) : wasi_store32(c, t->count_at, (uint32_t)done);
}

static void advance(struct wasi_call *c, struct transfer *t, size_t n)
{
    c->guest->progress += n;
    atomic_fetch_add_explicit(t->writes ? &c->guest->written_bytes : &c->guest->read_bytes, n,
                              memory_order_relaxed);
    vectors_skip(&t->v, n);
}

/* Parks until fd is ready. */
static uint32_t wait_fd(struct wasi_call *c, int fd, uint32_t events)
{
    uint32_t r = wasi_park_for(c->guest, 1);
    if (r == WASI_PARK)
        wasi_watch(c->guest, fd, events);
    return r;
}

/* A FIFO or the console */

/* Which of the console's streams: 1 or 2. A renumbered descriptor writes to the output. */
static int stream_of(const struct wasi_call *c)
{
    return c->args[0] == 2 ? 2 : 1;
}

/* A C program writes a line as two buffers, of which the second is the newline: one record. */
static ssize_t write_console(struct console *console, int stream, const struct vectors *all)
{
    uint8_t text[GATHERED_MAX];
    size_t len = 0;
    if (all->count == 1 || all->v->iov_len >= sizeof text)
        return console_write(console, stream, all->v->iov_base, all->v->iov_len);
    for (int i = 0; i < all->count && len < sizeof text; i++) {
        size_t room = sizeof text - len, n = all->v[i].iov_len < room ? all->v[i].iov_len : room;
        memcpy(text + len, all->v[i].iov_base, n);
        len += n;
    }
    return console_write(console, stream, text, len);
}

static ssize_t transfer_peer(struct wasi_call *c, const struct transfer *t)
{
    const struct iovec *v = t->v.v;
    struct console *console = &c->guest->wasi.console;
    if (t->f->kind != WASI_FD_CONSOLE)
        return t->writes ? fifo_write(t->f->fd, v->iov_base, v->iov_len)
                         : fifo_read(t->f->fd, v->iov_base, v->iov_len);
    return t->writes ? write_console(console, stream_of(c), &t->v)
                     : console_read(console, v->iov_base, v->iov_len);
}

static uint32_t wait_peer(struct wasi_call *c, const struct transfer *t)
{
    int fd = t->f->fd;
    if (t->f->kind == WASI_FD_CONSOLE)
        fd = c->guest->wasi.console.fifo[t->writes ? stream_of(c) : 0];
    if (fd < 0)
        return wasi_park(c->guest); /* woken when the log has room */
    return wait_fd(c, fd, t->writes ? EPOLLOUT : EPOLLIN);
}

/* Reads what there is, and writes all, unless it is not to block. */
static uint32_t with_peer(struct wasi_call *c, struct transfer *t)
{
    for (vectors_skip(&t->v, 0); t->v.count;) {
        ssize_t n = transfer_peer(c, t);
        bool waits =
            n == -EAGAIN && !(t->f->flags & FDFLAG_NONBLOCK) && (t->writes || !c->guest->progress);
        if (waits)
            return wait_peer(c, t);
        if (n < 0)
            return finish(c, t, (int)n);
        bool whole = (size_t)n == t->v.v->iov_len;
        advance(c, t, (size_t)n);
        if (!whole && !t->writes)
            break;
    }
    return finish(c, t, 0);
}

/* A file */

/* Nothing more is there to be read. */
static bool at_end(const struct wasi_call *c, const struct transfer *t)
{
    struct stat st;
    off_t at = t->offset < 0 ? lseek(t->f->fd, 0, SEEK_CUR) : t->offset + (off_t)c->guest->progress;
    return fstat(t->f->fd, &st) < 0 || at >= st.st_size;
}

static ssize_t transfer_now(struct wasi_call *c, const struct transfer *t)
{
    off_t at = t->offset < 0 ? -1 : t->offset + (off_t)c->guest->progress;
    int flags = t->f->waits == WASI_WAITS_FOR_DISK ? RWF_NOWAIT : 0;
    ssize_t n = t->writes ? pwritev2(t->f->fd, t->v.v, t->v.count, at, flags)
                          : preadv2(t->f->fd, t->v.v, t->v.count, at, flags);
    return n < 0 ? -errno : n;
}

/* Has the next piece read or written by the disk's threads. */
static uint32_t hand_over(struct wasi_call *c, struct transfer *t)
{
    size_t size = vectors_size(&t->v);
    struct disk_op op = {.kind = t->writes ? DISK_WRITE : DISK_READ,
                         .offset = t->offset < 0 ? -1 : t->offset + (int64_t)c->guest->progress,
                         .length = size < DISK_MOST ? (int64_t)size : DISK_MOST};
    auto(buffer) struct buffer data = {0};
    for (int i = 0; t->writes && i < t->v.count && data.len < DISK_MOST; i++) {
        size_t room = DISK_MOST - data.len, len = t->v.v[i].iov_len;
        if (buffer_append(&data, t->v.v[i].iov_base, len < room ? len : room) < 0)
            return finish(c, t, -ENOMEM);
    }
    int e = disk_do(c->guest, t->f->fd, &op, &data);
    return e < 0 ? finish(c, t, e) : wasi_park(c->guest);
}

/* Takes over what the disk's threads did; false where the call is over, with *ret. */
static bool take_over(struct wasi_call *c, struct transfer *t, uint32_t *ret)
{
    auto(job) struct job *j = job_take(c->guest);
    if (!j) {
        *ret = wasi_park(c->guest);
        return false;
    }
    size_t left = j->code > 0 ? (size_t)j->code : 0;
    bool whole = j->code == j->disk->length;
    int code = j->code < 0 ? (int)j->code : 0;
    for (const uint8_t *from = j->bytes.data; left && t->v.count;) {
        size_t n = left < t->v.v->iov_len ? left : t->v.v->iov_len;
        if (!t->writes)
            memcpy(t->v.v->iov_base, from, n);
        from += n;
        left -= n;
        advance(c, t, n);
    }
    if (whole && t->v.count)
        return true;
    *ret = finish(c, t, code);
    return false;
}

static uint32_t with_file(struct wasi_call *c, struct transfer *t)
{
    uint32_t r;
    if (c->resumed && !take_over(c, t, &r))
        return r;
    ssize_t n = transfer_now(c, t);
    bool waits = n == -EAGAIN || n == -EOPNOTSUPP;
    if (n < 0 && !waits)
        return finish(c, t, (int)n);
    if (n > 0)
        advance(c, t, (size_t)n);
    vectors_skip(&t->v, 0);
    if (!n || !t->v.count || (!waits && t->f->waits == WASI_WAITS_NEVER) ||
        (!waits && !t->writes && at_end(c, t)))
        return finish(c, t, 0);
    return hand_over(c, t);
}

static uint32_t begin(struct wasi_call *c, struct transfer *t, uint64_t right, uint32_t kind)
{
    uint32_t r;
    t->v.v = t->v.all = t->v.small;
    t->f = wasi_fd_get(c, c->args[0], kind, right, &r);
    if (t->f)
        r = vectors_get(c, c->args[1], c->args[2], &t->v);
    if (r)
        return r;
    if (!c->resumed)
        c->guest->progress = 0;
    vectors_skip(&t->v, c->guest->progress);
    return WASI_SUCCESS;
}

static uint32_t transfer(struct wasi_call *c, bool writes)
{
    auto(transfer) struct transfer t = {.offset = -1, .count_at = c->args[3], .writes = writes};
    uint32_t r = begin(c, &t, writes ? RIGHT_FD_WRITE : RIGHT_FD_READ, WASI_FD_FREE);
    if (r) /* as read(2) of what is open for writing */
        return r == WASI_NOTCAPABLE ? WASI_BADF : r;
    if (t.f->kind == WASI_FD_SOCKET || t.f->kind == WASI_FD_LISTENER)
        return writes ? wasi_sock_write(c, t.f) : wasi_sock_read(c, t.f);
    if (t.f->kind == WASI_FD_DIR)
        return WASI_ISDIR;
    if (t.f->kind == WASI_FD_CONSOLE || t.f->waits == WASI_WAITS_FOR_PEER)
        return with_peer(c, &t);
    return with_file(c, &t);
}

uint32_t wasi_fd_read(struct wasi_call *c)
{
    return transfer(c, false);
}

uint32_t wasi_fd_write(struct wasi_call *c)
{
    return transfer(c, true);
}

static uint32_t transfer_at(struct wasi_call *c, bool writes)
{
    auto(transfer) struct transfer t = {
        .offset = (int64_t)c->args[3], .count_at = c->args[4], .writes = writes};
    uint32_t r =
        begin(c, &t, RIGHT_FD_SEEK | (writes ? RIGHT_FD_WRITE : RIGHT_FD_READ), WASI_FD_FILE);
    if (r)
        return r;
    if (t.f->waits == WASI_WAITS_FOR_PEER)
        return WASI_SPIPE;
    return c->args[3] > INT64_MAX ? WASI_INVAL : with_file(c, &t);
}

uint32_t wasi_fd_pread(struct wasi_call *c)
{
    return transfer_at(c, false);
}

uint32_t wasi_fd_pwrite(struct wasi_call *c)
{
    return transfer_at(c, true);
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
