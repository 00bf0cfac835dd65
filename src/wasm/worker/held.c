/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/held.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wire_create.h"
#include "wasm/worker/busy.h"
#include "wasm/worker/entry.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/module.h"
#include "wasm/worker/sched.h"

enum { TABLE_ELEMENTS_MAX = 1 << 17, TOKEN_WAIT_S = 30, TOKENS_MAX = 256 };

static struct map pods, containers;

struct token {
    struct list link;
    int64_t until;
    unsigned streams;
    char *container;
    char text[];
};
static struct list tokens = LIST_INIT(tokens);
static unsigned token_count;

/* Pods */

static void pod_free(struct held_pod *pod)
{
    sched_group_free(pod->group);
    free(pod->id);
    free(pod->record);
    free(pod);
}

static void *copy(const void *data, size_t len)
{
    void *p = malloc(len ? len : 1);
    return p ? memcpy(p, data, len) : NULL;
}

int held_add_pod(struct wire_reader *r, struct error *err)
{
    size_t len;
    struct wire_cpu cpu;
    const char *id = wire_text(r), *record = wire_bytes(r, &len);
    if (wire_get_cpu(r, &cpu) < 0)
        return fail_plain(err, EPROTO, "a malformed request");
    struct held_pod *pod = calloc(1, sizeof *pod);
    if (!pod)
        return fail(err, ENOMEM, "hold pod '%s'", id);
    list_init(&pod->containers);
    pod->id = strdup(id);
    pod->record = copy(record, len);
    pod->record_len = len;
    bool grouped = cpu.shares || cpu.quota > 0;
    if (grouped)
        pod->group = sched_group_new(&cpu);
    int e =
        pod->id && pod->record && !pod->group == !grouped ? map_add(&pods, pod->id, pod) : -ENOMEM;
    if (e < 0) {
        pod_free(pod);
        return fail(err, e, "hold pod '%s'", id);
    }
    return 0;
}

void held_remove_pod(const char *id)
{
    struct held_pod *pod = map_remove(&pods, id);
    if (!pod)
        return;
    for (struct held *h; (h = list_first(&pod->containers, struct held, link));)
        held_remove(h);
    pod_free(pod);
}

struct held_pod *held_next_pod(size_t *cursor)
{
    return map_next(&pods, cursor);
}

struct held *held_next(size_t *cursor)
{
    return map_next(&containers, cursor);
}

bool held_nothing(void)
{
    return !pods.count && !containers.count;
}

/* Containers */

struct held *held_find(const char *id)
{
    return map_get(&containers, id);
}

/* malloc keeps what a burst took until it is asked. */
static void give_back(void)
{
    enum { WORTH_IT = 1000 };
    static size_t most;
    if (containers.count > most)
        most = containers.count;
    if (most < WORTH_IT || containers.count > most / 2)
        return;
    most = containers.count;
    map_fit(&containers);
    map_fit(&pods);
    malloc_trim(0);
}

void held_free(struct held *h)
{
    guest_done(&h->guest);
    free(h->id);
    free(h->record);
    free(h);
    give_back();
}

static int pack(char *const *v, struct wasi_strings *ret)
{
    auto(buffer) struct buffer b = {0};
    for (size_t i = 0; v[i]; i++)
        if (buffer_append(&b, v[i], strlen(v[i]) + 1) < 0)
            return -ENOMEM;
    ret->count = (uint32_t)strv_len(v);
    ret->len = (uint32_t)b.len;
    ret->data = realloc(b.data, b.len ? b.len : 1);
    b.data = NULL;
    return ret->data ? 0 : -ENOMEM;
}

static int count_busy(struct held *h, const struct wire_create *c, enum wasm_profile profile,
                      struct error *err)
{
    if (profile != WASM_BUSY)
        return 0;
    if (!busy_take()) {
        diag_warning(
            "container '%s' runs dense: this worker may hold %u busy ones, as vm.max_map_count, "
            "addresses and threads allow (0: see the warning about the busy profile)",
            c->id, busy_most());
        return fail_plain(err, EUSERS, "the worker holds no more busy containers");
    }
    h->guest.counted = true;
    h->guest.returns = calloc(1, sizeof *h->guest.returns);
    return h->guest.returns ? 0 : fail(err, ENOMEM, "hold container '%s'", c->id);
}

struct sockets {
    int fds[WIRE_SOCKETS_MAX];
    unsigned taken; /* of the first, by a guest */
};

/* An exec's function; else a reactor's second argument names what is called after _initialize. */
static int choose_entry(struct guest *g, const struct wire_create *c, struct error *err)
{
    const char *entry = *c->entry ? c->entry : NULL;
    if (!entry && g->module->reactor && c->args[0])
        entry = c->args[1];
    if (!entry)
        return 0;
    int r = entry_check(g->module->module, entry, err);
    if (!r && !(g->entry = strdup(entry)))
        r = fail(err, ENOMEM, "hold a container");
    return r;
}

/* Of an exec: its container, which runs. */
static int find_container(const struct wire_create *c, struct held **ret, struct error *err)
{
    *ret = *c->of ? map_get(&containers, c->of) : NULL;
    if (*c->of && (!*ret || (*ret)->told || !(*ret)->guest.module))
        return fail_plain(err, ESRCH, "container '%s' has ended", c->of);
    return 0;
}

static int choose_module(struct held *h, const struct wire_create *c, const struct held *of,
                         struct error *err)
{
    struct guest *g = &h->guest;
    const struct compiled_key *key = of && *c->entry ? &of->guest.module->key : &c->module;
    int r = count_busy(h, c, key->profile, err);
    if (r < 0)
        return r;
    g->module = module_get(key);
    if (!g->module)
        return fail_plain(err, ENOKEY, "the worker has not the module of container '%s'", c->id);
    if (g->counted && !g->module->code)
        return fail_plain(err, EUSERS, "the module of container '%s' cannot be interrupted", c->id);
    return choose_entry(g, c, err);
}

static int choose_limits(struct held *h, const struct wire_create *c, const struct held *of,
                         struct error *err)
{
    struct guest *g = &h->guest;
    uint64_t memory = of ? atomic_load(&of->guest.limits.memory) : c->limits.memory;
    g->limits = (struct guest_limits){memory, TABLE_ELEMENTS_MAX};
    if (sched_join(g, h->pod->group, &c->limits.cpu) < 0 ||
        sched_limit(g, c->limits.cpu_time, (int64_t)c->limits.wall_time) < 0)
        return fail(err, ENOMEM, "hold container '%s'", c->id);
    if (g->module->memory_minimum > memory)
        return fail_plain(
            err, ENOMEM, "the module needs %llu bytes of memory to start, and its limit is %llu",
            (unsigned long long)g->module->memory_minimum, (unsigned long long)memory);
    return 0;
}

/* sockets are taken over where it succeeds; on failure those that were go with h. */
static int fill(struct held *h, const struct wire_create *c, struct sockets *sockets,
                struct error *err)
{
    struct guest *g = &h->guest;
    h->id = strdup(c->id);
    h->record = copy(c->record, c->record_len);
    h->record_len = c->record_len;
    if (!h->id || !h->record || pack(c->args, &g->wasi.args) < 0 || pack(c->env, &g->wasi.env) < 0)
        return fail(err, ENOMEM, "hold container '%s'", c->id);
    struct held *of;
    int r = find_container(c, &of, err);
    if (!r)
        r = choose_module(h, c, of, err);
    if (!r)
        r = choose_limits(h, c, of, err);
    if (r < 0)
        return r;
    g->wasi.files = of ? of->guest.wasi.files : c->files;
    console_init(&g->wasi.console, g, c->files, c->streams);
    r = wasi_listen(&g->wasi, sockets->fds, c->sockets, &sockets->taken, err);
    return r < 0 ? r : wasi_init(&g->wasi, c->preopens, err);
}

static struct held *held_new(struct held_pod *pod)
{
    struct held *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->pod = pod;
    h->guest.owner = h;
    h->guest.wait.deadline = INT64_MAX;
    console_init(&h->guest.wasi.console, &h->guest, 0, 0);
    list_init(&h->guest.link);
    list_init(&h->link);
    return h;
}

int held_create(struct wire_reader *r, int *fds, unsigned *count, struct error *err)
{
    struct wire_create c;
    struct sockets sockets = {0};
    if (wire_get_create(r, &c) < 0)
        return fail_plain(err, EPROTO, "a malformed request");
    if (c.sockets > *count) {
        wire_create_done(&c);
        return fail_plain(err, EPROTO, "a malformed request");
    }
    memcpy(sockets.fds, fds, c.sockets * sizeof *fds);
    *count -= c.sockets;
    memmove(fds, fds + c.sockets, *count * sizeof *fds);
    struct held_pod *pod = map_get(&pods, c.sandbox_id);
    struct held *h = pod ? held_new(pod) : NULL;
    int e = h ? fill(h, &c, &sockets, err)
              : fail(err, pod ? ENOMEM : ENOENT, "hold container '%s'", c.id);
    if (!e) {
        e = map_add(&containers, h->id, h);
        if (e < 0)
            fail(err, e, "hold container '%s'", c.id);
    }
    if (!e)
        list_append(&pod->containers, &h->link);
    else if (h)
        held_free(h);
    if (!e && c.start)
        e = held_start(h, err);
    for (unsigned i = sockets.taken; i < c.sockets; i++)
        close(sockets.fds[i]);
    wire_create_done(&c);
    return e;
}

int held_update(struct held *h, struct wire_reader *r, struct error *err)
{
    struct wire_cpu cpu;
    uint64_t memory = (uint64_t)wire_number(r);
    if (wire_get_cpu(r, &cpu) < 0)
        return fail_plain(err, EPROTO, "a malformed request");
    if (h->told)
        return fail(err, ESRCH, "update container '%s'", h->id);
    uint64_t used = atomic_load(&h->guest.memory);
    if (memory && memory < used)
        return fail_plain(err, EBUSY,
                          "linux.resources.memory.limit: the container has %llu bytes already",
                          (unsigned long long)used);
    if (sched_set_cpu(&h->guest, &cpu) < 0)
        return fail(err, ENOMEM, "update container '%s'", h->id);
    if (memory) {
        atomic_store(&h->guest.limits.memory, memory);
        atomic_store(&h->guest.new_limits, true); /* at its next turn */
    }
    return 0;
}

int held_start(struct held *h, struct error *err)
{
    if (h->guest.started_ns || h->told)
        return fail_plain(err, EPROTO, "container '%s' was started before", h->id);
    h->guest.started_ns = clock_wall_ns();
    sched_start(&h->guest);
    return 0;
}

void held_remove(struct held *h)
{
    map_remove(&containers, h->id);
    list_remove(&h->link);
    h->removed = true;
    h->pod = NULL;
    /* one that a thread runs just now is freed when it has ended: guest_ended() */
    if (h->told || sched_kill(&h->guest, SIGKILL))
        held_free(h);
}

static void close_stdin(struct guest *g, void *arg)
{
    (void)arg;
    g->wasi.console.in_closed = true;
}

int held_close_stdin(struct held *h)
{
    /* a guest that reads just now sees it at its next read: a flag, harmless to set beside */
    if (!sched_with(&h->guest, close_stdin, NULL))
        close_stdin(&h->guest, NULL);
    return 0;
}

/* Attach */

static void token_free(struct token *t)
{
    list_remove(&t->link);
    token_count--;
    free(t->container);
    free(t);
}

int held_expect_attach(struct held *h, const char *token, unsigned streams, struct error *err)
{
    struct token *t;
    int64_t now = clock_mono_ns();
    list_each(t, &tokens, link) if (t->until < now) token_free(t);
    if (token_count >= TOKENS_MAX)
        return fail_plain(err, EBUSY, "too many attachments are being made");
    t = calloc(1, sizeof *t + strlen(token) + 1);
    if (!t || !(t->container = strdup(h->id))) {
        free(t);
        return fail(err, ENOMEM, "attach to container '%s'", h->id);
    }
    strcpy(t->text, token);
    t->streams = streams;
    t->until = now + TOKEN_WAIT_S * NSEC_PER_SEC;
    list_append(&tokens, &t->link);
    token_count++;
    return 0;
}

void held_attach(const char *token, int fd)
{
    struct token *t;
    list_each(t, &tokens, link)
    {
        if (!str_eq(t->text, token))
            continue;
        struct held *h = held_find(t->container);
        if (h && !h->told)
            console_attach(&h->guest.wasi.console, fd, t->streams & 1, t->streams & 2);
        else
            close(fd);
        token_free(t);
        return;
    }
    close(fd);
}
