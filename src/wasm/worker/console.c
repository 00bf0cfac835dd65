/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wire_create.h"
#include "wasm/worker/ask.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"
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

void console_init(struct console *c, struct guest *g, uint64_t files, unsigned streams)
{
    *c = (struct console){.files = files, .streams = (uint8_t)streams, .fifo = {-1, -1, -1}};
    outbox_begin(&c->log, g);
}

/* The answer to the request for the next FIFO. The guest goes on without one that cannot be opened: it was there when the
 * container was made. */
static void take_fifo(struct console *c, struct job *j)
{
    if (j->code < 0)
        diag_warning("open FIFO %u of a container: %s", c->opened, strerror((int)-j->code));
    c->fifo[c->opened++] = take_fd(&j->fd);
}

bool console_opened(struct console *c, struct guest *g)
{
    while (c->opened < 3) {
        if (!(c->streams >> c->opened & 1)) {
            c->opened++;
            continue;
        }
        if (g->job) {
            auto(job) struct job *j = job_take(g);
            if (!j)
                return false;
            take_fifo(c, j);
            continue;
        }
        struct files_request r = {.op = FILES_STDIO, .stage = c->opened};
        if (ask_files(g, &r) < 0) {
            c->opened++;
            continue;
        }
        wasi_park(g);
        return false;
    }
    return true;
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

static void close_fifos(struct console *c)
{
    for (int i = 0; i < 3; i++)
        close_fd(&c->fifo[i]);
}

void console_done(struct console *c)
{
    console_hang_up(c);
    close_fifos(c);
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
    ssize_t n = (ssize_t)(len < RECORD_MAX ? len : RECORD_MAX); /* who is attached gets a copy */
    if (c->fifo[fd] >= 0) {
        n = fifo_write(c->fifo[fd], data, len);
    } else if (c->streams & WIRE_LOG) {
        n = outbox_write(&c->log, c->files, fd == 1 ? RECORD_OUT : RECORD_ERR, data, len);
    }
    if (n > 0 && __atomic_load_n(&c->attached, __ATOMIC_RELAXED))
        to_attached(c, fd, data, (size_t)n);
    return n;
}

void console_last_words(struct console *c, const char *text)
{
    auto(buffer) struct buffer line = {0};
    if (buffer_printf(&line, "%s\n", text) < 0)
        return;
    if (c->fifo[2] < 0 && c->streams & WIRE_LOG)
        outbox_force(&c->log, c->files, RECORD_ERR, line.data, line.len);
    else
        console_write(c, 2, line.data, line.len);
}

ssize_t fifo_write(int fd, const void *data, size_t len)
{
    ssize_t n = write(fd, data, len);
    return n < 0 ? -errno : n;
}

ssize_t fifo_read(int fd, void *data, size_t len)
{
    ssize_t n = read(fd, data, len);
    if (n < 0)
        return -errno;
    /* nothing, and no writer ever came: not the end yet (fifo(7) has HUP only after one has left) */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (n == 0 && len && poll(&p, 1, 0) == 0)
        return -EAGAIN;
    return n;
}

ssize_t console_read(struct console *c, void *data, size_t len)
{
    return c->fifo[0] < 0 || c->in_closed ? 0 : fifo_read(c->fifo[0], data, len);
}

void console_end(struct console *c)
{
    outbox_end(&c->log, c->files);
    close_fifos(c);
}

bool console_written(const struct console *c)
{
    return outbox_written(&c->log);
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
