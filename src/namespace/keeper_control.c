/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "namespace/keeper.h"

enum {
    CONTROLS_MAX =
        64, /* connections, those of attaches that have not said their token among them */
    UNSENT_MAX = 32 << 20, /* a sandboxer that reads nothing is let go */
};

struct control {
    struct watch socket;
    struct buffer in;
    struct buffer unsent;
    bool known;  /* has said the magic */
    bool broken; /* closed at the next chance */
    struct list link;
};

static struct list controls = LIST_INIT(controls);
static unsigned control_count;
static struct watch listener_watch = {.fd = -1};
static struct {
    bool initialised, leaving, leave;
    void *record;
    size_t record_len;
    int64_t stopped_ns;
} pod;

static void control_ready(struct watch *w, short revents);

static void control_begin(int fd, bool known)
{
    struct control *c = control_count < CONTROLS_MAX ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    control_count++;
    c->known = known;
    list_init(&c->link);
    list_append(&controls, &c->link);
    watch_begin(&c->socket, fd, POLLIN, control_ready);
}

/* Without a pod to keep and anybody who could give it one, there is nothing to stay for. */
static void leave_if_useless(void)
{
    if (!pod.initialised && list_empty(&controls))
        pod.leave = true;
}

static void control_free(struct control *c)
{
    kept_forget_asker(c);
    list_remove(&c->link);
    control_count--;
    watch_end(&c->socket);
    buffer_done(&c->in);
    buffer_done(&c->unsent);
    free(c);
    leave_if_useless();
}

/* Sending */

static void flush(struct control *c)
{
    if (wire_send(&c->unsent, c->socket.fd) < 0)
        c->broken = true;
    c->socket.events = (short)(POLLIN | (c->unsent.len ? POLLOUT : 0));
}

static void say(struct control *c, enum wire_type type, uint64_t serial,
                const struct buffer *payload)
{
    if (c->broken)
        return;
    if (c->unsent.len > UNSENT_MAX || wire_frame(&c->unsent, type, serial, payload) < 0)
        c->broken = true;
    flush(c);
}

static void reply(struct control *c, uint64_t serial, int code, const char *message,
                  const struct buffer *rest)
{
    auto(buffer) struct buffer b = {0};
    if (wire_put_u32(&b, (uint32_t)code) < 0 || wire_put_str(&b, message) < 0 ||
        (rest && rest->len && buffer_append(&b, rest->data, rest->len) < 0))
        c->broken = true;
    say(c, WIRE_REPLY, serial, &b);
}

void control_reply(struct control *c, uint64_t serial, const struct buffer *payload)
{
    reply(c, serial, 0, "", payload);
}

void control_fail(struct control *c, uint64_t serial, const struct error *err)
{
    reply(c, serial, err->code, err->message, NULL);
}

void control_tell(enum wire_type type, const struct buffer *payload)
{
    struct control *c;
    list_each(c, &controls, link) if (c->known) say(c, type, 0, payload);
}

void control_note(const char *format, ...)
{
    auto(buffer) struct buffer b = {0};
    char text[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    wire_put_str(&b, text);
    control_tell(WIRE_NOTE, &b);
}

/* The requests */

static int serve_init(struct wire_reader *p, struct buffer *out, struct error *err)
{
    if (pod.initialised)
        return fail_plain(err, EEXIST, "the keeper has its pod already");
    uint32_t flags = wire_u32(p);
    const char *hostname = wire_str(p), *netns = wire_str(p);
    size_t record_len, sysctls_len;
    const void *record = wire_bytes(p, &record_len);
    const uint8_t *sysctls = wire_bytes(p, &sysctls_len);
    if (p->bad)
        return fail_plain(err, EPROTO, "a request that cannot be read");
    pod.record = malloc(record_len + 1);
    if (!pod.record)
        return fail(err, ENOMEM, "keep the pod");
    if (record_len)
        memcpy(pod.record, record, record_len);
    pod.record_len = record_len;
    struct wire_reader list = {.at = sysctls, .end = sysctls + sysctls_len};
    pid_t init = 0;
    pod_privileges(true);
    int r = pod_enter(flags, hostname, &list, netns, &init, err);
    pod_privileges(false);
    if (r < 0)
        return r;
    pod.initialised = true;
    return wire_put_u32(out, (uint32_t)init);
}

static int serve_list(struct control *c, struct buffer *out)
{
    struct kept *k;
    list_each(k, &kept_all, link)
    {
        if (k->refused)
            continue;
        auto(buffer) struct buffer b = {0};
        struct wire_process p = {
            .id = k->id,
            .exec_id = k->exec_id,
            .state = k->state ? k->state : WIRE_CREATED,
            .pid = (uint32_t)k->pid,
            .status = k->status,
            .started_ns = k->started_ns,
            .exited_ns = k->exited_ns,
            .oom_killed = k->oom_killed,
            .message = k->message,
            .record = k->record,
            .record_len = k->record_len,
        };
        int r = wire_put_process(&b, &p);
        if (r < 0)
            return r;
        say(c, WIRE_PROCESS, 0, &b);
    }
    int r = wire_put_bytes(out, pod.record, pod.record_len);
    if (r == 0)
        r = wire_put_i64(out, pod.stopped_ns);
    return r < 0 ? r : wire_put_u32(out, (uint32_t)getpid());
}

static int serve_attach(struct kept *k, struct wire_reader *p, struct buffer *out,
                        struct error *err)
{
    char token[WIRE_TOKEN_LEN + 1];
    bool in = wire_u32(p), to_out = wire_u32(p), to_err = wire_u32(p);
    if (k->state == WIRE_STOPPED)
        return fail_plain(err, ESRCH, "process %d has ended", k->pid);
    int r = attach_expect(&k->io, in, to_out, to_err, token, err);
    return r < 0 ? r : wire_put_str(out, token);
}

static int serve_remove(struct kept *k, struct error *err)
{
    if (!k->reaped)
        return fail_plain(err, EBUSY, "'%s' still runs", *k->exec_id ? k->exec_id : k->id);
    kept_free(k);
    return 0;
}

/* What names a process. */
static int serve_process(struct control *c, const struct wire_header *h, struct wire_reader *p,
                         struct buffer *out, struct error *err)
{
    const char *id = wire_str(p), *exec_id = wire_str(p);
    struct kept *k = p->bad ? NULL : kept_find(id, exec_id);
    if (!k)
        return fail_plain(err, ENOENT, "the keeper knows no '%s'", *exec_id ? exec_id : id);
    switch (h->type) {
    case WIRE_START:
        kept_start(k, c, h->serial);
        return 1;
    case WIRE_SIGNAL: {
        int number = (int)wire_u32(p);
        return kept_signal(k, number, wire_u32(p), err);
    }
    case WIRE_REMOVE:
        return serve_remove(k, err);
    case WIRE_RESIZE: {
        uint32_t columns = wire_u32(p);
        return stdio_resize(&k->io, columns, wire_u32(p), err);
    }
    case WIRE_CLOSE_STDIN:
        stdio_close_input(&k->io);
        return 0;
    case WIRE_REOPEN_LOG:
        return stdio_reopen_log(&k->io, err);
    case WIRE_ATTACH:
        return serve_attach(k, p, out, err);
    default:
        return fail_plain(err, EOPNOTSUPP, "a request of type %u is unknown", h->type);
    }
}

/* 1 where the answer comes later. */
static int serve(struct control *c, const struct wire_header *h, struct wire_reader *p,
                 struct buffer *out, struct error *err)
{
    struct wire_create create;
    switch (h->type) {
    case WIRE_INIT:
        return serve_init(p, out, err);
    case WIRE_LIST:
        return serve_list(c, out);
    case WIRE_CREATE:
        wire_create(p, &create);
        if (p->bad)
            return fail_plain(err, EPROTO, "a request that cannot be read");
        if (pod.leaving)
            return fail_plain(err, ESHUTDOWN, "the pod is being removed");
        kept_create(c, h->serial, &create);
        return 1;
    case WIRE_REST:
        pod.stopped_ns = wire_i64(p);
        return 0;
    case WIRE_LEAVE:
        pod.leaving = true;
        return 0;
    default:
        return serve_process(c, h, p, out, err);
    }
}

static void serve_frames(struct control *c)
{
    struct wire_header h;
    struct wire_reader p;
    int n;
    while (!c->broken && (n = wire_next(&c->in, &h, &p)) != 0) {
        if (n < 0) {
            c->broken = true;
            return;
        }
        auto(buffer) struct buffer out = {0};
        struct error err = {0};
        int r = serve(c, &h, &p, &out, &err);
        if (r < 0) {
            if (!err.code)
                fail(&err, r, "answer");
            control_fail(c, h.serial, &err);
        } else if (r == 0) {
            control_reply(c, h.serial, &out);
        }
        wire_next_done(&c->in, &h);
        if (pod.leaving)
            pod.leave = kept_kill_all();
    }
}

/* Who is it that came? */

/* A new connection's first bytes: the magic, or an attach's token. False where there are too few yet. */
static bool recognise(struct control *c)
{
    struct buffer *b = &c->in;
    if (b->len >= WIRE_MAGIC_LEN && memcmp(b->data, WIRE_MAGIC, WIRE_MAGIC_LEN) == 0) {
        buffer_consume(b, WIRE_MAGIC_LEN);
        c->known = true;
        return true;
    }
    uint8_t *newline = memchr(b->data, '\n', b->len);
    if (!newline && b->len <= WIRE_TOKEN_LEN)
        return false;
    c->broken = true;
    if (newline != b->data + WIRE_TOKEN_LEN)
        return false;
    *newline = 0;
    int fd = watch_release(&c->socket);
    struct kept *k;
    list_each(k, &kept_all, link) if (attach_begin(&k->io, (const char *)b->data, fd, newline + 1,
                                                   b->len - WIRE_TOKEN_LEN - 1)) return false;
    close(fd);
    return false;
}

static void control_ready(struct watch *w, short revents)
{
    struct control *c = container_of(w, struct control, socket);
    if (revents & POLLOUT)
        flush(c);
    if (revents & (POLLIN | POLLHUP | POLLERR)) {
        int n = wire_receive(&c->in, w->fd);
        if (n <= 0 && n != -EAGAIN)
            c->broken = true;
        else if (n > 0 && (c->known || recognise(c)))
            serve_frames(c);
    }
    if (c->broken)
        control_free(c);
}

static void listener_ready(struct watch *w, short revents)
{
    (void)revents;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        control_begin(fd, false);
}

static void reap(void)
{
    kept_reap();
    if (pod.leaving)
        pod.leave = kept_kill_all();
}

void control_run(int first, int listener)
{
    control_begin(first, true);
    watch_begin(&listener_watch, listener, POLLIN, listener_ready);
    keeper_loop(&pod.leave, reap);
}
