/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: poll_oneoff over clocks and descriptors, sched_yield. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wasi/wasi.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

enum { SUBSCRIPTION = 48, EVENT = 32, SUBSCRIPTIONS_MAX = 4096 };
enum { TAG_CLOCK = 0, TAG_READ = 1, TAG_WRITE = 2 };

struct subscription {
    uint64_t userdata;
    uint8_t tag;
    uint32_t id; /* clock or descriptor */
    uint64_t timeout;
    bool absolute;
};

static struct subscription subscription_at(const uint8_t *p)
{
    struct subscription s = {.tag = p[8]};
    memcpy(&s.userdata, p, 8);
    memcpy(&s.id, p + 16, 4);
    if (s.tag == TAG_CLOCK) {
        memcpy(&s.timeout, p + 24, 8);
        s.absolute = p[40] & 1;
    }
    return s;
}

/* When the subscription is due, on the monotonic clock, which says now. */
static int64_t due(const struct guest *g, const struct subscription *s, int64_t now)
{
    if (s->absolute && s->id == 1)
        return s->timeout > INT64_MAX ? INT64_MAX : (int64_t)s->timeout;
    uint64_t wall = s->absolute ? (uint64_t)clock_wall_ns() : 0;
    uint64_t left = s->timeout > wall ? s->timeout - wall : 0;
    int64_t from = s->absolute ? now : g->wait.since;
    return left > (uint64_t)(INT64_MAX - from) ? INT64_MAX : from + (int64_t)left;
}

struct answer {
    uint8_t *events;
    uint32_t count;
};

static void tell(struct answer *a, const struct subscription *s, uint32_t error, uint64_t bytes,
                 bool hangup)
{
    uint8_t *e = a->events + (size_t)EVENT * a->count++;
    uint16_t error16 = (uint16_t)error, flags = hangup;
    memset(e, 0, EVENT);
    memcpy(e, &s->userdata, 8);
    memcpy(e + 8, &error16, 2);
    e[10] = s->tag;
    memcpy(e + 16, &bytes, 8);
    memcpy(e + 24, &flags, 2);
}

/* The host descriptor that stands for it, or -1 where it is always ready. */
static int host_fd(const struct guest *g, const struct wasi_fd *f, uint32_t id)
{
    if (f->kind == WASI_FD_SOCKET || f->kind == WASI_FD_LISTENER ||
        (f->kind == WASI_FD_FILE && f->waits == WASI_WAITS_FOR_PEER))
        return f->fd;
    if (f->kind != WASI_FD_CONSOLE)
        return -1;
    return g->wasi.console.fifo[id < 3 ? id : 1];
}

/* What is ready of a file that is always so: what is left to read; of the rest no number is known. */
static uint64_t bytes_of(const struct wasi_fd *f, uint8_t tag)
{
    struct stat st;
    if (f->kind != WASI_FD_FILE || tag != TAG_READ || fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 1;
    off_t at = lseek(f->fd, 0, SEEK_CUR);
    return at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
}

static void check_fd(struct wasi_call *c, const struct subscription *s, struct answer *a)
{
    uint32_t error;
    struct wasi_fd *f = wasi_fd_get(c, s->id, WASI_FD_FREE, 0, &error);
    if (!f) {
        tell(a, s, error, 0, false);
        return;
    }
    int fd = host_fd(c->guest, f, s->id), bytes = 0;
    if (fd < 0) {
        tell(a, s, WASI_SUCCESS, bytes_of(f, s->tag), false);
        return;
    }
    struct pollfd p = {.fd = fd, .events = s->tag == TAG_READ ? POLLIN : POLLOUT};
    if (poll(&p, 1, 0) <= 0)
        return;
    if (f->kind == WASI_FD_LISTENER)
        bytes = 1; /* somebody to accept */
    else if (s->tag == TAG_READ)
        ioctl(fd, FIONREAD, &bytes);
    tell(a, s, WASI_SUCCESS, (uint64_t)bytes, p.revents & POLLHUP);
}

static uint32_t wait_for(struct wasi_call *c, const uint8_t *in, uint32_t count, int64_t now)
{
    struct guest *g = c->guest;
    uint32_t files = 0;
    for (uint32_t i = 0; i < count; i++)
        files += subscription_at(in + (size_t)SUBSCRIPTION * i).tag != TAG_CLOCK;
    if (files > g->wasi.fd_count)
        files = g->wasi.fd_count; /* each is waited for once */
    uint32_t r = files ? wasi_park_for(g, files) : wasi_park(g);
    for (uint32_t i = 0; r == WASI_PARK && i < count; i++) {
        struct subscription s = subscription_at(in + (size_t)SUBSCRIPTION * i);
        if (s.tag == TAG_CLOCK) {
            int64_t at = due(g, &s, now);
            g->wait.deadline = at < g->wait.deadline ? at : g->wait.deadline;
            continue;
        }
        uint32_t error;
        struct wasi_fd *f = wasi_fd_get(c, s.id, WASI_FD_FREE, 0, &error);
        if (f)
            wasi_watch(g, host_fd(g, f, s.id), s.tag == TAG_READ ? EPOLLIN : EPOLLOUT);
    }
    return r;
}

static uint32_t poll_oneoff(struct wasi_call *c)
{
    uint32_t count = (uint32_t)c->args[2];
    if (!count || count > SUBSCRIPTIONS_MAX)
        return WASI_INVAL;
    const uint8_t *in = wasi_bytes(c, c->args[0], (uint64_t)SUBSCRIPTION * count);
    struct answer a = {.events = wasi_bytes(c, c->args[1], (uint64_t)EVENT * count)};
    if (!in || !a.events || !wasi_bytes(c, c->args[3], 4))
        return WASI_FAULT;
    int64_t now = clock_mono_ns();
    if (!c->resumed)
        c->guest->wait.since = now;
    for (uint32_t i = 0; i < count; i++) {
        struct subscription s = subscription_at(in + (size_t)SUBSCRIPTION * i);
        if (s.tag > TAG_WRITE)
            return WASI_INVAL;
        if (s.tag != TAG_CLOCK)
            check_fd(c, &s, &a);
        else if (s.id > 1)
            tell(&a, &s, WASI_NOTSUP, 0, false);
        else if (due(c->guest, &s, now) <= now)
            tell(&a, &s, WASI_SUCCESS, 0, false);
    }
    return a.count ? wasi_store32(c, c->args[3], a.count) : wait_for(c, in, count, now);
}

/* Parks until now: the others in the queue come first. */
static uint32_t sched_yield_(struct wasi_call *c)
{
    if (c->resumed)
        return WASI_SUCCESS;
    uint32_t r = wasi_park(c->guest);
    c->guest->wait.deadline = 0;
    return r;
}

const struct wasi_entry wasi_poll_entries[] = {
    {.name = "poll_oneoff", .params = "iiii", .fn = poll_oneoff, .parks = true},
    {.name = "sched_yield", .params = "", .fn = sched_yield_, .parks = true},
    {0},
};
