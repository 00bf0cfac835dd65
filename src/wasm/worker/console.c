/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/sched.h"

struct attachment {
    struct sched_watch watch; /* first: freed as it */
    struct attachment *next;
    struct console *console;
    struct buffer backlog;
    bool streams[3];
};

/* Guards every console's list and what is in it: attaching is rare. */
static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_fifo_path(const char *address)
{
    return address[0] == '/';
}

static int open_fifo(const char *path, bool reads, int *ret, struct error *err)
{
    int fd = open(path, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO) /* no reader yet: hold both ends, as shims do */
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail(err, errno, "open '%s' for the container's %s", path,
                    reads ? "input" : "output");
    *ret = fd;
    return 0;
}

int console_init(struct console *c, const char *in, const char *out, const char *err_,
                 struct error *err)
{
    *c = (struct console){.fifo = {-1, -1, -1}, .log = {.fd = -1}};
    const char *addresses[] = {in, out, err_};
    struct log_target target = {0};
    int r = 0;
    for (int i = 0; !r && i < 3; i++)
        if (is_fifo_path(addresses[i]))
            r = open_fifo(addresses[i], i == 0, &c->fifo[i], err);
    if (!r && *out && !is_fifo_path(out)) {
        r = log_target_parse(out, &target, err);
        if (!r && target.format != LOG_NONE)
            r = log_writer_init(&c->log, &target, err);
    }
    if (r < 0)
        console_done(c);
    return r;
}

static void detach(struct attachment *a)
{
    struct attachment **at = &a->console->attached;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    sched_watch_remove(&a->watch);
    close_fd(&a->watch.fd);
    buffer_done(&a->backlog);
    sched_free_later(a);
}

void console_hang_up(struct console *c)
{
    pthread_mutex_lock(&attach_lock);
    while (c->attached)
        detach(c->attached);
    pthread_mutex_unlock(&attach_lock);
}

void console_done(struct console *c)
{
    console_hang_up(c);
    for (int i = 0; i < 3; i++)
        close_fd(&c->fifo[i]);
    if (c->log.target.format != LOG_NONE)
        log_writer_done(&c->log);
    c->log = (struct log_writer){.fd = -1};
}

/* Sends what is waiting; false where the reader is gone. */
static bool send_backlog(struct attachment *a)
{
    while (a->backlog.len) {
        ssize_t n = send(a->watch.fd, a->backlog.data, a->backlog.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        buffer_consume(&a->backlog, (size_t)n);
    }
    if (a->backlog.len && errno != EAGAIN)
        return false;
    uint32_t events = EPOLLIN | EPOLLRDHUP | (a->backlog.len ? EPOLLOUT : 0);
    if (events != a->watch.events)
        sched_watch_change(&a->watch, events);
    return true;
}

static void to_attached(struct console *c, int fd, const void *data, size_t len)
{
    pthread_mutex_lock(&attach_lock);
    for (struct attachment *a = c->attached, *next; a; a = next) {
        next = a->next;
        if (!a->streams[fd])
            continue;
        uint8_t head[8] = {
            (uint8_t)fd,         0,           0, 0, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
            (uint8_t)(len >> 8), (uint8_t)len};
        if (a->backlog.len > ATTACH_BACKLOG || buffer_append(&a->backlog, head, 8) < 0 ||
            buffer_append(&a->backlog, data, len) < 0 || !send_backlog(a))
            detach(a);
    }
    pthread_mutex_unlock(&attach_lock);
}

ssize_t console_write(struct console *c, int fd, const void *data, size_t len)
{
    if (c->fifo[fd] >= 0) {
        ssize_t n = write(c->fifo[fd], data, len);
        if (n < 0)
            return -errno;
        len = (size_t)n;
    } else if (c->log.target.format != LOG_NONE) {
        struct error err = {0};
        if (log_writer_write(&c->log, fd == 1 ? LOG_STDOUT : LOG_STDERR, data, len, clock_wall_ns(),
                             &err) < 0)
            diag_warning("%s", err.message); /* the program goes on: its log is not its business */
    }
    if (__atomic_load_n(&c->attached, __ATOMIC_RELAXED))
        to_attached(c, fd, data, len);
    return (ssize_t)len;
}

ssize_t console_read(struct console *c, void *data, size_t len)
{
    if (c->fifo[0] < 0 || c->in_closed)
        return 0;
    ssize_t n = read(c->fifo[0], data, len);
    if (n < 0)
        return -errno;
    /* nothing, and no writer ever came: not the end yet (fifo(7) has HUP only after one has left) */
    struct pollfd p = {.fd = c->fifo[0], .events = POLLIN};
    if (n == 0 && len && poll(&p, 1, 0) == 0)
        return -EAGAIN;
    return n;
}

void console_rest(struct console *c)
{
    if (c->log.target.format != LOG_NONE)
        log_writer_rest(&c->log);
}

void console_flush(struct console *c)
{
    if (c->log.target.format != LOG_NONE)
        log_writer_flush(&c->log, clock_wall_ns(), NULL);
    for (int i = 0; i < 3; i++)
        close_fd(&c->fifo[i]);
}

static void attachment_ready(struct sched_watch *w, uint32_t events)
{
    struct attachment *a = container_of(w, struct attachment, watch);
    char ignored[256];
    pthread_mutex_lock(&attach_lock);
    if (w->fd < 0) { /* let go by a writer meanwhile */
        pthread_mutex_unlock(&attach_lock);
        return;
    }
    bool gone = events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP);
    if (!gone && events & EPOLLIN)
        gone = recv(w->fd, ignored, sizeof ignored, MSG_DONTWAIT) == 0;
    if (gone || !send_backlog(a))
        detach(a);
    pthread_mutex_unlock(&attach_lock);
}

int console_attach(struct console *c, int fd, bool out, bool err_)
{
    struct attachment *a = calloc(1, sizeof *a);
    if (!a) {
        close(fd);
        return -ENOMEM;
    }
    a->watch =
        (struct sched_watch){.ready = attachment_ready, .fd = fd, .events = EPOLLIN | EPOLLRDHUP};
    a->console = c;
    a->streams[1] = out;
    a->streams[2] = err_;
    pthread_mutex_lock(&attach_lock);
    int r = sched_watch_add(&a->watch);
    if (r < 0) {
        close(fd);
        free(a);
    } else {
        a->next = c->attached;
        __atomic_store_n(&c->attached, a, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&attach_lock);
    return r;
}
