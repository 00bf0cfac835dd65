/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/outbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

enum { GATHER = 32 << 10, KEPT = 256 << 10, DRAIN_MS = 1000, WAKE_MAX = 64 };

static struct {
    pthread_mutex_t lock;
    struct sched_watch watch; /* the files process */
    bool sending;             /* somebody does, without the lock */
    bool full;                /* the socket: the control thread waits for room */
    struct buffer gathered;   /* behind the batch */
    struct buffer batch;      /* of who sends */
    size_t offset;            /* in the batch: what is sent of it */
    uint64_t end;             /* position behind what is gathered */
    uint64_t sent;            /* position */
    uint64_t written;         /* as the files process says */
    uint8_t partial[8];       /* of its next word */
    size_t partial_len;
    struct list waiting;
    void (*acknowledged)(void);
} box = {.lock = PTHREAD_MUTEX_INITIALIZER, .waiting = LIST_INIT(box.waiting)};

/* The lock is held */

static void want_room(bool wanted)
{
    uint32_t events = EPOLLIN | (wanted ? EPOLLOUT : 0);
    box.full = wanted;
    if (events != box.watch.events)
        sched_watch_change(&box.watch, events);
}

static void next_batch(void)
{
    struct buffer empty = box.batch;
    if (empty.size > KEPT)
        buffer_done(&empty);
    buffer_clear(&empty);
    box.batch = box.gathered;
    box.gathered = empty;
    box.offset = 0;
}

/* Without the lock meanwhile: a thread that sends is often preempted by who receives. */
static void send_once(void)
{
    box.sending = true;
    if (box.offset == box.batch.len)
        next_batch();
    pthread_mutex_unlock(&box.lock);
    ssize_t n = send(box.watch.fd, box.batch.data + box.offset, box.batch.len - box.offset,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    int e = errno;
    pthread_mutex_lock(&box.lock);
    box.sending = false;
    if (n > 0) {
        box.offset += (size_t)n;
        box.sent += (uint64_t)n;
    } else if (n < 0 && e != EINTR) {
        want_room(true);
    }
}

/* Where it waits, a position that is on its way sends it; where somebody sends, he does. */
static void send_soon(void)
{
    while (!box.sending && !box.full && box.sent < box.end &&
           (box.end - box.sent >= GATHER || box.sent - box.written < RECORD_STEP))
        send_once();
}

static int put(struct outbox *o, uint64_t container, enum record_kind kind, const void *data,
               size_t len)
{
    struct record r = {
        .container = container, .wall_ns = clock_wall_ns(), .len = (uint32_t)len, .kind = kind};
    if (buffer_reserve(&box.gathered, sizeof r + len) < 0)
        return -ENOMEM;
    buffer_append(&box.gathered, &r, sizeof r);
    buffer_append(&box.gathered, data, len);
    box.end += sizeof r + len;
    uint8_t bit = (uint8_t)(1U << kind);
    bool line_ends = len && ((const char *)data)[len - 1] == '\n';
    if (kind != RECORD_END)
        o->unended = (uint8_t)(line_ends ? o->unended & ~bit : o->unended | bit);
    if (kind != RECORD_END || o->unended) /* else all of it is there without its end */
        o->end = box.end;
    return 0;
}

/* How much the guest may write; 0: until the position waits_for is written. */
static size_t room_of(struct outbox *o)
{
    enum { HALF = OUTBOX_AHEAD / 2 };
    if (o->end <= box.written)
        o->half = 0;
    uint64_t most =
        o->half < OUTBOX_LITTLE && o->half_end <= box.written ? OUTBOX_MAX : OUTBOX_BUSY;
    if (box.end - box.written > most) {
        o->waits_for = box.end - most / 2;
        return 0;
    }
    if (o->half >= HALF) {
        if (o->half_end > box.written) {
            o->waits_for = o->half_end;
            return 0;
        }
        o->half_end = o->end;
        o->half = 0;
    }
    return HALF - o->half;
}

ssize_t outbox_write(struct outbox *o, uint64_t container, enum record_kind kind, const void *data,
                     size_t len)
{
    pthread_mutex_lock(&box.lock);
    size_t room = room_of(o);
    len = len < room ? len : room;
    ssize_t r = len ? put(o, container, kind, data, len) : -EAGAIN;
    if (r == -EAGAIN) {
        list_remove(&o->link);
        list_append(&box.waiting, &o->link);
    } else if (!r) {
        o->half += (uint32_t)len;
        r = (ssize_t)len;
    }
    send_soon();
    pthread_mutex_unlock(&box.lock);
    return r;
}

void outbox_force(struct outbox *o, uint64_t container, enum record_kind kind, const void *data,
                  size_t len)
{
    pthread_mutex_lock(&box.lock);
    put(o, container, kind, data, len < RECORD_MAX ? len : RECORD_MAX);
    send_soon();
    pthread_mutex_unlock(&box.lock);
}

void outbox_begin(struct outbox *o, struct guest *g)
{
    *o = (struct outbox){.guest = g};
    list_init(&o->link);
}

void outbox_end(struct outbox *o, uint64_t container)
{
    pthread_mutex_lock(&box.lock);
    list_remove(&o->link);
    if (o->end)
        put(o, container, RECORD_END, NULL, 0);
    send_soon();
    pthread_mutex_unlock(&box.lock);
}

bool outbox_written(const struct outbox *o)
{
    pthread_mutex_lock(&box.lock);
    bool written = o->end <= box.written;
    pthread_mutex_unlock(&box.lock);
    return written;
}

void outbox_drain(void)
{
    int64_t until = clock_mono_ns() + DRAIN_MS * NSEC_PER_MSEC;
    struct pollfd p = {.fd = box.watch.fd, .events = POLLOUT};
    pthread_mutex_lock(&box.lock);
    while (box.sent < box.end && clock_mono_ns() < until) {
        if (box.full)
            poll(&p, 1, DRAIN_MS / 10);
        box.full = false;
        send_once();
    }
    pthread_mutex_unlock(&box.lock);
}

/* Control thread */

/* Those whose position is written, off the list. */
static unsigned take_waiting(struct guest *ret[WAKE_MAX])
{
    struct outbox *o;
    unsigned n = 0;
    pthread_mutex_lock(&box.lock);
    list_each(o, &box.waiting, link)
    {
        if (o->waits_for > box.written)
            continue;
        list_remove(&o->link);
        ret[n++] = o->guest;
        if (n == WAKE_MAX)
            break;
    }
    pthread_mutex_unlock(&box.lock);
    return n;
}

static void wake_waiting(void)
{
    struct guest *guests[WAKE_MAX];
    unsigned n;
    do {
        n = take_waiting(guests);
        for (unsigned i = 0; i < n; i++)
            sched_wake(guests[i]); /* this thread alone frees them */
    } while (n == WAKE_MAX);
}

static void take_word(const uint8_t *bytes)
{
    uint64_t position;
    memcpy(&position, bytes, sizeof position);
    if (position > box.written && position <= box.end)
        box.written = position;
}

static void take_positions(const uint8_t *bytes, size_t len)
{
    pthread_mutex_lock(&box.lock);
    for (size_t i = 0; i < len; i++) {
        box.partial[box.partial_len++] = bytes[i];
        if (box.partial_len == sizeof box.partial) {
            take_word(box.partial);
            box.partial_len = 0;
        }
    }
    send_soon();
    pthread_mutex_unlock(&box.lock);
}

static void ready(struct sched_watch *w, uint32_t events)
{
    uint8_t bytes[512];
    if (events & EPOLLOUT) {
        pthread_mutex_lock(&box.lock);
        want_room(false);
        send_soon();
        pthread_mutex_unlock(&box.lock);
    }
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        diag_error("the files process has ended");
        _exit(1);
    }
    take_positions(bytes, (size_t)n);
    wake_waiting();
    box.acknowledged();
}

int outbox_init(int fd, void (*acknowledged)(void), struct error *err)
{
    box.acknowledged = acknowledged;
    box.watch = (struct sched_watch){.ready = ready, .fd = fd, .events = EPOLLIN};
    int r = sched_watch_add(&box.watch);
    return r < 0 ? fail(err, r, "join the files process") : 0;
}
