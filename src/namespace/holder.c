/* SPDX-License-Identifier: Apache-2.0 */
#include "namespace/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"

enum { CALL_MAX_S = 60, BACKLOG = 64, HIGH_FD = 16 };

struct holder {
    const struct holder_observer *observer;
    void *arg;
    uv_poll_t poll;
    int socket;
    pid_t pid;
    uint64_t serial;
    struct buffer in, out;
    struct list calls; /* struct call.link */
    bool closing;
};

struct call { /* on the stack of who waits */
    uint64_t serial;
    struct co *co;
    int code; /* 1: not answered yet */
    struct buffer *ret;
    struct error *err;
    struct list link;
};

pid_t holder_pid(const struct holder *h)
{
    return h->pid;
}

void holder_observe(struct holder *h, const struct holder_observer *observer, void *arg)
{
    h->observer = observer;
    h->arg = arg;
}

void holder_set_pid(struct holder *h, pid_t pid)
{
    h->pid = pid;
}

/* The end */

static void closed(uv_handle_t *handle)
{
    struct holder *h = handle->data;
    close_fd(&h->socket);
    buffer_done(&h->in);
    buffer_done(&h->out);
    free(h);
}

static void answer_all(struct holder *h, int code, const char *message)
{
    for (struct call *c; (c = list_first(&h->calls, struct call, link));) {
        list_remove(&c->link);
        c->code = fail_plain(c->err, code, "%s", message);
        co_wake(c->co);
    }
}

void holder_free(struct holder *h)
{
    if (!h || h->closing)
        return;
    h->closing = true;
    answer_all(h, ENOTCONN, "the pod's keeper is not asked any more");
    uv_close((uv_handle_t *)&h->poll, closed);
}

static void gone(struct holder *h)
{
    if (h->closing)
        return;
    h->closing = true;
    answer_all(h, ECONNRESET, "the pod's keeper has ended");
    h->observer->gone(h->arg);
    uv_close((uv_handle_t *)&h->poll, closed);
}

/* Hearing */

static void answered(struct holder *h, uint64_t serial, struct wire_reader *p)
{
    struct call *c, *found = NULL;
    list_each(c, &h->calls, link) if (c->serial == serial) found = c;
    if (!found) /* who asked has gone */
        return;
    int code = (int)wire_u32(p);
    const char *message = wire_str(p);
    list_remove(&found->link);
    if (code < 0)
        found->code = fail_plain(found->err, code, "%s", message);
    else if (p->bad || (found->ret && p->end > p->at &&
                        buffer_append(found->ret, p->at, (size_t)(p->end - p->at)) < 0))
        found->code = fail_plain(found->err, EPROTO, "the keeper's answer cannot be read");
    else
        found->code = 0;
    co_wake(found->co);
}

static void heard(struct holder *h, const struct wire_header *head, struct wire_reader *p)
{
    if (head->type == WIRE_REPLY) {
        answered(h, head->serial, p);
    } else if (head->type == WIRE_EXITED) {
        const char *id = wire_str(p), *exec_id = wire_str(p);
        uint32_t status = wire_u32(p);
        int64_t exited_ns = wire_i64(p);
        bool oom = wire_u32(p) != 0;
        const char *message = wire_str(p);
        if (!p->bad)
            h->observer->exited(h->arg, id, exec_id, status, exited_ns, oom, message);
    } else if (head->type == WIRE_PROCESS) {
        struct wire_process process;
        wire_process(p, &process);
        if (!p->bad && h->observer->process)
            h->observer->process(h->arg, &process);
    } else if (head->type == WIRE_NOTE) {
        diag_warning("keeper %d: %s", (int)h->pid, wire_str(p));
    }
}

static void set_events(struct holder *h);

static void readable(struct holder *h)
{
    struct wire_header head;
    struct wire_reader p;
    int n = wire_receive(&h->in, h->socket);
    if (n == -EAGAIN)
        return;
    int r = 0;
    while (n > 0 && !h->closing && (r = wire_next(&h->in, &head, &p)) > 0) {
        heard(h, &head, &p);
        wire_next_done(&h->in, &head);
    }
    if (n <= 0 || r < 0)
        gone(h);
}

static void polled(uv_poll_t *poll, int status, int events)
{
    struct holder *h = poll->data;
    if (h->closing)
        return;
    if (status >= 0 && events & UV_WRITABLE) {
        if (wire_send(&h->out, h->socket) < 0) {
            gone(h);
            return;
        }
        set_events(h);
    }
    if (status < 0 || events & UV_READABLE)
        readable(h);
}

static void set_events(struct holder *h)
{
    uv_poll_start(&h->poll, UV_READABLE | (h->out.len ? UV_WRITABLE : 0), polled);
}

/* Asking */

int holder_call(struct holder *h, enum wire_type type, const struct buffer *payload,
                struct buffer *ret, struct error *err)
{
    if (!h || h->closing)
        return fail_plain(err, ECONNRESET, "the pod's keeper has ended");
    struct call c = {.serial = ++h->serial, .co = co_self(), .code = 1, .ret = ret, .err = err};
    int r = wire_frame(&h->out, type, c.serial, payload);
    if (r < 0)
        return fail(err, r, "ask the pod's keeper");
    list_init(&c.link);
    list_append(&h->calls, &c.link);
    if (wire_send(&h->out, h->socket) == 0 && h->out.len)
        set_events(h); /* a socket that is broken is found so by its reader */
    int64_t deadline = clock_mono_ns() + CALL_MAX_S * NSEC_PER_SEC;
    while (c.code == 1) {
        if (co_park_until(deadline))
            continue;
        if (c.code != 1)
            break;
        list_remove(&c.link);
        return fail_plain(err, ETIMEDOUT, "the pod's keeper did not answer for %d s", CALL_MAX_S);
    }
    return c.code;
}

/* The beginning */

static int holder_new(int socket, pid_t pid, const struct holder_observer *observer, void *arg,
                      struct holder **ret, struct error *err)
{
    struct holder *h = calloc(1, sizeof *h);
    if (!h)
        return fail(err, ENOMEM, "hold a keeper");
    *h = (struct holder){.observer = observer, .arg = arg, .socket = socket, .pid = pid};
    list_init(&h->calls);
    h->poll.data = h;
    int r = uv_poll_init(loop_uv(), &h->poll, socket);
    if (r < 0) {
        free(h);
        return fail(err, r, "watch a keeper's socket");
    }
    set_events(h);
    *ret = h;
    return 0;
}

static void address_of(int dir, const char *name, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", dir, name);
}

/* Above what the child's descriptors are put at. */
static int raise_fd(int fd)
{
    if (fd < 0)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    int saved = errno;
    close(fd);
    errno = saved;
    return high;
}

static int listen_at(int dir, const char *name, struct error *err)
{
    struct sockaddr_un address;
    address_of(dir, name, &address);
    int fd = raise_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int r = fail(err, errno, "make the keeper's socket '%s'", name);
    if (fd >= 0)
        close(fd);
    return r;
}

static int spawn(int program, int control, int listener, const char *id, pid_t *ret,
                 struct error *err)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    posix_spawn_file_actions_adddup2(&actions, control, 3);
    posix_spawn_file_actions_adddup2(&actions, listener, 4);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    char *argv[] = {(char *)"warren-keeper", (char *)(uintptr_t)id, NULL}, *envp[] = {NULL};
    int r = posix_spawn(ret, path, &actions, &attributes, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r ? fail(err, r, "start warren-keeper") : 0;
}

int holder_spawn(int dir, int program, const char *id, const struct holder_observer *observer,
                 void *arg, struct holder **ret, struct error *err)
{
    autofree char *name = NULL;
    int r = holder_name(id, &name, err), ends[2];
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return fail(err, errno, "make a socket");
    autoclose int ours = ends[0];
    autoclose int theirs = raise_fd(ends[1]);
    if (theirs < 0)
        return fail(err, errno, "make a socket");
    autoclose int listener = listen_at(dir, name, err);
    if (listener < 0)
        return listener;
    pid_t pid = 0;
    r = spawn(program, theirs, listener, id, &pid, err);
    if (!r)
        r = holder_new(ours, pid, observer, arg, ret, err);
    if (r < 0)
        unlinkat(dir, name, 0);
    else
        take_fd(&ours);
    return r;
}

int holder_connect(int dir, const char *name, const struct holder_observer *observer, void *arg,
                   struct holder **ret, struct error *err)
{
    struct sockaddr_un address;
    address_of(dir, name, &address);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return fail(err, errno, "connect to the keeper at '%s'", name);
    int r = holder_new(fd, 0, observer, arg, ret, err);
    if (r < 0)
        return r;
    take_fd(&fd);
    return buffer_append(&(*ret)->out, WIRE_MAGIC, WIRE_MAGIC_LEN) < 0 ? fail(err, ENOMEM, "greet")
                                                                       : 0;
}
