/* SPDX-License-Identifier: Apache-2.0 */
#include "sandboxers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/base.h"
#include "loop/loop.h"
#include "sandbox/peer.h"

enum { RESTART_MS = 100, PROBE_MS = 500, HANDLERS_MAX = 64 };

static const char *const techniques[] = {"namespace", "wasm"};

static const struct {
    const char *name, *technique;
} aliases[] = {{"namespace", "namespace"}, {"runc", "namespace"}, {"wasm", "wasm"}};

struct child {
    const char *technique;
    char *program, *socket, *dir, *level;
    uv_process_t process;
    uv_timer_t timer; /* starts it again; looks after one that was found running */
    bool running;     /* process is a child of ours */
    bool stopping, closing;
    struct peer *peer;
};

struct sandboxers {
    struct child children[ARRAY_SIZE(techniques)];
    struct engine_handler handlers[HANDLERS_MAX];
    size_t handler_count;
    char *names[HANDLERS_MAX];
};

/* The process that listens at path; 0 where none does. */
static pid_t listener(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (strlen(path) >= sizeof address.sun_path)
        return 0;
    strcpy(address.sun_path, path);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return 0;
    return peer.pid;
}

static void look_after(uv_timer_t *timer);

static void process_closed(uv_handle_t *process)
{
    struct child *c = process->data;
    c->closing = false;
}

static void child_exited(uv_process_t *process, int64_t status, int signal)
{
    struct child *c = process->data;
    c->running = false;
    if (!c->stopping) {
        diag_warning("sandboxer '%s' has ended (status %d, signal %d); starting it again",
                     c->technique, (int)status, signal);
        uv_timer_start(&c->timer, look_after, RESTART_MS, PROBE_MS);
    }
    c->closing = true;
    uv_close((uv_handle_t *)process, process_closed);
}

static int spawn(struct child *c)
{
    const char *argv[] = {c->program, "--listen",    c->socket, "--dir",
                          c->dir,     "--log-level", c->level,  NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .file = c->program,
        .args = (char **)argv,
        .cwd = "/",
        .exit_cb = child_exited,
        .flags =
            UV_PROCESS_DETACHED, /* a session of its own: the terminal's signals are warrend's */
        .stdio = stdio,
        .stdio_count = 3,
    };
    c->process.data = c;
    int r = uv_spawn(loop_uv(), &c->process, &options);
    c->running = r == 0;
    return r;
}

static void look_after(uv_timer_t *timer)
{
    struct child *c = timer->data;
    if (c->running || c->stopping || c->closing)
        return;
    if ((c->peer && c->peer->ops->connected(c->peer)) || listener(c->socket))
        return;
    int r = spawn(c);
    if (r < 0)
        diag_error("start the sandboxer '%s' (%s): %s", c->technique, c->program, uv_strerror(r));
}

/* The directory of our own program: the sandboxers stand beside it. */
static int own_directory(char **ret)
{
    char path[4096];
    size_t size = sizeof path;
    if (uv_exepath(path, &size) < 0)
        return -ENOENT;
    char *slash = strrchr(path, '/');
    *slash = 0;
    *ret = strdup(path);
    return *ret ? 0 : -ENOMEM;
}

static const char *level_name(enum diag_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level];
}

static int start_child(struct child *c, const char *technique, const struct settings *config,
                       struct error *err)
{
    autofree char *bin = NULL;
    int r = own_directory(&bin);
    if (r < 0)
        return fail(err, r, "find warrend's own directory");
    c->technique = technique;
    c->program = str_format("%s/warren-%s", bin, technique);
    c->socket = str_format("%s/%s.sock", config->exec_root, technique);
    c->dir = str_format("%s/%s", config->exec_root, technique);
    c->level = strdup(level_name(config->log_level));
    if (!c->program || !c->socket || !c->dir || !c->level)
        return fail(err, ENOMEM, "start the sandboxer '%s'", technique);
    uv_timer_init(loop_uv(), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, look_after, PROBE_MS, PROBE_MS);
    if (!listener(c->socket) && (r = spawn(c)) < 0)
        return fail(err, r, "start the sandboxer '%s' (%s)", technique, c->program);
    return 0;
}

static int add_handler(struct sandboxers *s, const char *name, const char *technique,
                       struct peer *peer, struct error *err)
{
    for (size_t i = 0; i < s->handler_count; i++)
        if (str_eq(s->handlers[i].name, name))
            return 0;
    if (s->handler_count == HANDLERS_MAX)
        return fail_plain(err, E2BIG, "more than %d runtime handlers", HANDLERS_MAX);
    s->names[s->handler_count] = strdup(name);
    s->handlers[s->handler_count] =
        (struct engine_handler){s->names[s->handler_count], technique, peer};
    s->handler_count++;
    return 0;
}

static const char *technique_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if (str_eq(word, aliases[i].name))
            return aliases[i].technique;
    return NULL;
}

/* "io.containerd.wasm.v1": the technique is the word before the version. */
static const char *technique_of_type(const char *type)
{
    auto(strv) char **words = str_split(type, ".");
    size_t n = strv_len(words);
    return n >= 2 ? technique_of(words[n - 2]) : technique_of(type);
}

static int add_addresses(struct sandboxers *s, const struct settings *config, struct error *err)
{
    autofree char *bundles = str_format("%s/bundles", config->exec_root);
    for (size_t i = 0; i < config->sandboxer_count; i++) {
        const struct settings_sandboxer *c = &config->sandboxers[i];
        struct peer *peer = NULL;
        const char *technique = technique_of(c->name);
        int r = peer_connect(&peer, c->address, bundles, err);
        if (r == 0)
            r = add_handler(s, c->handler, technique ? technique : c->name, peer, err);
        if (r < 0)
            return fail_in(err, r, "cri-sandboxers.%s", c->handler);
    }
    return 0;
}

static bool has_address(const struct settings *config, const char *technique)
{
    for (size_t i = 0; i < config->sandboxer_count; i++)
        if (str_eq(config->sandboxers[i].handler, technique))
            return true;
    return false;
}

static int add_runtimes(struct sandboxers *s, const struct settings *config, struct error *err)
{
    for (size_t i = 0; i < config->runtime_count; i++) {
        const struct settings_runtime *c = &config->runtimes[i];
        const char *technique = technique_of_type(c->type);
        struct peer *peer = NULL;
        for (size_t k = 0; technique && k < s->handler_count; k++)
            if (str_eq(s->handlers[k].technique, technique))
                peer = s->handlers[k].peer;
        for (size_t k = 0; !technique && k < s->handler_count; k++)
            if (str_eq(s->handlers[k].name, c->handler))
                peer = s->handlers[k].peer;
        if (!peer)
            return fail_plain(
                err, EINVAL,
                "cri-runtimes.%s: no sandboxer serves the type '%s': known are "
                "io.containerd.namespace.v1, io.containerd.runc.v2, io.containerd.wasm.v1, "
                "or give its address in cri-sandboxers",
                c->handler, c->type);
        int r = add_handler(s, c->handler, technique ? technique : c->handler, peer, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_default(struct sandboxers *s, const struct settings *config, struct error *err)
{
    for (size_t i = 0; i < s->handler_count; i++)
        if (str_eq(s->handlers[i].name, config->default_runtime))
            return add_handler(s, "", s->handlers[i].technique, s->handlers[i].peer, err);
    return fail_plain(err, EINVAL, "default-runtime '%s' is no runtime handler",
                      config->default_runtime);
}

int sandboxers_start(struct sandboxers **ret, const struct settings *config,
                     const struct engine_handler **ret_handlers, size_t *ret_count,
                     struct error *err)
{
    struct sandboxers *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "start the sandboxers");
    *ret = s;
    autofree char *bundles = str_format("%s/bundles", config->exec_root);
    int r = add_addresses(s, config, err);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(techniques); i++) {
        struct child *c = &s->children[i];
        if (has_address(config, techniques[i]))
            continue;
        r = start_child(c, techniques[i], config, err);
        if (r == 0)
            r = peer_connect(&c->peer, c->socket, bundles, err);
        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(aliases); k++)
            if (str_eq(aliases[k].technique, techniques[i]))
                r = add_handler(s, aliases[k].name, techniques[i], c->peer, err);
    }
    if (r == 0)
        r = add_runtimes(s, config, err);
    if (r == 0)
        r = add_default(s, config, err);
    *ret_handlers = s->handlers;
    *ret_count = s->handler_count;
    return r;
}

void sandboxers_stop(struct sandboxers *s)
{
    for (size_t i = 0; s && i < ARRAY_SIZE(s->children); i++) {
        struct child *c = &s->children[i];
        c->stopping = true;
        pid_t pid = c->running ? c->process.pid : c->socket ? listener(c->socket) : 0;
        if (pid > 0)
            kill(pid, SIGTERM);
    }
}
