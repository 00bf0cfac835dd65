/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "namespace/keeper.h"

enum {
    CHUNK = 16 * 1024,
    TURN_MAX = 4,   /* chunks that one output may take before the others get their turn */
    DRAIN_MAX = 80, /* chunks: more than a pipe or a terminal can hold */
};
static char chunk[CHUNK];

static void output_ready(struct watch *w, short revents);
static void output_fifo_ready(struct watch *w, short revents);
static void input_to_ready(struct watch *w, short revents);
static void input_fifo_ready(struct watch *w, short revents);

/* Opening */

static int open_fifo(const char *path, int flags, struct error *err)
{
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? fail(err, errno, "open the stdio path '%s'", path) : fd;
}

static int open_sink(struct output *o, const char *address, struct error *err)
{
    if (str_empty(address))
        return 0;
    if (*address == '/') {
        /* both ends are held: a reader that leaves and comes back (an engine that restarts) finds it open */
        int fd = open_fifo(address, O_RDWR, err);
        if (fd < 0)
            return fd;
        watch_begin(&o->fifo, fd, 0, output_fifo_ready);
        return 0;
    }
    struct log_target t;
    int r = log_target_parse(address, &t, err);
    if (r < 0)
        return r;
    o->log = &o->io->logs[o->stream];
    r = log_writer_init(o->log, &t, err);
    if (r < 0)
        o->log = NULL;
    return r;
}

static int open_sinks(struct stdio *io, const struct wire_create *c, struct error *err)
{
    int r = open_sink(&io->out[LOG_STDOUT], c->stdout_, err);
    if (r < 0 || io->terminal)
        return r;
    /* one address for both is one file */
    if (str_eq(c->stdout_, c->stderr_) && io->out[LOG_STDOUT].log) {
        io->out[LOG_STDERR].log = io->out[LOG_STDOUT].log;
        return 0;
    }
    return open_sink(&io->out[LOG_STDERR], c->stderr_, err);
}

static int open_input(struct stdio *io, const struct wire_create *c, int *ret_child,
                      struct error *err)
{
    struct input *in = &io->in;
    bool fifo = *c->stdin_ == '/';
    if (fifo) {
        int fd = open_fifo(c->stdin_, O_RDONLY, err);
        if (fd < 0)
            return fd;
        watch_begin(&in->fifo, fd, POLLIN, input_fifo_ready);
    }
    in->once = c->flags & WIRE_STDIN_ONCE;
    if (io->terminal || (!fifo && !(c->flags & WIRE_STDIN_HELD)))
        return 0;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail(err, errno, "make a pipe for stdin");
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    watch_begin(&in->to, ends[1], 0, input_to_ready);
    *ret_child = ends[0];
    return 0;
}

static int open_output(struct output *o, int *ret_child, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail(err, errno, "make a pipe for stdout");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    watch_begin(&o->source, ends[0], POLLIN, output_ready);
    *ret_child = ends[1];
    return 0;
}

void stdio_init(struct stdio *io, bool terminal)
{
    *io = (struct stdio){.terminal = terminal};
    list_init(&io->attaches);
    for (int i = 0; i < 2; i++) {
        io->out[i] =
            (struct output){.io = io, .stream = (enum log_stream)i, .source.fd = -1, .fifo.fd = -1};
        io->logs[i].fd = -1;
    }
    io->in = (struct input){.io = io, .to.fd = -1, .fifo.fd = -1};
}

int stdio_open(struct stdio *io, const struct wire_create *c, struct container_io *ret_child,
               struct error *err)
{
    *ret_child = (struct container_io){.in = -1, .out = -1, .err = -1, .target = -1};
    int r = open_sinks(io, c, err);
    if (!r)
        r = open_input(io, c, &ret_child->in, err);
    if (!r && !io->terminal)
        r = open_output(&io->out[LOG_STDOUT], &ret_child->out, err);
    if (!r && !io->terminal)
        r = open_output(&io->out[LOG_STDERR], &ret_child->err, err);
    return r;
}

void stdio_terminal(struct stdio *io, int fd)
{
    int both = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch_begin(&io->out[LOG_STDOUT].source, fd, POLLIN, output_ready);
    if (both >= 0)
        watch_begin(&io->in.to, both, 0, input_to_ready);
}

/* Output */

bool outputs_ended(const struct stdio *io)
{
    for (int i = 0; i < 2; i++)
        if (io->out[i].source.fd >= 0 || io->out[i].unsent.len)
            return false;
    return true;
}

static bool output_blocked(const struct output *o)
{
    return o->unsent.len || attaches_full(o->io);
}

static void log_text(struct output *o, const void *data, size_t len)
{
    struct error err = {0};
    if (log_writer_write(o->log, o->stream, data, len, clock_wall_ns(), &err) < 0)
        control_note("%s", err.message);
}

/* What the FIFO does not take now is kept; there is room for one chunk, as nothing is read before it is gone. */
static void fifo_write(struct output *o, const char *data, size_t len)
{
    ssize_t n = write(o->fifo.fd, data, len);
    size_t sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        watch_end(&o->fifo);
        return;
    }
    if (sent < len && buffer_append(&o->unsent, data + sent, len - sent) == 0)
        o->fifo.events = POLLOUT;
}

static void finish(struct stdio *io)
{
    if (!outputs_ended(io))
        return;
    struct error err = {0};
    for (int i = 0; i < 2; i++) {
        struct log_writer *w = &io->logs[i];
        if (w->target.format != LOG_NONE && log_writer_flush(w, clock_wall_ns(), &err) < 0)
            control_note("%s", err.message);
        log_writer_rest(w);
    }
    attaches_finish(io);
}

static void output_end(struct output *o)
{
    watch_end(&o->source);
    if (!o->unsent.len)
        watch_end(&o->fifo); /* its reader sees the end */
    finish(o->io);
}

/* One chunk from the container to all who want it. False where there is none now. */
static bool output_take(struct output *o)
{
    if (o->source.fd < 0)
        return false;
    if (output_blocked(o)) {
        o->source.events = 0;
        return false;
    }
    ssize_t n = read(o->source.fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) { /* a terminal whose last process has left gives EIO */
        output_end(o);
        return false;
    }
    if (o->log)
        log_text(o, chunk, (size_t)n);
    if (o->fifo.fd >= 0)
        fifo_write(o, chunk, (size_t)n);
    attaches_send(o->io, o->stream, chunk, (size_t)n);
    return true;
}

static void output_ready(struct watch *w, short revents)
{
    (void)revents;
    struct output *o = container_of(w, struct output, source);
    for (int i = 0; i < TURN_MAX && output_take(o); i++)
        ;
}

void outputs_resume(struct stdio *io)
{
    for (int i = 0; i < 2; i++)
        if (io->out[i].source.fd >= 0 && !output_blocked(&io->out[i]))
            io->out[i].source.events = POLLIN;
}

static void output_fifo_ready(struct watch *w, short revents)
{
    (void)revents;
    struct output *o = container_of(w, struct output, fifo);
    ssize_t n = write(w->fd, o->unsent.data, o->unsent.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        buffer_done(&o->unsent);
    else
        buffer_consume(&o->unsent, (size_t)n);
    if (o->unsent.len)
        return;
    buffer_done(&o->unsent);
    w->events = 0;
    if (n < 0 || o->source.fd < 0)
        watch_end(w);
    outputs_resume(o->io);
    finish(o->io);
}

void stdio_drain(struct stdio *io)
{
    for (int i = 0; i < 2; i++)
        for (int turn = 0; turn < DRAIN_MAX && output_take(&io->out[i]); turn++)
            ;
}

/* Input */

bool input_full(const struct input *in)
{
    return in->unsent.len > 0;
}

static void input_end(struct input *in)
{
    buffer_done(&in->unsent);
    watch_end(&in->fifo);
    if (!in->io->terminal)
        watch_end(&in->to);
    attaches_resume(in->io);
}

/* Reading from who feeds it stops while it is full. */
static void input_pace(struct input *in)
{
    in->to.events = input_full(in) ? POLLOUT : 0;
    in->fifo.events = input_full(in) ? 0 : POLLIN;
    attaches_resume(in->io);
}

void input_write(struct input *in, const void *data, size_t len)
{
    if (in->to.fd < 0) /* nobody reads, or not yet: a terminal that is not there takes no keys */
        return;
    ssize_t n = in->unsent.len ? 0 : write(in->to.fd, data, len);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        input_end(in);
        return;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent < len && buffer_append(&in->unsent, (const char *)data + sent, len - sent) < 0)
        control_note("out of memory: %zu bytes of stdin are lost", len - sent);
    input_pace(in);
}

static void input_to_ready(struct watch *w, short revents)
{
    (void)revents;
    struct input *in = container_of(w, struct input, to);
    ssize_t n = write(w->fd, in->unsent.data, in->unsent.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        input_end(in);
        return;
    }
    buffer_consume(&in->unsent, (size_t)n);
    if (in->unsent.len)
        return;
    buffer_done(&in->unsent);
    if (in->ending)
        input_end(in);
    else
        input_pace(in);
}

static void input_fifo_ready(struct watch *w, short revents)
{
    struct input *in = container_of(w, struct input, fifo);
    ssize_t n = revents & POLLIN ? read(w->fd, chunk, sizeof chunk) : 0;
    if (n > 0) {
        input_write(in, chunk, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        watch_end(w);
        stdio_close_input(in->io);
    }
}

void stdio_close_input(struct stdio *io)
{
    io->in.ending = true;
    if (!io->in.unsent.len)
        input_end(&io->in);
}

/* The rest */

int stdio_resize(struct stdio *io, uint32_t columns, uint32_t rows, struct error *err)
{
    if (!io->terminal)
        return fail_plain(err, EINVAL, "it has no terminal to resize");
    if (columns > UINT16_MAX || rows > UINT16_MAX)
        return fail_plain(err, EINVAL, "a terminal of %u columns and %u rows is too large", columns,
                          rows);
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    if (io->in.to.fd < 0 || ioctl(io->in.to.fd, TIOCSWINSZ, &size) < 0)
        return fail(err, io->in.to.fd < 0 ? ESRCH : errno, "resize the terminal");
    return 0;
}

int stdio_reopen_log(struct stdio *io, struct error *err)
{
    for (int i = 0; i < 2; i++) {
        int r = log_writer_reopen(&io->logs[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

void stdio_done(struct stdio *io)
{
    for (int i = 0; i < 2; i++) {
        watch_end(&io->out[i].source);
        watch_end(&io->out[i].fifo);
        buffer_done(&io->out[i].unsent);
    }
    finish(io);
    attaches_done(io);
    watch_end(&io->in.to);
    watch_end(&io->in.fifo);
    buffer_done(&io->in.unsent);
    for (int i = 0; i < 2; i++)
        log_writer_done(&io->logs[i]);
}
