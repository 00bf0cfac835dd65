/* SPDX-License-Identifier: Apache-2.0 */
/* Frames are those of api/warren_sandbox.proto's AttachResponse. What a client does not take is kept, and its container's output
 * waits meanwhile: so there is at most a chunk a client to keep. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "namespace/keeper.h"

enum { EXPECTED_MAX = 32, READ_MAX = 4096, HEADER = 8 };

static void attach_free(struct attach *a)
{
    list_remove(&a->link);
    watch_end(&a->socket);
    buffer_done(&a->unsent);
    free(a);
}

static void make_token(char token[WIRE_TOKEN_LEN + 1])
{
    uint8_t bytes[WIRE_TOKEN_LEN / 2];
    if (getentropy(bytes, sizeof bytes) < 0)
        abort(); /* Linux 3.17 has it; a guessable token must not be */
    for (size_t i = 0; i < sizeof bytes; i++) {
        token[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        token[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    token[WIRE_TOKEN_LEN] = 0;
}

/* Of clients that never came, the oldest are forgotten. */
static void forget_old(struct stdio *io)
{
    int expected = 0;
    struct attach *a, *oldest = NULL;
    list_each(a, &io->attaches, link)
    {
        if (a->socket.fd >= 0)
            continue;
        oldest = oldest ? oldest : a;
        expected++;
    }
    if (expected >= EXPECTED_MAX)
        attach_free(oldest);
}

int attach_expect(struct stdio *io, bool in, bool out, bool err_, char token[WIRE_TOKEN_LEN + 1],
                  struct error *err)
{
    forget_old(io);
    struct attach *a = calloc(1, sizeof *a);
    if (!a)
        return fail(err, ENOMEM, "attach");
    *a = (struct attach){.io = io, .socket.fd = -1, .in = in, .out = out, .err = err_};
    make_token(a->token);
    memcpy(token, a->token, sizeof a->token);
    list_init(&a->link);
    list_append(&io->attaches, &a->link);
    return 0;
}

static void pace(struct attach *a)
{
    bool read = a->in && !input_full(&a->io->in);
    a->socket.events = (short)((read ? POLLIN : 0) | (a->unsent.len ? POLLOUT : 0));
    if (!a->socket.events)
        a->socket.events = POLLPRI; /* only its end is of interest */
}

static void leave(struct attach *a)
{
    struct stdio *io = a->io;
    attach_free(a);
    outputs_resume(io);
}

/* False where the client has gone. */
static bool send_unsent(struct attach *a)
{
    ssize_t n = send(a->socket.fd, a->unsent.data, a->unsent.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buffer_consume(&a->unsent, (size_t)n);
    if (!a->unsent.len)
        buffer_done(&a->unsent);
    return true;
}

static void input_over(struct attach *a)
{
    a->in = false;
    if (a->io->in.once)
        stdio_close_input(a->io);
}

static void attach_ready(struct watch *w, short revents)
{
    struct attach *a = container_of(w, struct attach, socket);
    bool gone = revents & (POLLHUP | POLLERR);
    if (revents & POLLOUT && a->unsent.len && !send_unsent(a))
        gone = true;
    if (a->in && revents & (POLLIN | POLLHUP)) {
        char data[READ_MAX];
        ssize_t n = recv(w->fd, data, sizeof data, MSG_DONTWAIT);
        if (n > 0) {
            gone = false; /* what it sent before it left is still read */
            input_write(&a->io->in, data, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            input_over(a);
        }
    }
    if (gone || (!a->in && !a->out && !a->err)) {
        leave(a);
        return;
    }
    pace(a);
    if (!a->unsent.len)
        outputs_resume(a->io);
    attaches_finish(a->io);
}

bool attach_begin(struct stdio *io, const char *token, int socket, const void *rest,
                  size_t rest_len)
{
    struct attach *a, *found = NULL;
    list_each(a, &io->attaches, link) if (a->socket.fd < 0 && str_eq(a->token, token)) found = a;
    if (!found)
        return false;
    memset(found->token, 0, sizeof found->token);
    watch_begin(&found->socket, socket, 0, attach_ready);
    if (found->in && rest_len)
        input_write(&io->in, rest, rest_len);
    pace(found);
    attaches_finish(io);
    return true;
}

void attaches_send(struct stdio *io, enum log_stream stream, const void *data, size_t len)
{
    struct attach *a;
    list_each(a, &io->attaches, link)
    {
        if (a->socket.fd < 0 || !(stream == LOG_STDERR ? a->err : a->out))
            continue;
        const uint8_t header[HEADER] = {stream == LOG_STDERR ? 2 : 1,
                                        0,
                                        0,
                                        0,
                                        (uint8_t)(len >> 24),
                                        (uint8_t)(len >> 16),
                                        (uint8_t)(len >> 8),
                                        (uint8_t)len};
        if (buffer_append(&a->unsent, header, HEADER) < 0 ||
            buffer_append(&a->unsent, data, len) < 0 || !send_unsent(a)) {
            attach_free(a);
            continue;
        }
        pace(a);
    }
}

bool attaches_full(const struct stdio *io)
{
    struct attach *a;
    list_each(a, &io->attaches, link) if (a->unsent.len) return true;
    return false;
}

void attaches_resume(struct stdio *io)
{
    struct attach *a;
    list_each(a, &io->attaches, link) if (a->socket.fd >= 0) pace(a);
}

void attaches_finish(struct stdio *io)
{
    if (!outputs_ended(io))
        return;
    struct attach *a;
    list_each(a, &io->attaches, link) if (a->socket.fd >= 0 && !a->unsent.len) attach_free(a);
}

void attaches_done(struct stdio *io)
{
    struct attach *a;
    list_each(a, &io->attaches, link) attach_free(a);
}
