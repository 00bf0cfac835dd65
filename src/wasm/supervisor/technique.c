/* SPDX-License-Identifier: Apache-2.0 */
/* The contract's functions. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "wasm/supervisor/cache.h"
#include "wasm/supervisor/known.h"
#include "wasm/supervisor/limits.h"
#include "wasm/supervisor/once.h"
#include "wasm/supervisor/opaque.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/supervisor/tmpfs.h"
#include "wasm/wasm.h"
#include "wasm/wire_create.h"

enum { STOP_GRACE_S = 5, GIFTS_MAX = 4 };

int wasm_new(struct wasm **ret, const struct wasm_options *options, struct error *err)
{
    struct wasm *w = calloc(1, sizeof *w);
    if (!w)
        return fail(err, ENOMEM, "set up the wasm technique");
    list_init(&w->holders);
    w->sockets = -1;
    w->options = *options;
    w->options.dir = strdup(options->dir);
    w->options.worker = strdup(options->worker);
    w->program = (struct program){.path = w->options.worker,
                                  .required = options->isolation_required,
                                  .debug = options->debug};
    snprintf(w->program.uids, sizeof w->program.uids, "%u", options->uids);
    autofree char *sockets = str_format("%s/w", options->dir);
    autofree char *cache = str_format("%s/cache", options->dir);
    autofree char *tmpfs = str_format("%s/t", options->dir);
    int r = w->options.dir && w->options.worker && sockets && cache
                ? 0
                : fail(err, ENOMEM, "set up the wasm technique");
    if (!r)
        r = dir_make(AT_FDCWD, options->dir, 0700, err);
    if (!r)
        r = dir_make(AT_FDCWD, sockets, 0700, err);
    if (!r) {
        w->sockets = open(sockets, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = w->sockets < 0 ? fail(err, errno, "open '%s'", sockets) : 0;
    }
    if (!r && (!(w->opaque = opaque_new()) || !(w->known = known_new())))
        r = fail(err, ENOMEM, "set up the wasm technique");
    if (!r)
        r = cache_new(&w->cache, cache, options->cache_size, &w->program, err);
    if (!r)
        r = tmpfs ? tmpfs_new(&w->tmpfs, tmpfs, err) : fail(err, ENOMEM, "set up");
    if (r < 0)
        wasm_free(w);
    else
        *ret = w;
    return r;
}

void wasm_free(struct wasm *w)
{
    if (!w)
        return;
    holders_free(w);
    cache_free(w->cache);
    opaque_free(w->opaque);
    known_free(w->known);
    tmpfs_free(w->tmpfs);
    close_fd(&w->sockets);
    free((char *)(uintptr_t)w->options.dir);
    free((char *)(uintptr_t)w->options.worker);
    free(w);
}

static bool is_known(void *arg, const char *container)
{
    return sandboxer_find_process(arg, container, "");
}

static int recover(void *t, struct sandboxer *s, struct error *err)
{
    struct wasm *w = t;
    w->sandboxer = s;
    int r = holders_recover(w, err);
    if (!r)
        tmpfs_sweep(w->tmpfs, is_known, s);
    return r;
}

/* Sandboxes */

static int sandbox_create(void *t, struct sandbox *sb, struct error *err)
{
    (void)t;
    struct pod *pod = calloc(1, sizeof *pod);
    if (!pod)
        return fail(err, ENOMEM, "create the pod");
    list_init(&pod->link);
    pod->sandbox = sb;
    sb->technique = pod;
    return 0;
}

/* Where it is to run, and how much of the CPU it may use. */
static int place(struct wasm *w, struct pod *pod, struct wire_cpu *ret, struct error *err)
{
    const struct sandbox *sb = pod->sandbox;
    Runtime__V1__PodSandboxConfig *config =
        sb->config_len ? runtime__v1__pod_sandbox_config__unpack(NULL, sb->config_len, sb->config)
                       : NULL;
    int r = limits_of_pod(config, ret, err);
    if (!r)
        r = holder_place(w, pod, config, err);
    if (config)
        runtime__v1__pod_sandbox_config__free_unpacked(config, NULL);
    return r;
}

static int sandbox_start(void *t, struct sandbox *sb, const struct buffer *record,
                         struct error *err)
{
    struct pod *pod = sb->technique;
    auto(buffer) struct buffer frame = {0};
    struct wire_cpu cpu;
    int r = place(t, pod, &cpu, err);
    if (r < 0)
        return r;
    struct wire_writer w = wire_begin(&frame, WIRE_SANDBOX_ADD, 0);
    wire_put_text(&w, sb->id);
    wire_put_bytes(&w, record->data, record->len);
    wire_put_cpu(&w, &cpu);
    r = wire_end(&w);
    r = r < 0 ? fail(err, r, "start the pod")
              : link_post_quietly(pod->holder->connection, &frame, err);
    if (r < 0)
        holder_leave(pod);
    return r;
}

int holder_of(const struct process *p, struct holder **ret, struct error *err)
{
    struct pod *pod = p->sandbox->technique;
    if (!pod || !pod->holder)
        return fail_plain(err, ESRCH, "the worker that held it has ended");
    *ret = pod->holder;
    return 0;
}

static int ask(const struct process *p, enum wire_type type, int64_t number, struct error *err)
{
    struct holder *h = NULL;
    int r = holder_of(p, &h, err);
    return r < 0 ? r : holder_ask(h, type, p->key, number, NULL, err);
}

static int signal_all(struct sandbox *sb, int number, struct error *err)
{
    struct process *p;
    int r = 0;
    /* no more than one call a turn of the list: it may change while the call is parked */
    for (bool again = true; again && !r;) {
        again = false;
        list_each(p, &sb->processes, link)
        {
            if (p->exited_ns || process_is_marked(p))
                continue;
            process_set(p, files_number(p), true);
            r = ask(p, WIRE_SIGNAL, number, err);
            if (r == -ESRCH || r == -ENOENT || r == -ENOTCONN)
                r = 0;
            again = true;
            break;
        }
    }
    list_each(p, &sb->processes, link) process_set(p, files_number(p), false);
    return r;
}

static bool wait_ended(struct sandbox *sb, int64_t deadline_ns)
{
    for (;;) {
        struct process *p, *running = NULL;
        list_each(p, &sb->processes, link) if (!p->exited_ns) running = p;
        if (!running)
            return true;
        if (!co_queue_wait(&running->exited, deadline_ns))
            return false;
    }
}

/* A guest has no signal handlers: SIGTERM ends it. */
static int sandbox_stop(void *t, struct sandbox *sb, int64_t deadline_ns, struct error *err)
{
    (void)t;
    int64_t now = clock_mono_ns();
    int r = signal_all(sb, deadline_ns > now ? SIGTERM : SIGKILL, err);
    if (r < 0)
        return r;
    int64_t grace = now + STOP_GRACE_S * NSEC_PER_SEC;
    if (!wait_ended(sb, deadline_ns > grace ? deadline_ns : grace))
        return fail_plain(err, EBUSY, "a container of the pod does not end");
    return 0;
}

static int sandbox_remove(void *t, struct sandbox *sb, struct error *err)
{
    (void)t;
    struct pod *pod = sb->technique;
    if (!pod)
        return 0;
    if (pod->holder) {
        int r = holder_ask(pod->holder, WIRE_SANDBOX_REMOVE, sb->id, 0, NULL, err);
        if (r < 0 && r != -ENOTCONN)
            return r;
    }
    if (pod->holder)
        holder_leave(pod);
    free(pod);
    sb->technique = NULL;
    return 0;
}

/* Containers */

/* Ours are kept: a worker may refuse. */
static int copy_sockets(const struct listening *l, int *fds, struct error *err)
{
    for (unsigned i = 0; i < l->count; i++) {
        fds[i] = fcntl(l->fds[i], F_DUPFD_CLOEXEC, 0);
        if (fds[i] >= 0)
            continue;
        int r = fail(err, errno, "hand a socket to a worker");
        while (i)
            close(fds[--i]);
        return r;
    }
    return 0;
}

int send_create(struct process *p, const struct prepared *prepared, struct error *err)
{
    struct holder *h = NULL;
    auto(buffer) struct buffer frame = {0};
    const struct listening *l = &prepared->listening;
    int fds[WIRE_SOCKETS_MAX];
    int r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    uint32_t tag = link_tag(h->connection);
    r = wire_put_create(&frame, tag, prepared->create);
    if (r < 0)
        return fail(err, r, "hand the container to a worker");
    r = copy_sockets(l, fds, err);
    if (r < 0)
        return r;
    return l->count ? link_call_fds(h->connection, tag, &frame, fds, l->count, NULL, err)
                    : link_call(h->connection, tag, &frame, NULL, err);
}

/* Hands the worker the compiled module. */
struct gift {
    struct cache *cache;
    struct link *connection;
    struct prepared *prepared;
};

static int give(void *arg, struct error *err)
{
    const struct gift *g = arg;
    const struct wire_create *c = g->prepared->create;
    int r = container_open_module(g->prepared, err);
    if (r < 0)
        return r;
    for (int attempt = 0; attempt < 2; attempt++) {
        auto(buffer) struct buffer frame = {0};
        int fd = -1;
        r = cache_open(g->cache, g->prepared->module, c->args[0], &c->module, &fd, err);
        if (r < 0)
            return r;
        uint32_t tag = link_tag(g->connection);
        struct wire_writer w = wire_begin(&frame, WIRE_MODULE, tag);
        wire_put_bytes(&w, c->module.digest, sizeof c->module.digest);
        wire_put_number(&w, c->module.profile);
        r = wire_end(&w);
        if (r < 0) {
            close(fd);
            return fail(err, r, "hand a module to a worker");
        }
        r = link_call_fds(g->connection, tag, &frame, &fd, 1, NULL, err);
        if (r != -EBADMSG)
            break;
        cache_discard(g->cache, &c->module); /* damaged, or of another build: made anew, once */
    }
    return r;
}

static int give_module(struct wasm *w, struct process *p, struct prepared *prepared,
                       struct error *err)
{
    struct holder *h = NULL;
    int r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    struct gift gift = {w->cache, h->connection, prepared};
    h->users++;
    r = once(&h->giving, &prepared->create->module, give, &gift, err);
    holder_release(h);
    return r;
}

int make_in_worker(struct wasm *w, struct process *p, struct prepared *prepared, struct error *err)
{
    struct wire_create *c = prepared->create;
    int r = 0;
    /* a worker may let go of a module between our handing it out and its use */
    for (int attempt = 0; !r && attempt < GIFTS_MAX; attempt++) {
        r = send_create(p, prepared, err);
        if (r == -EUSERS && c->module.profile != WASM_DENSE) {
            c->module.profile = WASM_DENSE;
            r = send_create(p, prepared, err);
        }
        if (r != -ENOKEY) {
            cache_use(w->cache, &c->module);
            return r;
        }
        r = give_module(w, p, prepared, err);
    }
    return r ? r : fail_plain(err, EBUSY, "the worker has no room for another module");
}

static int make(void *t, struct process *p, bool run, const struct buffer *record,
                struct error *err)
{
    struct wasm *w = t;
    struct holder *h = NULL;
    if (*p->exec_id)
        return exec_make(w, p, record, err);
    auto(prepared) struct prepared prepared = {.module = -1};
    int r = container_prepare(w, p, record, &prepared, err);
    if (!r)
        r = holder_of(p, &h, err);
    if (!r)
        r = files_add(h, prepared.files, &prepared.create->files, err);
    if (r < 0)
        return r;
    prepared.create->start = run;
    r = make_in_worker(w, p, &prepared, err);
    if (!r)
        process_set(p, prepared.create->files, false);
    else if (holder_of(p, &h, NULL) == 0)
        files_remove(h, prepared.create->files, NULL);
    return r;
}

/* Where it fails, nothing of it is left. */
static int make_or_clean(void *t, struct process *p, bool run, const struct buffer *record,
                         struct error *err)
{
    struct wasm *w = t;
    int r = make(t, p, run, record, err);
    if (r < 0 && !*p->exec_id)
        tmpfs_remove(w->tmpfs, p->id);
    return r;
}

static int create(void *t, struct process *p, const struct buffer *record, struct error *err)
{
    return make_or_clean(t, p, false, record, err);
}

static int run(void *t, struct process *p, const struct buffer *record, struct error *err)
{
    return make_or_clean(t, p, true, record, err);
}

static int start(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_START, 0, err);
}

static int send_signal(void *t, struct process *p, int number, bool all, struct error *err)
{
    (void)t;
    (void)all; /* a container is one guest */
    return ask(p, WIRE_SIGNAL, number, err);
}

static int post_remove(const struct process *p, struct error *err)
{
    struct holder *h = NULL;
    auto(buffer) struct buffer frame = {0};
    int r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    struct wire_writer w = wire_begin(&frame, WIRE_REMOVE, 0);
    wire_put_text(&w, p->key);
    r = wire_end(&w);
    return r < 0 ? fail(err, r, "ask a worker") : link_post(h->connection, &frame, err);
}

/* Of one that has ended nothing is left but what the worker remembers. */
static int remove_process(void *t, struct process *p, struct error *err)
{
    struct wasm *w = t;
    struct holder *h = NULL;
    int r = p->exited_ns ? post_remove(p, err) : ask(p, WIRE_REMOVE, 0, err);
    if (!r)
        r = holder_of(p, &h, err);
    if (!r)
        r = files_remove(h, files_number(p), err);
    if (r < 0 && r != -ESRCH && r != -ENOTCONN)
        return r;
    if (!*p->exec_id)
        tmpfs_remove(w->tmpfs, p->id);
    return 0;
}

static int pause_process(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_PAUSE, 1, err);
}

static int resume_process(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_PAUSE, 0, err);
}

static int update(void *t, struct process *p, const uint8_t *resources, size_t len,
                  struct error *err)
{
    (void)t;
    struct holder *h = NULL;
    struct wire_limits limits;
    auto(buffer) struct buffer frame = {0};
    int r = limits_of_update(resources, len, &limits, err);
    if (!r)
        r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    uint32_t tag = link_tag(h->connection);
    struct wire_writer w = wire_begin(&frame, WIRE_UPDATE, tag);
    wire_put_text(&w, p->key);
    wire_put_number(&w, (int64_t)limits.memory);
    wire_put_cpu(&w, &limits.cpu);
    r = wire_end(&w);
    return r < 0 ? fail(err, r, "ask a worker") : link_call(h->connection, tag, &frame, NULL, err);
}

static int pids(void *t, struct process *p, struct buffer *b, struct error *err)
{
    (void)t;
    (void)p;
    (void)b;
    (void)err;
    return 0; /* none: a guest is no process of the kernel's */
}

static int stats(void *t, struct process *p, struct process_stats *ret, struct error *err)
{
    (void)t;
    struct holder *h = NULL;
    auto(link_reply) struct link_reply reply = {0};
    int r = holder_of(p, &h, err);
    if (!r)
        r = holder_ask(h, WIRE_STATS, p->key, 0, &reply, err);
    if (r < 0)
        return r;
    *ret = (struct process_stats){.timestamp = clock_wall_ns()};
    ret->cpu_ns = (uint64_t)wire_number(&reply.reader);
    ret->memory_usage = ret->memory_working_set = ret->memory_rss =
        (uint64_t)wire_number(&reply.reader);
    ret->memory_limit = (uint64_t)wire_number(&reply.reader);
    ret->io_read_bytes = (uint64_t)wire_number(&reply.reader);
    ret->io_write_bytes = (uint64_t)wire_number(&reply.reader);
    return 0;
}

static int close_stdin(void *t, struct process *p, struct error *err)
{
    (void)t;
    return ask(p, WIRE_CLOSE_STDIN, 0, err);
}

static int reopen_log(void *t, struct process *p, struct error *err)
{
    (void)t;
    struct holder *h = NULL;
    int r = holder_of(p, &h, err);
    return r < 0 ? r : files_reopen(h, files_number(p), err);
}

static int attach(void *t, struct process *p, bool in, bool out, bool err_, char **ret_address,
                  char **ret_token, struct error *err)
{
    struct wasm *w = t;
    struct holder *h = NULL;
    uint8_t random[16];
    char token[2 * sizeof random + 1];
    auto(buffer) struct buffer frame = {0};
    if (in && !out && !err_)
        return fail_plain(err, EOPNOTSUPP,
                          "the input of a wasm container cannot be attached to yet");
    int r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return fail(err, errno, "make a token");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    autofree char *address = str_format("unix://%s/w/%s", w->options.dir, h->name);
    uint32_t tag = link_tag(h->connection);
    struct wire_writer f = wire_begin(&frame, WIRE_ATTACH, tag);
    wire_put_text(&f, p->key);
    wire_put_text(&f, token);
    wire_put_number(&f, (out ? 1 : 0) | (err_ ? 2 : 0));
    r = wire_end(&f);
    r = r < 0 ? fail(err, r, "attach") : link_call(h->connection, tag, &frame, NULL, err);
    if (r < 0)
        return r;
    *ret_token = strdup(token);
    *ret_address = take_ptr(&address);
    return *ret_token && *ret_address ? 0 : fail(err, ENOMEM, "attach");
}

const struct technique wasm_technique = {
    .name = "wasm",
    .config_until_start = true,
    .recover = recover,
    .sandbox_create = sandbox_create,
    .sandbox_start = sandbox_start,
    .sandbox_stop = sandbox_stop,
    .sandbox_remove = sandbox_remove,
    .create = create,
    .start = start,
    .run = run,
    .signal = send_signal,
    .remove = remove_process,
    .pause = pause_process,
    .resume = resume_process,
    .update = update,
    .pids = pids,
    .stats = stats,
    .close_stdin = close_stdin,
    .reopen_log = reopen_log,
    .attach = attach,
};
