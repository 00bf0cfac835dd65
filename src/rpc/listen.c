/* SPDX-License-Identifier: Apache-2.0 */
/* Accepts, looks at the first bytes without taking them, and hands the descriptor to its protocol.
 *
 * A connection that has said nothing costs a descriptor. At most WAITING_MAX of them are kept, the
 * oldest goes first; there is no time limit, as a client may well connect long before its first
 * call. When descriptors run out, one kept in reserve is given up to accept and close, so that the
 * client learns it and the loop does not spin. */
#include "rpc/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"

enum { ACCEPTS_A_TURN = 64, BACKLOG = 4096, RECHECK_MS = 20 };

struct listener {
    struct list link;
    struct rpc_server *server;
    uv_poll_t poll;
    int fd, reserve;
    unsigned protocols;
    char *path; /* unlinked at the end; NULL where the socket was given */
};

/* A connection whose protocol is not known yet. */
struct waiting {
    struct list link;
    struct rpc_server *server;
    uv_poll_t poll;
    uv_timer_t again;
    int fd;
    unsigned protocols;
    unsigned handles; /* still open */
};

int protocol_of(const uint8_t *data, size_t len, unsigned protocols)
{
    static const char preface[] = "PRI * HTTP/2.0";
    if (!len)
        return 0;
    if (data[0] == 0)
        return protocols & RPC_TTRPC ? RPC_TTRPC : -EPROTO;
    size_t n = len < 3 ? len : 3;
    if ((protocols & RPC_GRPC) && memcmp(data, preface, n) == 0)
        return n < 3 ? 0 : RPC_GRPC;
    return protocols & RPC_HTTP ? RPC_HTTP : -EPROTO;
}

static void waiting_handle_closed(uv_handle_t *h)
{
    struct waiting *w = h->data;
    if (--w->handles == 0)
        free(w);
}

/* Its descriptor goes to the caller. */
static int waiting_end(struct waiting *w)
{
    list_remove(&w->link);
    w->server->connections--;
    uv_close((uv_handle_t *)&w->poll, waiting_handle_closed);
    uv_close((uv_handle_t *)&w->again, waiting_handle_closed);
    return take_fd(&w->fd);
}

static void hand_over(struct rpc_server *s, int protocol, int fd)
{
    if (protocol == RPC_GRPC)
        grpc_server_take(s, fd);
    else if (protocol == RPC_TTRPC)
        ttrpc_server_take(s, fd);
    else if (protocol == RPC_HTTP && s->http)
        http_server_take(s->http, fd);
    else
        close_fd(&fd);
}

static void first_bytes(uv_poll_t *p, int status, int events);

static void look_again(uv_timer_t *t)
{
    struct waiting *w = t->data;
    uv_poll_start(&w->poll, UV_READABLE, first_bytes);
}

static void first_bytes(uv_poll_t *p, int status, int events)
{
    struct waiting *w = p->data;
    struct rpc_server *s = w->server;
    uint8_t data[4];
    (void)events;
    ssize_t n = status < 0 ? -1 : recv(w->fd, data, sizeof data, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && status >= 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int protocol = n <= 0 ? -ECONNRESET : protocol_of(data, (size_t)n, w->protocols);
    if (protocol == 0) {
        /* what is there stays readable, so polling for the rest would spin */
        uv_poll_stop(&w->poll);
        uv_timer_start(&w->again, look_again, RECHECK_MS, 0);
        return;
    }
    hand_over(s, protocol, waiting_end(w));
}

static size_t waiting_count(const struct rpc_server *s)
{
    size_t n = 0;
    for (const struct list *l = s->waiting.next; l != &s->waiting; l = l->next)
        n++;
    return n;
}

static void make_room(struct rpc_server *s)
{
    struct waiting *oldest = list_first(&s->waiting, struct waiting, link);
    if (oldest && (s->connections >= CONNECTIONS_MAX || waiting_count(s) >= WAITING_MAX)) {
        int fd = waiting_end(oldest);
        close_fd(&fd);
    }
}

static void take(struct listener *l, int fd)
{
    struct rpc_server *s = l->server;
    autoclose int owned = fd;
    make_room(s);
    struct waiting *w = s->connections < CONNECTIONS_MAX ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return;
    if (uv_poll_init(loop_uv(), &w->poll, fd) < 0) {
        free(w);
        return;
    }
    uv_timer_init(loop_uv(), &w->again);
    w->handles = 2;
    w->poll.data = w->again.data = w;
    w->server = s;
    w->fd = take_fd(&owned);
    w->protocols = l->protocols;
    s->connections++;
    list_append(&s->waiting, &w->link);
    uv_poll_start(&w->poll, UV_READABLE, first_bytes);
}

static void refuse_one(struct listener *l)
{
    close_fd(&l->reserve);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    close_fd(&fd);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_ready(uv_poll_t *p, int status, int events)
{
    struct listener *l = p->data;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take(l, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            refuse_one(l);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void listener_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    free(l->path);
    free(l);
}

static int start(struct rpc_server *s, int fd, const char *path, unsigned protocols,
                 struct error *err)
{
    autoclose int owned = fd;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(err, errno, "take over listening descriptor %d", fd);
    struct listener *l = calloc(1, sizeof *l);
    autofree char *copy = path ? strdup(path) : NULL;
    if (!l || (path && !copy)) {
        free(l);
        return fail(err, ENOMEM, "listen");
    }
    int r = uv_poll_init(loop_uv(), &l->poll, fd);
    if (r < 0) {
        free(l);
        return fail(err, r, "listen");
    }
    l->server = s;
    l->fd = take_fd(&owned);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->protocols = protocols;
    l->path = take_ptr(&copy);
    l->poll.data = l;
    list_append(&s->listeners, &l->link);
    uv_poll_start(&l->poll, UV_READABLE, accept_ready);
    return 0;
}

/* Removes a socket that nobody listens at. */
static int clear_place(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail(err, errno, "look at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return fail_plain(err, EEXIST, "'%s' exists and is no socket", path);
    int fd = unix_connect(path);
    if (fd >= 0 || fd == -EAGAIN) {
        close_fd(&fd);
        return fail_plain(err, EADDRINUSE, "another process listens at '%s' already", path);
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return fail(err, errno, "remove the stale socket '%s'", path);
    return 0;
}

int rpc_server_listen(struct rpc_server *s, const char *path, mode_t mode, unsigned protocols,
                      struct error *err)
{
    const char *after = str_after(path, "unix://");
    path = after ? after : path;
    int r = clear_place(path, err);
    if (r < 0)
        return r;
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(err, errno, "make a socket");
    /* nobody may connect before the mode is right */
    mode_t before = umask(0177);
    r = unix_bind(fd, path);
    umask(before);
    if (r < 0)
        return fail(err, r, "bind '%s'", path);
    if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
        return fail(err, errno, "listen at '%s'", path);
    return start(s, take_fd(&fd), path, protocols, err);
}

int rpc_server_listen_fd(struct rpc_server *s, int fd, unsigned protocols, struct error *err)
{
    return start(s, fd, NULL, protocols, err);
}

void listen_close(struct rpc_server *s)
{
    struct listener *l;
    struct waiting *w;
    while ((l = list_first(&s->listeners, struct listener, link))) {
        list_remove(&l->link);
        uv_close((uv_handle_t *)&l->poll, listener_closed);
        close_fd(&l->fd);
        close_fd(&l->reserve);
        if (l->path)
            unlink(l->path);
    }
    while ((w = list_first(&s->waiting, struct waiting, link))) {
        int fd = waiting_end(w);
        close_fd(&fd);
    }
}
