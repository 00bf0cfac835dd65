/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wasi/wasi_sock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

/* More buffers are served by the next call: a stream's calls may take less than is asked for. PROGRESS: of a call's args, bytes that are
 * done when it parks. */
enum { BUFFERS_MAX = 8, PROGRESS = 7 };
enum { RI_PEEK = 1, RI_WAITALL = 2, SD_RD = 1, SD_WR = 2 };

static atomic_uint sockets;

static bool count_one(void)
{
    if (atomic_fetch_add(&sockets, 1) < SOCKETS_MAX)
        return true;
    atomic_fetch_sub(&sockets, 1);
    return false;
}

/* The guest's new descriptor; fd is closed where there is none. 0 or -WASI_*. */
static int add(struct wasi *w, int fd, bool listens, uint16_t flags, uint32_t *ret)
{
    int r = count_one() ? wasi_fd_new(w, ret) : -WASI_MFILE;
    if (r < 0) {
        close(fd);
        return r;
    }
    const uint64_t both = RIGHT_POLL | RIGHT_FDSTAT_SET_FLAGS | RIGHT_FD_FILESTAT_GET;
    const uint64_t stream = both | RIGHT_FD_READ | RIGHT_FD_WRITE | RIGHT_SOCK_SHUTDOWN;
    w->fds[*ret] = (struct wasi_fd){
        .kind = listens ? WASI_FD_LISTENER : WASI_FD_SOCKET,
        .filetype = FILETYPE_SOCKET_STREAM,
        .flags = flags,
        .preopen = listens,
        .fd = fd,
        .rights = listens ? both | RIGHT_SOCK_ACCEPT : stream,
        .inheriting = listens ? stream : 0,
    };
    return 0;
}

int wasi_sock_listener(struct wasi *w, int fd, struct error *err)
{
    uint32_t at;
    int r = add(w, fd, true, 0, &at);
    return r < 0 ? fail_plain(err, EMFILE,
                              "the worker holds %d sockets for its containers, and no more",
                              SOCKETS_MAX)
                 : 0;
}

void wasi_sock_close(struct wasi_fd *f)
{
    close_fd(&f->fd);
    atomic_fetch_sub(&sockets, 1);
}

static uint32_t wait_for(struct wasi_call *c, const struct wasi_fd *f, uint32_t events)
{
    uint32_t r = wasi_park_for(c->guest, 1);
    if (r == WASI_PARK)
        wasi_watch(c->guest, f->fd, events);
    return r;
}

static void skip(struct iovec *v, int count, uint64_t bytes)
{
    for (int i = 0; i < count; i++) {
        size_t n = v[i].iov_len < bytes ? v[i].iov_len : bytes;
        v[i].iov_base = (uint8_t *)v[i].iov_base + n;
        v[i].iov_len -= n;
        bytes -= n;
    }
}

static size_t total(const struct iovec *v, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += v[i].iov_len;
    return sum;
}

static ssize_t once(const struct wasi_fd *f, struct iovec *v, int count, int flags, bool sends)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)count};
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    ssize_t n;
    do
        n = sends ? sendmsg(f->fd, &m, flags) : recvmsg(f->fd, &m, flags);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Of the guest's vector at args[1]. all: not less than it holds, unless the other side has ended or nothing may be waited for. */
static uint32_t move(struct wasi_call *c, struct wasi_fd *f, int flags, bool sends, bool all,
                     uint64_t ret_len)
{
    struct iovec v[BUFFERS_MAX];
    uint64_t *done = &c->args[PROGRESS];
    uint64_t buffers = (uint32_t)c->args[2] < BUFFERS_MAX ? c->args[2] : BUFFERS_MAX;
    int count = wasi_iovec(c, c->args[1], buffers, v);
    if (count < 0)
        return (uint32_t)-count;
    skip(v, count, *done);
    for (;;) {
        ssize_t n = once(f, v, count, flags, sends);
        if (n == -EAGAIN && !(f->flags & FDFLAG_NONBLOCK) && (all || !*done))
            return wait_for(c, f, sends ? EPOLLOUT : EPOLLIN);
        if (n < 0 && !*done)
            return wasi_errno_of((int)n);
        if (n <= 0)
            break;
        *done += (uint64_t)n;
        skip(v, count, (uint64_t)n);
        if (!all || !total(v, count))
            break;
    }
    return wasi_store32(c, ret_len, (uint32_t)*done);
}

uint32_t wasi_sock_read(struct wasi_call *c, struct wasi_fd *f)
{
    return f->kind == WASI_FD_LISTENER ? WASI_NOTCONN : move(c, f, 0, false, false, c->args[3]);
}

uint32_t wasi_sock_write(struct wasi_call *c, struct wasi_fd *f)
{
    return f->kind == WASI_FD_LISTENER ? WASI_NOTCONN : move(c, f, 0, true, true, c->args[3]);
}

static struct wasi_fd *socket_of(const struct wasi_call *c, enum wasi_fd_kind kind, uint64_t rights,
                                 uint32_t *ret_errno)
{
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, ret_errno);
    if (f && f->kind != WASI_FD_SOCKET && f->kind != WASI_FD_LISTENER)
        *ret_errno = WASI_NOTSOCK;
    else if (f && f->kind != kind)
        *ret_errno = kind == WASI_FD_SOCKET ? WASI_NOTCONN : WASI_INVAL;
    else if (f && (f->rights & rights) != rights)
        *ret_errno = WASI_NOTCAPABLE;
    return *ret_errno ? NULL : f;
}

static uint32_t sock_accept(struct wasi_call *c)
{
    uint32_t r, at;
    struct wasi_fd *f = socket_of(c, WASI_FD_LISTENER, RIGHT_SOCK_ACCEPT, &r);
    if (!f)
        return r;
    if (c->args[1] & ~(uint64_t)FDFLAG_NONBLOCK)
        return WASI_INVAL;
    if (!wasi_bytes(c, c->args[2], 4))
        return WASI_FAULT;
    int fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* who has gone before we came is nobody */
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
        return f->flags & FDFLAG_NONBLOCK ? WASI_AGAIN : wait_for(c, f, EPOLLIN);
    if (fd < 0)
        return wasi_errno_of(errno);
    int e = add(&c->guest->wasi, fd, false, (uint16_t)c->args[1], &at);
    return e < 0 ? (uint32_t)-e : wasi_store32(c, c->args[2], at);
}

/* args: fd, vector, count, flags, length, flags out */
static uint32_t sock_recv(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = socket_of(c, WASI_FD_SOCKET, RIGHT_FD_READ, &r);
    if (!f)
        return r;
    uint64_t flags = c->args[3];
    if (flags & ~(uint64_t)(RI_PEEK | RI_WAITALL))
        return WASI_INVAL;
    uint8_t *out = wasi_bytes(c, c->args[5], 2);
    if (!out)
        return WASI_FAULT;
    out[0] = out[1] = 0; /* a stream's data is never cut */
    /* what is looked at stays: it cannot be waited for piece by piece */
    bool all = flags & RI_WAITALL && !(flags & RI_PEEK);
    return move(c, f, flags & RI_PEEK ? MSG_PEEK : 0, false, all, c->args[4]);
}

/* args: fd, vector, count, flags, length */
static uint32_t sock_send(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = socket_of(c, WASI_FD_SOCKET, RIGHT_FD_WRITE, &r);
    if (!f)
        return r;
    return c->args[3] ? WASI_INVAL : move(c, f, 0, true, true, c->args[4]);
}

static uint32_t sock_shutdown(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = socket_of(c, WASI_FD_SOCKET, RIGHT_SOCK_SHUTDOWN, &r);
    if (!f)
        return r;
    static const int how[] = {[SD_RD] = SHUT_RD, [SD_WR] = SHUT_WR, [SD_RD | SD_WR] = SHUT_RDWR};
    if (c->args[1] < SD_RD || c->args[1] > (SD_RD | SD_WR))
        return WASI_INVAL;
    return shutdown(f->fd, how[c->args[1]]) < 0 ? wasi_errno_of(errno) : WASI_SUCCESS;
}

const struct wasi_entry wasi_sock_entries[] = {
    {.name = "sock_accept", .params = "iii", .fn = sock_accept, .parks = true},
    {.name = "sock_recv", .params = "iiiiii", .fn = sock_recv, .parks = true},
    {.name = "sock_send", .params = "iiiii", .fn = sock_send, .parks = true},
    {.name = "sock_shutdown", .params = "ii", .fn = sock_shutdown},
    {0},
};
