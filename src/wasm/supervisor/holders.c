/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: started, found again, chosen, let go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "sandbox/server.h"
#include "wasm/supervisor/supervisor.h"

enum { IDLE_MS = 10000, BACKLOG = 128, EXIT_KILLED = 128 + SIGKILL };
/* Of what a worker says it holds: a worker that was taken over would not end. */
enum { HELLO_S = 60, HELLO_MAX = 1 << 30, KEY_MAX = 1024 };

/* The holder */

static void timer_closed(uv_handle_t *h)
{
    free(h);
}

static void holder_free(struct holder *h)
{
    if (h->users)
        return; /* the last of them frees it */
    link_free(h->connection);
    link_free(h->files);
    if (h->idle)
        uv_close((uv_handle_t *)h->idle, timer_closed);
    free(h->key);
    free(h->name);
    free(h);
}

void holder_release(struct holder *h)
{
    h->users--;
    if (h->dead)
        holder_free(h);
}

static void idle_over(uv_timer_t *t)
{
    struct holder *h = t->data;
    auto(buffer) struct buffer frame = {0};
    if (h->pod_count || h->dead)
        return;
    h->retiring = true;
    struct wire_writer w = wire_begin(&frame, WIRE_RETIRE, link_tag(h->connection));
    if (wire_end(&w) == 0)
        link_tell(h->connection, &frame);
}

static struct holder *holder_new(struct wasm *w, const char *key, const char *name)
{
    struct holder *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    list_init(&h->link);
    list_init(&h->pods);
    list_init(&h->giving);
    co_queue_init(&h->ready);
    h->wasm = w;
    h->key = strdup(key);
    h->name = strdup(name);
    h->idle = malloc(sizeof *h->idle);
    if (!h->key || !h->name || !h->idle) {
        free(take_ptr(&h->idle));
        h->dead = true;
        holder_free(h);
        return NULL;
    }
    uv_timer_init(loop_uv(), h->idle);
    uv_unref((uv_handle_t *)h->idle);
    h->idle->data = h;
    list_append(&w->holders, &h->link);
    return h;
}

/* The socket of its files process. */
static char *files_name_of(const struct holder *h)
{
    return str_format("%s.f", h->name);
}

/* The file that says which tenant it is for: what the worker would say is not believed. */
static char *key_name_of(const struct holder *h)
{
    return str_format("%s.k", h->name);
}

static int keep_key(const struct holder *h, struct error *err)
{
    autofree char *name = key_name_of(h);
    return name ? file_replace(h->wasm->sockets, name, h->key, strlen(h->key), 0600, false, err)
                : fail(err, ENOMEM, "start a worker");
}

static int recall_key(struct holder *h, struct error *err)
{
    auto(buffer) struct buffer key = {0};
    autofree char *name = key_name_of(h);
    int r = name ? file_read(h->wasm->sockets, name, KEY_MAX, &key, err)
                 : fail(err, ENOMEM, "take a worker over");
    if (r < 0)
        return r;
    free(h->key);
    h->key = strdup(buffer_text(&key));
    return h->key ? 0 : fail(err, ENOMEM, "take a worker over");
}

static void remove_names(const struct holder *h)
{
    autofree char *files = files_name_of(h), *key = key_name_of(h);
    if (!*h->name)
        return;
    unlinkat(h->wasm->sockets, h->name, 0);
    if (files)
        unlinkat(h->wasm->sockets, files, 0);
    if (key)
        unlinkat(h->wasm->sockets, key, 0);
}

/* The worker is gone: what it held has ended. */
static void holder_died(void *arg)
{
    struct holder *h = arg;
    if (h->dead)
        return;
    h->dead = true;
    list_remove(&h->link);
    remove_names(h);
    if (!list_empty(&h->pods))
        diag_warning("worker %d of '%s' has ended with %u pods", h->pid, h->key, h->pod_count);
    int64_t now = clock_wall_ns();
    struct pod *pod;
    list_each(pod, &h->pods, link)
    {
        list_remove(&pod->link);
        pod->holder = NULL;
        sandbox_exited(pod->sandbox, EXIT_KILLED, now);
    }
    co_queue_wake_all(&h->ready);
    /* link_free is safe inside the link's own callback: it is counted */
    holder_free(h);
}

/* What workers tell */

/* A worker may be taken over: it speaks of the pods that are on it, and of no others. */
static bool is_on(const struct sandbox *sb, const struct holder *h)
{
    const struct pod *pod = sb->technique;
    return pod && pod->holder == h;
}

static void tell_exit(struct holder *h, struct wire_reader *r)
{
    const char *id = wire_text(r);
    int64_t exited = wire_number(r);
    uint32_t status = (uint32_t)wire_number(r);
    const char *message = wire_text(r);
    const char *slash = strchr(id, '/'); /* an exec's is CONTAINER/EXEC */
    autofree char *container = slash ? strndup(id, (size_t)(slash - id)) : strdup(id);
    struct process *p = r->bad || !container ? NULL
                                             : sandboxer_find_process(h->wasm->sandboxer, container,
                                                                      slash ? slash + 1 : "");
    if (p && is_on(p->sandbox, h))
        process_exited(p, status, exited, false, *message ? message : NULL);
}

static int adopt_sandbox(struct holder *h, const char *id, struct wire_reader *r,
                         struct sandbox **ret, struct error *err)
{
    size_t len;
    struct sandbox *sb = NULL;
    const char *record = wire_bytes(r, &len);
    int e = r->bad ? fail_plain(err, EPROTO, "it is malformed")
                   : sandboxer_adopt_sandbox(h->wasm->sandboxer, record, len, SANDBOX_RUNNING, 0,
                                             &sb, err);
    if (e < 0)
        return e;
    if (!str_eq(id, sb->id)) {
        table_drop_sandbox(sb);
        return fail_plain(err, EINVAL, "its record is another one's");
    }
    *ret = sb;
    return 0;
}

static void adopt_pod(struct holder *h, struct wire_reader *r)
{
    struct error err = {0};
    const char *id = wire_text(r);
    struct sandbox *sb = NULL;
    struct pod *pod = calloc(1, sizeof *pod);
    if (!pod || adopt_sandbox(h, id, r, &sb, &err) < 0) {
        diag_warning("worker %d holds pod '%.130s', which cannot be adopted: %s", h->pid, id,
                     err.message);
        free(pod);
        auto(buffer) struct buffer frame = {0};
        struct wire_writer w = wire_begin(&frame, WIRE_SANDBOX_REMOVE, link_tag(h->connection));
        wire_put_text(&w, id);
        if (wire_end(&w) == 0)
            link_tell(h->connection, &frame);
        return;
    }
    *pod = (struct pod){.holder = h, .sandbox = sb};
    list_append(&h->pods, &pod->link);
    h->pod_count++;
    sb->technique = pod;
}

static void adopt_container(struct holder *h, struct wire_reader *r)
{
    size_t len;
    struct error err = {0};
    const char *pod = wire_text(r), *id = wire_text(r), *record = wire_bytes(r, &len);
    int64_t started = wire_number(r), exited = wire_number(r);
    uint32_t status = (uint32_t)wire_number(r);
    bool paused = wire_number(r);
    const char *message = wire_text(r);
    uint64_t number = (uint64_t)wire_number(r);
    struct sandbox *sb = r->bad ? NULL : sandboxer_find_sandbox(h->wasm->sandboxer, pod);
    struct process *p = NULL;
    if (!sb || !is_on(sb, h))
        return; /* said when its pod was not adopted */
    enum sandbox_state state = exited    ? SANDBOX_STOPPED
                               : paused  ? SANDBOX_PAUSED
                               : started ? SANDBOX_RUNNING
                                         : SANDBOX_CREATED;
    if (sandboxer_adopt_process(h->wasm->sandboxer, sb, record, len, state, 0, started, &p, &err) <
        0)
        diag_warning("container '%.130s' cannot be adopted: %s", id, err.message);
    else
        process_set(p, number, false);
    if (p && exited)
        process_exited(p, status, exited, false, *message ? message : NULL);
}

static void holder_told(void *arg, struct wire_reader *r)
{
    struct holder *h = arg;
    if (h->recovering && (h->told += r->left + WIRE_HEAD) > HELLO_MAX) {
        diag_warning("worker '%s' tells more than a worker can hold", h->name);
        link_cut(h->connection);
        return;
    }
    if (r->type == WIRE_EXITED)
        tell_exit(h, r);
    else if (r->type == WIRE_SANDBOX && h->recovering)
        adopt_pod(h, r);
    else if (r->type == WIRE_PROCESS && h->recovering)
        adopt_container(h, r);
}

/* Starting and connecting */

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

static int connect_to(struct holder *h, struct error *err)
{
    static const struct link_handler files_handler = {.told = files_told};
    struct link_handler handler = {holder_told, holder_died, h};
    autofree char *files = files_name_of(h);
    int r = files ? connect_link(h, h->name, &handler, &h->connection, err)
                  : fail(err, ENOMEM, "connect to a worker");
    return r < 0 ? r : connect_link(h, files, &files_handler, &h->files, err);
}

static int say_hello(struct holder *h, struct error *err)
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
    uv_close((uv_handle_t *)p, timer_closed);
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
        uv_close((uv_handle_t *)process, timer_closed);
        return fail(err, r, "start '%s'", w->options.worker);
    }
    uv_unref((uv_handle_t *)process);
    return 0;
}

static int start(struct wasm *w, struct holder *h, struct error *err)
{
    autoclose int listening = -1, files = -1;
    autofree char *files_name = files_name_of(h);
    int r = files_name ? listen_at(w, h->name, &listening, err) : fail(err, ENOMEM, "start");
    if (!r)
        r = listen_at(w, files_name, &files, err);
    if (!r)
        r = keep_key(h, err);
    if (!r)
        r = spawn(w, h, listening, files, err);
    close_fd(&files);
    close_fd(&listening); /* ours must be closed: then a worker that fails at once is seen */
    if (!r)
        r = connect_to(h, err);
    return r < 0 ? r : say_hello(h, err);
}

static struct holder *choose(struct wasm *w, const char *key)
{
    struct holder *h, *best = NULL;
    list_each(h, &w->holders, link) if (str_eq(h->key, key) && !h->retiring &&
                                        h->pod_count < w->options.pods_per_worker &&
                                        (!best || h->pod_count < best->pod_count)) best = h;
    return best;
}

static int start_new(struct wasm *w, const char *key, struct holder **ret, struct error *err)
{
    autofree char *name = str_format("%d.%u", getpid(), ++w->serial);
    struct holder *h = name ? holder_new(w, key, name) : NULL;
    if (!h)
        return fail(err, ENOMEM, "start a worker");
    h->starting = true;
    h->users++;
    h->pod_count++;
    int r = start(w, h, err);
    h->starting = false;
    co_queue_wake_all(&h->ready);
    if (r < 0 && !h->dead)
        holder_died(h);
    if (r < 0) {
        holder_release(h);
        return fail_in(err, r, "start a worker for '%s' (%s/workers.log has its messages)", key,
                       w->options.dir);
    }
    *ret = h;
    return 0;
}

/* Placing */

static char *key_of(const struct wasm *w, const struct sandbox *sb,
                    const Runtime__V1__PodSandboxConfig *config)
{
    if (w->options.tenant == WASM_BY_NODE)
        return strdup("node");
    if (w->options.tenant == WASM_BY_POD)
        return str_format("pod/%s", sb->id);
    return str_format("namespace/%.253s",
                      config && config->metadata ? str_or_empty(config->metadata->namespace_) : "");
}

int holder_place(struct wasm *w, struct pod *pod, const Runtime__V1__PodSandboxConfig *config,
                 struct error *err)
{
    autofree char *key = key_of(w, pod->sandbox, config);
    if (!key)
        return fail(err, ENOMEM, "place the pod");
    struct holder *h = choose(w, key);
    int r = 0;
    if (!h) {
        r = start_new(w, key, &h, err);
    } else {
        h->users++;
        h->pod_count++;
        uv_timer_stop(h->idle);
        while (h->starting)
            co_queue_wait(&h->ready, INT64_MAX);
        if (h->dead)
            r = fail_plain(err, ENOTCONN, "the worker for '%s' has ended", key);
        if (r < 0)
            holder_release(h);
    }
    if (r < 0)
        return r;
    pod->holder = h;
    list_append(&h->pods, &pod->link);
    holder_release(h);
    return 0;
}

void holder_leave(struct pod *pod)
{
    struct holder *h = pod->holder;
    list_remove(&pod->link);
    pod->holder = NULL;
    if (h && --h->pod_count == 0)
        uv_timer_start(h->idle, idle_over, IDLE_MS, 0);
}

int holder_ask(struct holder *h, enum wire_type type, const char *id, int64_t number,
               struct link_reply *reply, struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    uint32_t tag = link_tag(h->connection);
    struct wire_writer w = wire_begin(&frame, type, tag);
    wire_put_text(&w, id);
    wire_put_number(&w, number);
    int r = wire_end(&w);
    return r < 0 ? fail(err, r, "ask a worker") : link_call(h->connection, tag, &frame, reply, err);
}

/* Finding again */

static void recover_one(struct wasm *w, const char *name)
{
    struct error err = {0};
    struct holder *h = holder_new(w, "", name);
    if (!h)
        return;
    h->users++;
    h->recovering = true;
    int r = recall_key(h, &err);
    if (!r)
        r = connect_to(h, &err);
    if (!r)
        r = say_hello(h, &err);
    h->recovering = false;
    if (!r)
        r = files_keep_held(h, &err);
    if (r < 0) {
        if (r != -ECONNREFUSED) /* else only a socket is left */
            diag_warning("worker '%s' is not taken over: %s", name, err.message);
        if (r == -EPROTO)
            h->name[0] = 0; /* it goes on, and so does its socket */
        if (!h->dead)
            holder_died(h);
    } else if (!h->pod_count) {
        uv_timer_start(h->idle, idle_over, IDLE_MS, 0);
    }
    holder_release(h);
}

int holders_recover(struct wasm *w, struct error *err)
{
    auto(strv) char **names = NULL;
    int fd = openat(w->sockets, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return fail(err, errno, "read '%s/w'", w->options.dir);
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));)
        if (e->d_name[0] != '.' && !str_ends(e->d_name, ".f") && !str_ends(e->d_name, ".k"))
            r = strv_add(&names, e->d_name);
    closedir(d);
    for (char **name = names; !r && name && *name; name++)
        recover_one(w, *name);
    return r < 0 ? fail(err, r, "find the workers") : 0;
}

void holders_free(struct wasm *w)
{
    struct holder *h;
    list_each(h, &w->holders, link)
    {
        list_remove(&h->link);
        struct pod *pod;
        list_each(pod, &h->pods, link)
        {
            list_remove(&pod->link);
            free(pod); /* the table that points to it is gone, or of no use without us */
        }
        h->dead = true;
        holder_free(h);
    }
}
