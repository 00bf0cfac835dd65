/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wire.h"
#include "wasm/worker/held.h"
#include "wasm/worker/quiet.h"

enum { READ_SIZE = 64 << 10, OUT_KEPT = 1 << 20 };

static const struct connection_handler *handler;
static struct sched_watch listener;

void connection_close(struct connection *c)
{
    handler->closed(c);
    sched_watch_remove(&c->watch);
    close_fd(&c->watch.fd);
    for (unsigned i = 0; i < c->received_count; i++)
        close(c->received[i]);
    buffer_done(&c->in);
    buffer_done(&c->out);
    sched_free_later(c);
}

bool connection_flush(struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->watch.fd, c->out.data + c->sent, c->out.len - c->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    if (c->sent == c->out.len) {
        if (c->out.size > OUT_KEPT) /* a HELLO's answer was large */
            buffer_done(&c->out);
        else
            buffer_clear(&c->out);
        c->sent = 0;
    }
    uint32_t events = EPOLLIN | (c->out.len ? EPOLLOUT : 0);
    if (events != c->watch.events)
        sched_watch_change(&c->watch, events);
    return true;
}

int connection_take_fd(struct connection *c)
{
    if (!c->received_count)
        return -1;
    int fd = c->received[0];
    memmove(c->received, c->received + 1, --c->received_count * sizeof c->received[0]);
    return fd;
}

static bool serve_all(struct connection *c)
{
    size_t done = 0, len;
    struct wire_reader r;
    int found;
    quiet_read();
    while ((found = wire_frame(c->in.data + done, c->in.len - done, &r, &len)) > 0) {
        handler->serve(c, &r);
        done += len;
    }
    buffer_consume(&c->in, done);
    return found == 0 && connection_flush(c);
}

/* What is no supervisor brings a token and a newline. */
static void serve_attach(struct connection *c)
{
    char *end = memchr(c->in.data, '\n', c->in.len);
    if (!end && c->in.len < 128)
        return;
    if (end) {
        *end = 0;
        int fd = dup(c->watch.fd);
        if (fd >= 0)
            held_attach((const char *)c->in.data, fd);
    }
    connection_close(c);
}

/* As recv(), with the descriptors that come along; -1 and EPROTO where they are too many. */
static ssize_t receive(struct connection *c, void *data, size_t len)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(CONNECTION_FDS * sizeof(int))];
    } control;
    struct iovec v = {data, len};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return n;
    unsigned room = CONNECTION_FDS - c->received_count;
    size_t came = fd_received(&m, c->received + c->received_count, room);
    c->received_count += came < room ? (unsigned)came : room;
    if (came <= room && !(m.msg_flags & MSG_CTRUNC))
        return n;
    errno = EPROTO;
    return -1;
}

static void connection_ready(struct sched_watch *w, uint32_t events)
{
    struct connection *c = container_of(w, struct connection, watch);
    if (w->fd < 0)
        return;
    if (events & EPOLLOUT && !connection_flush(c)) {
        connection_close(c);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n =
        buffer_reserve(&c->in, READ_SIZE) < 0 ? 0 : receive(c, c->in.data + c->in.len, READ_SIZE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        connection_close(c);
        return;
    }
    c->in.len += (size_t)n;
    if (!c->known && c->in.data[0] == 0) {
        c->known = true;
        buffer_consume(&c->in, 1);
    }
    if (!c->known)
        serve_attach(c);
    else if (!serve_all(c))
        connection_close(c);
}

static void accept_ready(struct sched_watch *w, uint32_t events)
{
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->watch = (struct sched_watch){.ready = connection_ready, .fd = fd, .events = EPOLLIN};
    if (sched_watch_add(&c->watch) < 0) {
        close(fd);
        free(c);
    }
}

int connections_init(int listen, const struct connection_handler *h, struct error *err)
{
    handler = h;
    listener = (struct sched_watch){.ready = accept_ready, .fd = listen, .events = EPOLLIN};
    int r = sched_watch_add(&listener);
    return r < 0 ? fail(err, r, "serve the worker's socket") : 0;
}
