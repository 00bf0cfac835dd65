/* SPDX-License-Identifier: Apache-2.0 */
/* A worker, as the supervisor holds it. */
#include "wasm/supervisor/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "sandbox/server.h"

enum { IDLE_MS = 10000, EXIT_KILLED = 128 + SIGKILL, KEY_MAX = 1024 };

void holder_handle_closed(uv_handle_t *h)
{
    free(h);
}

void holder_free(struct holder *h)
{
    if (h->users)
        return; /* the last of them frees it */
    link_free(h->connection);
    link_free(h->files);
    if (h->idle)
        uv_close((uv_handle_t *)h->idle, holder_handle_closed);
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

void holder_idle(struct holder *h)
{
    uv_timer_start(h->idle, idle_over, IDLE_MS, 0);
}

struct holder *holder_new(struct wasm *w, const char *key, const char *name)
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

char *holder_files_name(const struct holder *h)
{
    return str_format("%s.f", h->name);
}

static char *key_name_of(const struct holder *h)
{
    return str_format("%s.k", h->name);
}

int holder_keep_key(const struct holder *h, struct error *err)
{
    autofree char *name = key_name_of(h);
    return name ? file_replace(h->wasm->sockets, name, h->key, strlen(h->key), 0600, false, err)
                : fail(err, ENOMEM, "start a worker");
}

int holder_recall_key(struct holder *h, struct error *err)
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
    autofree char *files = holder_files_name(h), *key = key_name_of(h);
    if (!*h->name)
        return;
    unlinkat(h->wasm->sockets, h->name, 0);
    if (files)
        unlinkat(h->wasm->sockets, files, 0);
    if (key)
        unlinkat(h->wasm->sockets, key, 0);
}

void holder_died(void *arg)
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
