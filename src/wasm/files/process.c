/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: the first writes logs, one hears the supervisor, one drops trees and closes logs, and some serve the worker, as many as are busy and one more,
 * within a bound: a request that waits for a disk holds up nobody else's. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/control.h"
#include "wasm/files/files.h"
#include "wasm/files/logs.h"
#include "wasm/files/request.h"
#include "wasm/files/rest.h"
#include "wasm/files/serve.h"
#include "wasm/files/table.h"

enum { SERVERS_KEPT = 4, SERVERS_MAX = 64, HEAP_STEP = 256 << 10, STACK_SIZE = 128 << 10 };

static struct {
    int listen, requests;
    atomic_uint servers, idle;
} process;

static int start_thread(void *(*fn)(void *arg), const char *name, struct error *err)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
#if !defined(__SANITIZE_ADDRESS__)
    pthread_attr_setstacksize(&attr, STACK_SIZE);
#endif
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attr, fn, NULL);
    pthread_attr_destroy(&attr);
    if (r)
        return fail(err, r, "start a thread of the files process");
    pthread_setname_np(thread, name);
    return 0;
}

static void *control(void *arg)
{
    (void)arg;
    control_run(process.listen);
    return NULL;
}

/* 0 or a positive errno. */
static int send_answer(const struct buffer *answer, int fd)
{
    struct iovec v = {answer->data, answer->len};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    while ((n = sendmsg(process.requests, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    return n < 0 ? errno : 0;
}

/* Too many descriptors are on their way, or memory is out: the answer alone, that says so. */
static void answer_failed(struct buffer *answer, int code)
{
    struct files_answer head;
    memcpy(&head, answer->data, sizeof head);
    head.code = -code;
    head.len = 0;
    memcpy(answer->data, &head, sizeof head);
    answer->len = sizeof head;
    send_answer(answer, -1);
}

static void serve(const void *packet, size_t len, int received, struct buffer *answer)
{
    int fd;
    serve_request(packet, len, received, answer, &fd);
    if (!answer->len)
        return; /* no memory for 16 bytes */
    int e = send_answer(answer, fd);
    if (e == ETOOMANYREFS || e == ENOBUFS || e == ENOMEM)
        answer_failed(answer, e == ETOOMANYREFS ? EMFILE : e);
    close_fd(&fd);
}

static void *serve_worker(void *arg);

/* One more thread where all are busy. */
static void became_busy(void)
{
    if (atomic_fetch_sub(&process.idle, 1) > 1)
        return;
    atomic_fetch_add(&process.idle, 1);
    if (atomic_fetch_add(&process.servers, 1) >= SERVERS_MAX ||
        start_thread(serve_worker, "files", NULL) < 0) {
        atomic_fetch_sub(&process.idle, 1);
        atomic_fetch_sub(&process.servers, 1);
    }
}

/* As recv(), with up to one descriptor; -1 where there is none. More are closed: the room for one is room for two. */
static ssize_t receive(void *packet, int *ret_fd)
{
    struct iovec v = {packet, FILES_PACKET_MAX};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(process.requests, &m, MSG_CMSG_CLOEXEC);
    *ret_fd = -1;
    if (n >= 0)
        fd_received(&m, ret_fd, 1);
    return n;
}

/* Counted as idle by who starts it. */
static void *serve_worker(void *arg)
{
    (void)arg;
    auto(buffer) struct buffer answer = {0};
    autofree uint8_t *packet = malloc(FILES_PACKET_MAX);
    while (packet) {
        autoclose int fd = -1;
        ssize_t n = receive(packet, &fd);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        became_busy();
        serve(packet, (size_t)n, fd, &answer);
        if (atomic_fetch_add(&process.idle, 1) < SERVERS_KEPT)
            continue;
        break; /* there are enough without it */
    }
    atomic_fetch_sub(&process.idle, 1);
    atomic_fetch_sub(&process.servers, 1);
    return NULL;
}

static void *rest(void *arg)
{
    static bool (*const functions[])(void) = {table_rest, logs_rest};
    (void)arg;
    rest_run(functions, ARRAY_SIZE(functions));
    return NULL;
}

int files_run(const struct files_options *options, struct error *err)
{
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 1); /* a heap a thread would be mostly empty */
    mallopt(M_TOP_PAD, HEAP_STEP);
    process.listen = options->listen;
    process.requests = options->requests;
    int r = start_thread(control, "control", err);
    if (!r)
        r = start_thread(rest, "rest", err);
    if (!r) {
        process.idle = process.servers = 1;
        r = start_thread(serve_worker, "files", err);
    }
    return r < 0 ? r : logs_run(options->records, err);
}
