/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/worker.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wire.h"
#include "wasm/worker/ask.h"
#include "wasm/worker/connection.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/held.h"
#include "wasm/worker/module.h"
#include "wasm/worker/quiet.h"
#include "wasm/worker/resident.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched.h"

enum { HELLO_WAIT_S = 30, LOG_WAIT_S = 5 };
enum { HEAP_STEP = 1 << 20, HEAP_SPARE = 16 << 20 };

static struct {
    struct connection *supervisor; /* NULL while there is none */
    unsigned supervisors;          /* so far */
    struct list ending;            /* guests that have ended, and whose log is not written yet */
    pid_t pid;
    bool retired, seen_supervisor;
} worker = {.ending = LIST_INIT(worker.ending)};

/* What guests tell */

static void put_exit(struct held *h)
{
    if (!worker.supervisor)
        return; /* HELLO tells it later */
    struct wire_writer w = wire_begin(&worker.supervisor->out, WIRE_EXITED, 0);
    wire_put_text(&w, h->id);
    wire_put_number(&w, h->guest.exited_ns);
    wire_put_number(&w, h->guest.exit_status);
    wire_put_text(&w, h->guest.message);
    wire_end(&w);
}

static void guest_ended(struct guest *g);

/* An exec does not outlive its container. */
static void end_execs(const struct held *container)
{
    struct held *h;
    list_each(h, &container->pod->containers, link)
    {
        const char *rest = str_after(h->id, container->id);
        if (rest && *rest == '/' && !h->told && sched_kill(&h->guest, SIGKILL))
            guest_ended(&h->guest);
    }
}

static void tell_end(struct held *h)
{
    struct guest *g = &h->guest;
    h->told = true;
    if (!h->removed)
        end_execs(h);
    console_hang_up(&g->wasi.console);
    if (h->removed) {
        held_free(h);
        return;
    }
    put_exit(h);
    if (worker.supervisor && !connection_flush(worker.supervisor))
        connection_close(worker.supervisor);
}

/* Its last words come before its end. */
static void guest_ended(struct guest *g)
{
    struct held *h = g->owner;
    if (console_written(&g->wasi.console)) {
        tell_end(h);
        return;
    }
    h->wait = clock_mono_ns() + LOG_WAIT_S * NSEC_PER_SEC;
    list_append(&worker.ending, &g->link);
}

/* Tells of those whose log is written, or has had its time. */
static void tell_ending(void)
{
    struct guest *g;
    int64_t now = clock_mono_ns();
    list_each(g, &worker.ending, link)
    {
        struct held *h = g->owner;
        if (h->wait > now && !console_written(&g->wasi.console))
            continue;
        list_remove(&g->link);
        tell_end(h);
    }
}

/* When the next one has had its time. */
static int64_t next_ending(void)
{
    struct guest *first = list_first(&worker.ending, struct guest, link);
    const struct held *h = first ? first->owner : NULL;
    return h ? h->wait : INT64_MAX;
}

/* Requests */

static void reply(struct connection *c, uint32_t tag, int code, const struct error *err)
{
    struct wire_writer w = wire_begin(&c->out, WIRE_REPLY, tag);
    wire_put_number(&w, code);
    wire_put_text(&w, code < 0 ? err->message : "");
    wire_end(&w);
}

static void put_item(struct buffer *out, uint32_t tag, const struct held *h)
{
    struct wire_writer w = wire_begin(out, WIRE_PROCESS, tag);
    wire_put_text(&w, h->pod->id);
    wire_put_text(&w, h->id);
    wire_put_bytes(&w, h->record, h->record_len);
    wire_put_number(&w, h->guest.started_ns);
    wire_put_number(&w, h->told ? h->guest.exited_ns : 0);
    wire_put_number(&w, h->guest.exit_status);
    wire_put_number(&w, h->guest.paused);
    wire_put_text(&w, h->told ? h->guest.message : "");
    wire_put_number(&w, (int64_t)h->guest.wasi.console.files);
    wire_end(&w);
}

static void hello(struct connection *c, struct wire_reader *r)
{
    struct error err = {0};
    int64_t version = wire_number(r);
    if (version != WIRE_VERSION) {
        reply(c, r->tag, fail_plain(&err, EPROTO, "this worker is of another version"), &err);
        return;
    }
    if (worker.supervisor && worker.supervisor != c)
        connection_close(worker.supervisor);
    quiet_begin(connection_take_fd(c));
    worker.supervisor = c;
    worker.supervisors++;
    worker.seen_supervisor = true;
    worker.retired = false;
    size_t i = 0, k;
    for (struct held_pod *pod; (pod = held_next_pod(&i));) {
        struct wire_writer w = wire_begin(&c->out, WIRE_SANDBOX, r->tag);
        wire_put_text(&w, pod->id);
        wire_put_bytes(&w, pod->record, pod->record_len);
        wire_end(&w);
    }
    k = 0;
    for (struct held *h; (h = held_next(&k));)
        put_item(&c->out, r->tag, h);
    struct wire_writer w = wire_begin(&c->out, WIRE_REPLY, r->tag);
    wire_put_number(&w, 0);
    wire_put_text(&w, "");
    wire_put_number(&w, worker.pid);
    wire_end(&w);
}

static void stats(struct connection *c, uint32_t tag, struct held *h)
{
    struct wire_writer w = wire_begin(&c->out, WIRE_REPLY, tag);
    wire_put_number(&w, 0);
    wire_put_text(&w, "");
    wire_put_number(&w, (int64_t)sched_cpu_ns(&h->guest));
    wire_put_number(&w, (int64_t)guest_resident(&h->guest));
    wire_put_number(&w, (int64_t)h->guest.limits.memory);
    wire_put_number(&w, (int64_t)h->guest.read_bytes);
    wire_put_number(&w, (int64_t)h->guest.written_bytes);
    wire_end(&w);
}

struct module_asker {
    unsigned supervisor; /* worker.supervisors: another would not know the tag */
    uint32_t tag;
};

static void module_loaded(void *arg, int code, const struct error *err)
{
    struct module_asker *a = arg;
    if (worker.supervisor && a->supervisor == worker.supervisors) {
        reply(worker.supervisor, a->tag, code, err);
        if (!connection_flush(worker.supervisor))
            connection_close(worker.supervisor);
    }
    free(a);
}

/* Answered when it is loaded. -errno: will not be. */
static int load_module(struct connection *c, struct wire_reader *r, struct error *err)
{
    size_t len;
    struct compiled_key key;
    const char *digest = wire_bytes(r, &len);
    int64_t profile = wire_number(r);
    autoclose int fd = connection_take_fd(c);
    if (fd < 0 || len != SHA256_LEN || profile < 0 || profile >= WASM_PROFILES ||
        c != worker.supervisor)
        return fail_plain(err, EPROTO, "a malformed request");
    struct module_asker *a = malloc(sizeof *a);
    if (!a)
        return fail(err, ENOMEM, "load a compiled module");
    memcpy(key.digest, digest, SHA256_LEN);
    key.profile = (enum wasm_profile)profile;
    *a = (struct module_asker){worker.supervisors, r->tag};
    int e = module_load(take_fd(&fd), &key, module_loaded, a, err);
    if (e < 0)
        free(a);
    return e;
}

static int send_signal(struct held *h, int signal, struct error *err)
{
    if (h->told || atomic_load(&h->guest.kill))
        return h->told ? fail(err, ESRCH, "signal container '%s'", h->id) : 0;
    switch (signal) {
    case SIGCONT:
        sched_pause(&h->guest, SCHED_STOPPED, false);
        return 0;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        sched_pause(&h->guest, SCHED_STOPPED, true);
        return 0;
    case 0:
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH: /* what a process without a handler ignores */
        return 0;
    default:
        if (signal < 0 || signal > SIGRTMAX)
            return fail_plain(err, EINVAL, "%d is no signal", signal);
    }
    if (sched_kill(&h->guest, signal))
        guest_ended(&h->guest);
    return 0;
}

static int serve_held(struct wire_reader *r, struct error *err)
{
    const char *id = wire_text(r);
    struct held *h = held_find(id);
    if (r->type == WIRE_REMOVE && !h)
        return 0;
    if (!h)
        return fail_plain(err, ENOENT, "the worker has no container '%.130s'", id);
    switch (r->type) {
    case WIRE_START:
        return held_start(h, err);
    case WIRE_SIGNAL:
        return send_signal(h, (int)wire_number(r), err);
    case WIRE_REMOVE:
        held_remove(h);
        return 0;
    case WIRE_PAUSE:
        sched_pause(&h->guest, SCHED_PAUSED, wire_number(r));
        return 0;
    case WIRE_UPDATE:
        return held_update(h, r, err);
    case WIRE_CLOSE_STDIN:
        return held_close_stdin(h);
    case WIRE_ATTACH: {
        const char *token = wire_text(r);
        return held_expect_attach(h, token, (unsigned)wire_number(r), err);
    }
    default:
        return fail_plain(err, EPROTO, "unknown request %d", r->type);
    }
}

static void serve(struct connection *c, struct wire_reader *r)
{
    struct error err = {0};
    int code;
    switch (r->type) {
    case WIRE_HELLO:
        hello(c, r);
        return;
    case WIRE_SANDBOX_ADD:
        code = held_add_pod(r, &err);
        break;
    case WIRE_SANDBOX_REMOVE:
        held_remove_pod(wire_text(r));
        code = 0;
        break;
    case WIRE_CREATE:
        code = held_create(r, c->received, &c->received_count, &err);
        break;
    case WIRE_MODULE:
        code = load_module(c, r, &err);
        if (!code)
            return;
        break;
    case WIRE_RETIRE:
        worker.retired = true;
        code = 0;
        break;
    case WIRE_STATS: {
        struct held *h = held_find(wire_text(r));
        if (h) {
            stats(c, r->tag, h);
            return;
        }
        code = fail_plain(&err, ENOENT, "the worker has no such container");
        break;
    }
    default:
        code = serve_held(r, &err);
    }
    if (!r->tag)
        return;
    reply(c, r->tag, r->bad ? fail_plain(&err, EPROTO, "a malformed request") : code, &err);
}

static void connection_closed(struct connection *c)
{
    if (worker.supervisor != c)
        return;
    quiet_end();
    worker.supervisor = NULL;
}

/* Guests' stores are nearly all of the heap. In glibc's other arenas it would grow by a page and an mprotect() at a time. */
static void arrange_heap(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TOP_PAD, HEAP_STEP);
    mallopt(M_TRIM_THRESHOLD, HEAP_SPARE);
}

static const struct connection_handler connection_handler = {serve, connection_closed};

int worker_run(const struct worker_options *options, struct error *err)
{
    signal(SIGPIPE, SIG_IGN);
    arrange_heap();
    worker.pid = options->pid;
    runtime_engine(WASM_DENSE); /* before the threads that use it */
    int r = sched_init(options->threads, guest_ended, err);
    if (r < 0)
        return r;
    r = connections_init(options->listen, &connection_handler, err);
    if (!r)
        r = ask_init(options->requests, err);
    if (!r)
        r = outbox_init(options->records, tell_ending, err);
    if (r < 0)
        return r;
    int64_t born = clock_mono_ns();
    for (;;) {
        bool wanted = worker.supervisor ? !worker.retired
                                        : !worker.seen_supervisor &&
                                              clock_mono_ns() - born < HELLO_WAIT_S * NSEC_PER_SEC;
        if (!wanted && held_nothing() && list_empty(&worker.ending)) {
            outbox_drain();
            return 0;
        }
        int64_t left = next_ending() - clock_mono_ns();
        sched_turn(left < HELLO_WAIT_S * NSEC_PER_SEC ? left > 0 ? left : 0
                                                      : HELLO_WAIT_S * NSEC_PER_SEC);
        if (left <= 0)
            tell_ending();
    }
}
