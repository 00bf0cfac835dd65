/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "loop/loop.h"

enum { READ_SIZE = 64 << 10, READS_A_TURN = 4, OUT_KEEP = 64 << 10 };

static struct {
    struct list list;
    uv_idle_t turn;
    bool made;
} dirty;

static void poll_ready(uv_poll_t *p, int status, int events);

static void set_events(struct conn *c)
{
    int events = conn_pending(c) < CONN_OUT_STOP && !c->last ? UV_READABLE : 0;
    if (conn_pending(c))
        events |= UV_WRITABLE;
    if (events == c->events)
        return;
    c->events = events;
    if (events)
        uv_poll_start(&c->poll, events, poll_ready);
    else
        uv_poll_stop(&c->poll);
}

static int send_out(struct conn *c)
{
    while (conn_pending(c)) {
        ssize_t n =
            send(c->fd, c->out.data + c->out_sent, conn_pending(c), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->out_sent += (size_t)n;
        c->sent += (uint64_t)n;
    }
    c->out_sent = 0;
    if (c->out.size > OUT_KEEP)
        buffer_done(&c->out);
    else
        buffer_clear(&c->out);
    return 1;
}

/* Sends until the socket or the owner has no more. */
void conn_flush(struct conn *c)
{
    int r;
    if (c->closed)
        return;
    do {
        size_t before = c->out.len;
        bool full =
            conn_pending(c) >= CONN_OUT_HIGH; /* then fill() adds nothing, whatever the owner has */
        r = c->ops->fill ? c->ops->fill(c) : 0;
        if (c->closed)
            return;
        if (r >= 0) {
            bool more = full || c->out.len > before;
            r = send_out(c);
            if (r > 0 && (!more || !c->ops->fill))
                break;
        }
    } while (r > 0);
    if (r < 0)
        conn_close(c, r);
    else if (c->last && !conn_pending(c))
        conn_close(c, 0);
    else
        set_events(c);
    if (r > 0 && !c->closed && c->ops->drained)
        c->ops->drained(c);
}

static void flush_all(uv_idle_t *h)
{
    struct conn *c;
    struct list now = LIST_INIT(now);
    while ((c = list_first(&dirty.list, struct conn, dirty))) {
        list_remove(&c->dirty);
        list_append(&now, &c->dirty);
    }
    while ((c = list_first(&now, struct conn, dirty))) {
        list_remove(&c->dirty);
        conn_flush(c);
    }
    if (list_empty(&dirty.list))
        uv_idle_stop(h);
}

void conn_dirty(struct conn *c)
{
    if (c->closed || !list_empty(&c->dirty))
        return;
    if (!dirty.made) {
        dirty.made = true;
        list_init(&dirty.list);
        uv_idle_init(loop_uv(), &dirty.turn);
    }
    list_append(&dirty.list, &c->dirty);
    /* an idle handle runs at the next turn, when the coroutines of this one have run, and keeps the
     * poll from blocking until then */
    uv_idle_start(&dirty.turn, flush_all);
}

static int read_some(struct conn *c)
{
    static uint8_t data[READ_SIZE];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(c->fd, data, sizeof data, MSG_DONTWAIT);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        int r = c->ops->received(c, data, (size_t)n);
        if (r < 0 || c->closed)
            return r;
        if ((size_t)n < sizeof data)
            return 0;
    }
    return 0;
}

static void poll_ready(uv_poll_t *p, int status, int events)
{
    struct conn *c = p->data;
    if (status < 0) {
        conn_close(c, status);
        return;
    }
    if (events & UV_WRITABLE)
        conn_dirty(c);
    if (events & UV_READABLE) {
        int r = read_some(c);
        if (r < 0)
            conn_close(c, r);
        else if (!c->closed)
            set_events(c);
    }
}

int conn_init(struct conn *c, int fd, const struct conn_ops *ops)
{
    c->ops = ops;
    c->fd = fd;
    list_init(&c->dirty);
    c->poll.data = c;
    int r = uv_poll_init(loop_uv(), &c->poll, fd);
    if (r < 0) {
        close_fd(&c->fd);
        return r;
    }
    set_events(c);
    return 0;
}

void conn_finish(struct conn *c)
{
    c->last = true;
    conn_dirty(c);
}

static void poll_closed(uv_handle_t *h)
{
    struct conn *c = h->data;
    buffer_done(&c->out);
    c->ops->released(c);
}

void conn_close(struct conn *c, int code)
{
    if (c->closed)
        return;
    c->closed = true;
    list_remove(&c->dirty);
    uv_close((uv_handle_t *)&c->poll, poll_closed);
    close_fd(&c->fd);
    c->ops->closed(c, code);
}
