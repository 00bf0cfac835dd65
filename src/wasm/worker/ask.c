/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/disk.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"
#include "wasm/worker/sched.h"

enum { PACKETS = 64 }; /* read at a time */

static struct {
    pthread_mutex_t lock;
    struct sched_watch watch;
    struct place { /* of a request that is under way */
        struct job *job;
        uint32_t turn; /* how often it was taken */
        uint32_t next; /* of the free ones, plus 1 */
    } * places;
    uint32_t count, size, free; /* free: plus 1 */
    struct list unsent;
    uint8_t packet[FILES_PACKET_MAX]; /* control thread */
} ask = {.lock = PTHREAD_MUTEX_INITIALIZER, .unsent = LIST_INIT(ask.unsent)};

/* The lock is held */

static int take_place(struct job *j)
{
    uint32_t at;
    if (ask.free) {
        at = ask.free - 1;
        ask.free = ask.places[at].next;
    } else {
        if (ask.count == ask.size) {
            uint32_t size = ask.size ? 2 * ask.size : 64;
            struct place *places = reallocarray(ask.places, size, sizeof *places);
            if (!places)
                return -ENOMEM;
            ask.places = places;
            ask.size = size;
        }
        at = ask.count++;
        ask.places[at] = (struct place){0};
    }
    ask.places[at].job = j;
    j->tag = (uint64_t)++ask.places[at].turn << 32 | at;
    return 0;
}

/* The request's job, which has its place no more; NULL where the tag is none. */
static struct job *leave_place(uint64_t tag)
{
    uint32_t at = (uint32_t)tag;
    struct job *j = at < ask.count ? ask.places[at].job : NULL;
    if (!j || j->tag != tag)
        return NULL;
    ask.places[at].job = NULL;
    ask.places[at].next = ask.free;
    ask.free = at + 1;
    return j;
}

/* Sends the job's packet with its descriptor, which it has no more then. False: the socket is full. */
static bool send_packet(struct job *j)
{
    struct iovec v = {j->bytes.data, j->bytes.len};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (j->fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        control.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), &j->fd, sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(ask.watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS))
        return false;
    close_fd(&j->fd); /* or the files process has ended */
    return true;
}

static void want_room(bool wanted)
{
    uint32_t events = EPOLLIN | (wanted ? EPOLLOUT : 0);
    if (events != ask.watch.events)
        sched_watch_change(&ask.watch, events);
}

static void send_unsent(void)
{
    for (struct job *j; (j = list_first(&ask.unsent, struct job, link));) {
        if (!send_packet(j))
            break;
        list_remove(&j->link);
    }
    want_room(!list_empty(&ask.unsent));
}

int ask_files(struct guest *g, struct files_request *r)
{
    return ask_files_about(g, r, -1);
}

int ask_files_about(struct guest *g, struct files_request *r, int fd)
{
    autoclose int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && copy < 0)
        return -errno;
    struct job *j = job_new(g);
    if (!j)
        return -ENOMEM;
    j->fd = take_fd(&copy);
    pthread_mutex_lock(&ask.lock);
    int e = take_place(j);
    if (!e) {
        r->tag = j->tag;
        r->container = r->op == FILES_STDIO ? g->wasi.console.files : g->wasi.files;
        e = files_put_request(&j->bytes, r);
        if (e < 0)
            leave_place(j->tag);
    }
    if (!e && (!list_empty(&ask.unsent) || !send_packet(j))) {
        list_append(&ask.unsent, &j->link);
        want_room(true);
    }
    pthread_mutex_unlock(&ask.lock);
    if (e < 0) {
        g->job = NULL;
        job_free(j);
    }
    return e;
}

/* Control thread */

static void answered(size_t len, int fd, bool truncated)
{
    struct files_answer a;
    struct job *j = NULL;
    if (len >= sizeof a) {
        memcpy(&a, ask.packet, sizeof a);
        pthread_mutex_lock(&ask.lock);
        j = leave_place(a.tag);
        pthread_mutex_unlock(&ask.lock);
    }
    if (!j) {
        close_fd(&fd);
        return;
    }
    buffer_clear(&j->bytes);
    j->code = a.len != len - sizeof a ? -EIO : truncated ? -EMFILE : a.code;
    j->fd = fd;
    if (buffer_append(&j->bytes, ask.packet + sizeof a, len - sizeof a) < 0)
        j->code = -ENOMEM;
    if (job_end(j))
        return;
    if (j->fd >= 0) /* came too late */
        disk_close(take_fd(&j->fd));
    job_free(j);
}

/* False: nothing is there. */
static bool receive(void)
{
    struct iovec v = {ask.packet, sizeof ask.packet};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(ask.watch.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) { /* without it there is no log and no file: the supervisor sees our end */
        diag_error("the files process has ended");
        _exit(1);
    }
    int fd = -1;
    fd_received(&m, &fd, 1);
    answered((size_t)n, fd, m.msg_flags & MSG_CTRUNC);
    return true;
}

static void ready(struct sched_watch *w, uint32_t events)
{
    (void)w;
    for (unsigned i = 0; events & ~(uint32_t)EPOLLOUT && i < PACKETS && receive(); i++)
        ;
    if (events & EPOLLOUT) {
        pthread_mutex_lock(&ask.lock);
        send_unsent();
        pthread_mutex_unlock(&ask.lock);
    }
}

int ask_init(int fd, struct error *err)
{
    ask.watch = (struct sched_watch){.ready = ready, .fd = fd, .events = EPOLLIN};
    int r = sched_watch_add(&ask.watch);
    return r < 0 ? fail(err, r, "listen to the files process") : 0;
}
