/* SPDX-License-Identifier: Apache-2.0 */
/* An exec's output comes through two FIFOs, which the holder of the process writes to. The engine
 * keeps a write end of its own until the process has ended, so that a holder that opens late, or
 * twice, does not end the stream. */
#include "engine/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/describe.h"
#include "engine/leftover.h"

enum {
    READ_SIZE = 64 * 1024,
    KILL_S = 10,
    /* a child that the process left behind may hold its output open for ever */
    QUIET_MS = 500,
};

void exec_ended(struct exec *x, int exit_code)
{
    if (x->exited)
        return;
    x->exited = true;
    x->exit_code = exit_code;
    co_wake(x->co);
}

void exec_lost(struct exec *x)
{
    x->lost = true;
    co_wake(x->co);
}

/* Streams */

struct stream {
    char *path;
    int in, keep; /* -1: at its end; closed */
    struct buffer *to;
};

static void stream_done(struct stream *s)
{
    close_fd(&s->in);
    close_fd(&s->keep);
    if (s->path)
        unlink(s->path);
    free(s->path);
}

static void cleanup_streams(struct stream (*both)[2])
{
    stream_done(&(*both)[0]);
    stream_done(&(*both)[1]);
}

static void cleanup_packed(struct packed *p)
{
    free(p->data);
}

static int stream_open(struct stream *s, struct engine *e, const char *id, const char *name,
                       struct buffer *to, struct error *err)
{
    s->to = to;
    s->path = str_format("%s/exec/%.16s.%s", e->exec_root, id, name);
    if (!s->path)
        return fail(err, ENOMEM, "make a FIFO");
    if (mkfifo(s->path, 0600) < 0) {
        int code = errno;
        fail(err, code, "make the FIFO '%s'", s->path);
        free(take_ptr(&s->path));
        return -code;
    }
    s->in = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (s->in >= 0)
        s->keep = open(s->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return s->keep < 0 ? fail(err, errno, "open the FIFO '%s'", s->path) : 0;
}

/* What is there now. What is over the limit is read and dropped, so that the process is not held
 * up. True where something came. */
static bool stream_read(struct stream *s)
{
    bool any = false;
    autofree uint8_t *data = malloc(READ_SIZE);
    for (int turns = 0; data && s->in >= 0 && turns < 16; turns++) {
        ssize_t n = read(s->in, data, READ_SIZE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            close_fd(&s->in);
            break;
        }
        any = true;
        size_t room = EXEC_OUTPUT_MAX - s->to->len;
        if (buffer_append(s->to, data, (size_t)n < room ? (size_t)n : room) < 0)
            break;
    }
    return any;
}

/* The wait */

/* True where something came from either. */
static bool wait_streams(struct stream *streams, int64_t deadline)
{
    struct co_fd fds[2];
    size_t n = 0;
    for (int i = 0; i < 2; i++)
        if (streams[i].in >= 0)
            fds[n++] = (struct co_fd){.fd = streams[i].in, .events = UV_READABLE};
    co_wait_fds(fds, n, deadline);
    bool first = stream_read(&streams[0]);
    return stream_read(&streams[1]) || first;
}

/* Reads until the process has ended; -ETIMEDOUT at the deadline. */
static int await_exit(struct exec *x, struct stream *streams, int64_t deadline, struct error *err)
{
    while (!x->exited && !x->lost) {
        if (clock_mono_ns() >= deadline)
            return fail_plain(err, ETIMEDOUT, "the command has not ended in time");
        wait_streams(streams, deadline);
    }
    return x->exited ? 0
                     : fail_plain(err, EIO, "the command's sandboxer has ended, and it with it");
}

static void drain(struct stream *streams)
{
    close_fd(&streams[0].keep);
    close_fd(&streams[1].keep);
    int64_t hard = clock_mono_ns() + KILL_S * NSEC_PER_SEC;
    int64_t quiet = clock_mono_ns() + QUIET_MS * NSEC_PER_MSEC;
    while (streams[0].in >= 0 || streams[1].in >= 0) {
        int64_t now = clock_mono_ns();
        if (now >= quiet || now >= hard)
            return;
        if (wait_streams(streams, quiet))
            quiet = clock_mono_ns() + QUIET_MS * NSEC_PER_MSEC;
    }
}

/* Exec_sync */

struct session {
    struct engine *engine;
    struct exec exec;
    char sandbox_id[ID_LEN + 1];
    bool asked, forgotten;
};

/* Whatever happened, the sandboxer forgets it and no report finds it any more. */
static void session_done(struct session *s)
{
    struct exec *x = &s->exec;
    if (!x->id[0])
        return;
    if (s->asked) {
        struct peer *peer = x->peer->peer;
        int r = x->exited || !x->lost ? peer->ops->remove(peer, x->container_id, x->id, NULL, NULL)
                                      : -ENOTCONN;
        s->forgotten = r == 0 || r == -ENOENT;
    }
    map_remove(&s->engine->execs, x->id);
    if (s->asked && !s->forgotten)
        leftover_exec(x->peer, s->sandbox_id, x->container_id, x->id);
}
CLEANUP_DONE(session, struct session);

static int run(struct session *s, const struct packed *process, struct stream *streams,
               int64_t timeout_s, struct error *err)
{
    struct exec *x = &s->exec;
    struct peer *peer = x->peer->peer;
    struct peer_container request = {.id = x->container_id,
                                     .exec_id = x->id,
                                     .sandbox_id = s->sandbox_id,
                                     .spec = (const char *)process->data,
                                     .spec_len = process->len,
                                     .stdin_ = "",
                                     .stdout_ = streams[0].path,
                                     .stderr_ = streams[1].path};
    pid_t pid;
    s->asked = true;
    int r = peer->ops->create(peer, &request, &pid, err);
    if (r == 0)
        r = peer->ops->start(peer, x->container_id, x->id, &pid, err);
    x->epoch = x->peer->epoch;
    x->asking = false;
    if (r < 0)
        return r;
    int64_t deadline = timeout_s > 0 && timeout_s < INT64_MAX / NSEC_PER_SEC / 4
                           ? clock_mono_ns() + timeout_s * NSEC_PER_SEC
                           : INT64_MAX;
    r = await_exit(x, streams, deadline, err);
    if (r == -ETIMEDOUT) {
        peer->ops->kill(peer, x->container_id, x->id, SIGKILL, false, NULL);
        await_exit(x, streams, clock_mono_ns() + KILL_S * NSEC_PER_SEC, NULL);
        fail_plain(err, ETIMEDOUT, "the command has not ended within %lld s and was killed",
                   (long long)timeout_s);
    }
    if (x->exited)
        drain(streams);
    return r;
}

static int session_open(struct session *s, struct engine *e, const char *id, char *const *argv,
                        struct packed *process, struct error *err)
{
    struct error why = {0};
    struct container_record *c = container_lookup(e, id, &why);
    if (!c)
        return fail_with(err, &why);
    auto(container_ref) struct container_record *held = container_record_ref(c);
    int r = peer_wait(record_pod(c)->handler, err);
    if (r < 0)
        return r;
    if (c->container.state != CONTAINER_RUNNING || c->removing || c->gone)
        return fail_plain(err, EINVAL, "container %s is not running", c->container.id);
    r = describe_exec(e, c, argv, process, err);
    if (r < 0)
        return r;
    char exec_id[ID_LEN + 1];
    id_new(exec_id);
    s->engine = e;
    s->exec.peer = pod_peer(record_pod(c));
    s->exec.co = co_self();
    s->exec.asking = true;
    memcpy(s->exec.container_id, c->container.id, ID_LEN + 1);
    memcpy(s->sandbox_id, record_pod(c)->pod.id, ID_LEN + 1);
    memcpy(s->exec.id, exec_id, ID_LEN + 1);
    if (map_add(&e->execs, s->exec.id, &s->exec) < 0) {
        s->exec.id[0] = 0;
        return fail(err, ENOMEM, "keep the exec");
    }
    return 0;
}

int engine_exec_sync(struct engine *e, const char *id, char *const *argv, int64_t timeout_s,
                     struct exec_result *ret, struct error *err)
{
    if (!argv || !argv[0])
        return fail_plain(err, EINVAL, "no command to execute");
    auto(buffer) struct buffer out = {0};
    auto(buffer) struct buffer errors = {0};
    auto(packed) struct packed process = {0};
    auto(streams) struct stream streams[2] = {{.in = -1, .keep = -1}, {.in = -1, .keep = -1}};
    auto(session) struct session s = {0};
    int r = session_open(&s, e, id, argv, &process, err);
    if (r == 0)
        r = stream_open(&streams[0], e, s.exec.id, "out", &out, err);
    if (r == 0)
        r = stream_open(&streams[1], e, s.exec.id, "err", &errors, err);
    if (r == 0)
        r = run(&s, &process, streams, timeout_s, err);
    if (r < 0)
        return fail_in(err, r, "execute '%.128s' in container %.128s", argv[0], id);
    ret->out = out;
    ret->err = errors;
    out = errors = (struct buffer){0};
    ret->exit_code = s.exec.exit_code;
    return 0;
}
