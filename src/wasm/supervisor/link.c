/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

enum {
    READ_SIZE = 256 << 10,
    QUIET_FRAME_MAX = 4 << 10, /* the kernel takes so little whole or not at all */
    QUIET_MAX = 64,            /* frames: then the worker is to read them */
};

struct pending {
    struct list link;
    uint32_t tag;
    struct co *co;
    bool done;
    int *fd;             /* where a descriptor goes that comes with the reply; NULL: none may */
    struct buffer reply; /* the frame */
};

struct attached { /* descriptors that go with the byte at of out */
    struct list link;
    size_t at;
    unsigned count;
    int fds[LINK_FDS_MAX];
};

struct link {
    uv_poll_t poll; /* NULL data once closed */
    int fd;
    unsigned refs; /* the owner's, the handle's, each call's */
    bool dead;
    int events;
    uint32_t last_tag;
    struct buffer in, out;
    size_t sent; /* of out: what is left is not moved at every turn */
    struct list attached;
    struct co_mutex asking; /* one reply with a descriptor at a time */
    int received;           /* a descriptor whose frame is not whole yet; -1 */
    struct co_queue empty;  /* woken when all of out is with the kernel */
    struct list pending;
    int quiet;        /* -1: none */
    unsigned quietly; /* frames since the worker was woken last */
    struct link_handler handler;
};

static void attached_free(struct attached *a)
{
    list_remove(&a->link);
    for (unsigned i = 0; i < a->count; i++)
        close(a->fds[i]);
    free(a);
}

static void unref(struct link *l)
{
    struct attached *a;
    if (--l->refs)
        return;
    list_each(a, &l->attached, link) attached_free(a);
    close_fd(&l->received);
    close_fd(&l->quiet);
    buffer_done(&l->in);
    buffer_done(&l->out);
    free(l);
}

static void poll_closed(uv_handle_t *h)
{
    unref(container_of((uv_poll_t *)h, struct link, poll));
}

/* Ends all calls with -ENOTCONN. */
static void shut(struct link *l)
{
    if (l->dead)
        return;
    l->dead = true;
    uv_close((uv_handle_t *)&l->poll, poll_closed);
    close_fd(&l->fd);
    co_queue_wake_all(&l->empty);
    struct pending *p;
    list_each(p, &l->pending, link)
    {
        list_remove(&p->link);
        p->done = true;
        co_wake(p->co);
    }
}

static void die(struct link *l)
{
    if (l->dead)
        return;
    shut(l);
    if (l->handler.died)
        l->handler.died(l->handler.arg);
}

static void ready(uv_poll_t *h, int status, int events);

static void want(struct link *l, int events)
{
    if (events != l->events && uv_poll_start(&l->poll, events, ready) == 0)
        l->events = events;
}

/* Sends up to the next byte that descriptors go with; those where it is the first one. */
static ssize_t send_some(struct link *l)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(LINK_FDS_MAX * sizeof(int))];
    } control = {0};
    struct attached *a = list_first(&l->attached, struct attached, link);
    bool with = a && a->at == l->sent;
    struct attached *next = with && a->link.next != &l->attached
                                ? container_of(a->link.next, struct attached, link)
                            : with ? NULL
                                   : a;
    struct iovec v = {l->out.data + l->sent, (next ? next->at : l->out.len) - l->sent};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (with) {
        control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                         .cmsg_type = SCM_RIGHTS,
                                         .cmsg_len = CMSG_LEN(a->count * sizeof(int))};
        memcpy(CMSG_DATA(&control.align), a->fds, a->count * sizeof(int));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(a->count * sizeof(int));
    }
    ssize_t n = sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0 && with)
        attached_free(a);
    return n;
}

static void flush(struct link *l)
{
    while (!l->dead && l->sent < l->out.len) {
        ssize_t n = send_some(l);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            die(l);
            return;
        }
        if (n < 0)
            break;
        l->sent += (size_t)n;
    }
    if (l->sent == l->out.len) {
        buffer_clear(&l->out);
        l->sent = 0;
        co_queue_wake_all(&l->empty);
    }
    if (!l->dead)
        want(l, UV_READABLE | (l->out.len ? UV_WRITABLE : 0));
}

static void answer(struct link *l, const struct wire_reader *r, const uint8_t *frame, size_t len)
{
    struct pending *p;
    list_each(p, &l->pending, link)
    {
        if (p->tag != r->tag)
            continue;
        list_remove(&p->link);
        if (p->fd)
            *p->fd = take_fd(&l->received);
        buffer_append(&p->reply, frame, len);
        p->done = true;
        co_wake(p->co);
        return;
    }
}

static void take_frames(struct link *l)
{
    size_t done = 0, len;
    struct wire_reader r;
    int found = 0;
    while (!l->dead && (found = wire_frame(l->in.data + done, l->in.len - done, &r, &len)) > 0) {
        if (r.type == WIRE_REPLY)
            answer(l, &r, l->in.data + done, len);
        else
            l->handler.told(l->handler.arg, &r);
        done += len;
    }
    buffer_consume(&l->in, done);
    if (found < 0)
        die(l);
}

static ssize_t receive(struct link *l)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {l->in.data + l->in.len, READ_SIZE};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;
    if (n >= 0 && fd_received(&m, &fd, 1)) {
        close_fd(&l->received);
        l->received = fd;
    }
    return n;
}

static void ready(uv_poll_t *h, int status, int events)
{
    struct link *l = container_of(h, struct link, poll);
    l->refs++;
    if (status < 0)
        die(l);
    if (events & UV_WRITABLE)
        flush(l);
    if (!l->dead && events & UV_READABLE) {
        ssize_t n = buffer_reserve(&l->in, READ_SIZE) < 0 ? 0 : receive(l);
        if (n > 0) {
            l->in.len += (size_t)n;
            take_frames(l);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            die(l);
        }
    }
    unref(l);
}

int link_new(struct link **ret, int fd, const struct link_handler *handler, struct error *err)
{
    struct link *l = calloc(1, sizeof *l);
    int r = l ? uv_poll_init(loop_uv(), &l->poll, fd) : -ENOMEM;
    if (r < 0) {
        free(l);
        close(fd);
        return fail(err, r, "watch a worker's socket");
    }
    l->fd = fd;
    l->refs = 2;
    l->handler = *handler;
    co_mutex_init(&l->asking);
    l->received = l->quiet = -1;
    list_init(&l->attached);
    list_init(&l->pending);
    co_queue_init(&l->empty);
    want(l, UV_READABLE);
    link_tell(l, &(struct buffer){.data = (uint8_t *)(uintptr_t) "", .len = 1});
    *ret = l;
    return 0;
}

void link_cut(struct link *l)
{
    die(l);
}

void link_free(struct link *l)
{
    if (!l)
        return;
    shut(l);
    unref(l);
}

uint32_t link_tag(struct link *l)
{
    return ++l->last_tag ? l->last_tag : ++l->last_tag;
}

void link_tell(struct link *l, const struct buffer *frame)
{
    if (l->dead)
        return;
    l->quietly = 0;
    if (buffer_append(&l->out, frame->data, frame->len) < 0)
        die(l);
    else
        flush(l);
}

int link_post(struct link *l, const struct buffer *frame, struct error *err)
{
    l->refs++;
    link_tell(l, frame);
    while (!l->dead && l->out.len)
        co_queue_wait(&l->empty, INT64_MAX);
    bool dead = l->dead;
    unref(l);
    return dead ? fail_plain(err, ENOTCONN, "the worker has ended") : 0;
}

int link_make_quiet(struct link *l, int *ret_fd, struct error *err)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return fail(err, errno, "make a worker's quiet socket");
    close_fd(&l->quiet);
    l->quiet = fds[0];
    *ret_fd = fds[1];
    return 0;
}

int link_post_quietly(struct link *l, const struct buffer *frame, struct error *err)
{
    if (!l->dead && l->quietly < QUIET_MAX && frame->len <= QUIET_FRAME_MAX &&
        send(l->quiet, frame->data, frame->len, MSG_NOSIGNAL | MSG_DONTWAIT) ==
            (ssize_t)frame->len) {
        l->quietly++;
        return 0;
    }
    return link_post(l, frame, err);
}

void link_reply_done(struct link_reply *r)
{
    buffer_done(&r->bytes);
}

/* False: it was not there in time, and the worker is given up. */
static bool wait_reply(struct link *l, const struct pending *p, int64_t deadline_ns)
{
    while (!p->done)
        if (!co_park_until(deadline_ns) && !p->done) {
            die(l); /* ends this call, too */
            return false;
        }
    return true;
}

static int call(struct link *l, uint32_t tag, const struct buffer *frame, struct link_reply *reply,
                int *ret_fd, int64_t deadline_ns, struct error *err)
{
    struct pending p = {.tag = tag, .co = co_self(), .fd = ret_fd};
    size_t len;
    if (l->dead)
        return fail_plain(err, ENOTCONN, "the worker has ended");
    l->refs++;
    list_append(&l->pending, &p.link);
    link_tell(l, frame);
    bool in_time = wait_reply(l, &p, deadline_ns);
    unref(l);
    reply->bytes = p.reply;
    if (!in_time)
        return fail_plain(err, ETIMEDOUT, "the worker does not answer");
    if (!p.reply.len || wire_frame(p.reply.data, p.reply.len, &reply->reader, &len) <= 0)
        return fail_plain(err, ENOTCONN, "the worker has ended");
    int code = (int)wire_number(&reply->reader);
    const char *message = wire_text(&reply->reader);
    return code < 0 ? fail_plain(err, code, "%s", message) : 0;
}

int link_call(struct link *l, uint32_t tag, const struct buffer *frame, struct link_reply *reply,
              struct error *err)
{
    auto(link_reply) struct link_reply own = {0};
    return call(l, tag, frame, reply ? reply : &own, NULL, INT64_MAX, err);
}

int link_call_until(struct link *l, uint32_t tag, const struct buffer *frame, const int *fds,
                    unsigned count, int64_t deadline_ns, struct link_reply *reply,
                    struct error *err)
{
    auto(link_reply) struct link_reply own = {0};
    struct attached *a = malloc(sizeof *a);
    if (!a || l->dead) {
        for (unsigned i = 0; i < count; i++)
            close(fds[i]);
        free(a);
        return a ? fail_plain(err, ENOTCONN, "the worker has ended")
                 : fail(err, ENOMEM, "hand a descriptor to a worker");
    }
    *a = (struct attached){.at = l->out.len, .count = count};
    memcpy(a->fds, fds, count * sizeof *fds);
    list_append(&l->attached, &a->link);
    return call(l, tag, frame, reply ? reply : &own, NULL, deadline_ns, err);
}

int link_call_fds(struct link *l, uint32_t tag, const struct buffer *frame, const int *fds,
                  unsigned count, struct link_reply *reply, struct error *err)
{
    return link_call_until(l, tag, frame, fds, count, INT64_MAX, reply, err);
}

int link_call_for_fd(struct link *l, uint32_t tag, const struct buffer *frame,
                     struct link_reply *reply, int *ret_fd, struct error *err)
{
    *ret_fd = -1;
    l->refs++;
    co_mutex_lock(&l->asking);
    int r = call(l, tag, frame, reply, ret_fd, INT64_MAX, err);
    co_mutex_unlock(&l->asking);
    unref(l);
    if (r < 0)
        close_fd(ret_fd);
    return r;
}
