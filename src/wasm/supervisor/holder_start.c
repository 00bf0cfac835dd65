/* SPDX-License-Identifier: Apache-2.0 */
/* Workers are started, and connected to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/supervisor/holder.h"

enum { BACKLOG = 128, HELLO_S = 60 };

/* The address of name in DIR/w, which may be deeper than the 107 bytes that an address holds. */
static struct sockaddr_un address_of(const struct wasm *w, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%.80s", w->sockets, name);
    return a;
}

static int connect_link(struct holder *h, const char *name, const struct link_handler *handler,
                        struct link **ret, struct error *err)
{
    struct sockaddr_un a = address_of(h->wasm, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int r = fail(err, errno, "connect to worker '%s'", name);
        close_fd(&fd);
        return r;
    }
    return link_new(ret, fd, handler, err);
}

/* The files process tells nothing by itself, and ends with its worker. */
static void files_told(void *arg, struct wire_reader *r)
{
    (void)arg;
    (void)r;
}

int holder_connect(struct holder *h, struct error *err)
{
    static const struct link_handler files_handler = {.told = files_told};
    struct link_handler handler = {holder_told, holder_died, h};
    autofree char *files = holder_files_name(h);
    int r = files ? connect_link(h, h->name, &handler, &h->connection, err)
                  : fail(err, ENOMEM, "connect to a worker");
    return r < 0 ? r : connect_link(h, files, &files_handler, &h->files, err);
}

int holder_say_hello(struct holder *h, struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    auto(link_reply) struct link_reply reply = {0};
    uint32_t tag = link_tag(h->connection);
    struct wire_writer w = wire_begin(&frame, WIRE_HELLO, tag);
    wire_put_number(&w, WIRE_VERSION);
    int quiet, r = wire_end(&w);
    if (r < 0)
        return fail(err, r, "greet a worker");
    r = link_make_quiet(h->connection, &quiet, err);
    if (!r)
        r = link_call_until(h->connection, tag, &frame, &quiet, 1,
                            clock_mono_ns() + HELLO_S * NSEC_PER_SEC, &reply, err);
    if (!r)
        h->pid = (pid_t)wire_number(&reply.reader);
    return r;
}

static void worker_exited(uv_process_t *p, int64_t status, int signal)
{
    if (status || signal)
        diag_warning("worker %d ended with status %lld, signal %d", p->pid, (long long)status,
                     signal);
    uv_close((uv_handle_t *)p, holder_handle_closed);
}

static int listen_at(struct wasm *w, const char *name, int *ret, struct error *err)
{
    struct sockaddr_un a = address_of(w, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlinkat(w->sockets, name, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0) {
        int r = fail(err, errno, "make the socket of a worker in '%s/w'", w->options.dir);
        close_fd(&fd);
        return r;
    }
    *ret = fd;
    return 0;
}

/* The process outlives us: no pipe to us; it makes itself a process group of its own. The session stays ours: sessions compete for the
 * cores as wholes (sched(7), autogroup), and what is urgent in one would wait for what is not in another. */
static int spawn(struct wasm *w, const struct holder *h, int listening, int files,
                 struct error *err)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%u", w->options.threads);
    char *args[16 + PROGRAM_ARGS] = {(char *)(uintptr_t)w->program.path,
                                     (char *)(uintptr_t) "--listen-fd",
                                     (char *)(uintptr_t) "3",
                                     (char *)(uintptr_t) "--files-fd",
                                     (char *)(uintptr_t) "4",
                                     (char *)(uintptr_t) "--key",
                                     h->key,
                                     (char *)(uintptr_t) "--threads",
                                     threads,
                                     (char *)(uintptr_t) "--dir",
                                     (char *)(uintptr_t)w->options.dir};
    program_add_args(&w->program, args + 11);
    /* not our own standard error: a pipe there would be held open as long as the pods live */
    autofree char *path = str_format("%s/workers.log", w->options.dir);
    autoclose int log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    uv_stdio_container_t stdio[5] = {{.flags = UV_IGNORE},
                                     {.flags = UV_IGNORE},
                                     {.flags = log < 0 ? UV_IGNORE : UV_INHERIT_FD, .data.fd = log},
                                     {.flags = UV_INHERIT_FD, .data.fd = listening},
                                     {.flags = UV_INHERIT_FD, .data.fd = files}};
    uv_process_options_t options = {.file = w->options.worker,
                                    .args = args,
                                    .env = program_environment(),
                                    .exit_cb = worker_exited,
                                    .stdio = stdio,
                                    .stdio_count = 5};
    uv_process_t *process = calloc(1, sizeof *process);
    if (!process)
        return fail(err, ENOMEM, "start a worker");
    int r = uv_spawn(loop_uv(), process, &options);
    if (r < 0) {
        uv_close((uv_handle_t *)process, holder_handle_closed);
        return fail(err, r, "start '%s'", w->options.worker);
    }
    uv_unref((uv_handle_t *)process);
    return 0;
}

int holder_start(struct wasm *w, struct holder *h, struct error *err)
{
    autoclose int listening = -1, files = -1;
    autofree char *files_name = holder_files_name(h);
    int r = files_name ? listen_at(w, h->name, &listening, err) : fail(err, ENOMEM, "start");
    if (!r)
        r = listen_at(w, files_name, &files, err);
    if (!r)
        r = holder_keep_key(h, err);
    if (!r)
        r = spawn(w, h, listening, files, err);
    close_fd(&files);
    close_fd(&listening); /* ours must be closed: then a worker that fails at once is seen */
    if (!r)
        r = holder_connect(h, err);
    return r < 0 ? r : holder_say_hello(h, err);
}
