/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void event_log_init(struct event_log *l)
{
    *l = (struct event_log){0};
    list_init(&l->watchers);
}

static struct event *at(const struct event_log *l, size_t i)
{
    return &l->ring[(l->first + i) & (l->size - 1)];
}

static void drop_first(struct event_log *l)
{
    free(at(l, 0)->key);
    l->first = (l->first + 1) & (l->size - 1);
    l->count--;
}

void event_log_done(struct event_log *l)
{
    while (l->count)
        drop_first(l);
    free(l->ring);
    *l = (struct event_log){0};
}

/* Room for one more. Out of memory ends the process: the table and its watchers would differ for
 * ever. */
static void grow(struct event_log *l)
{
    size_t size = l->size ? l->size * 2 : 64;
    struct event *ring = calloc(size, sizeof *ring);
    if (!ring)
        abort();
    for (size_t i = 0; i < l->count; i++)
        ring[i] = *at(l, i);
    free(l->ring);
    l->ring = ring;
    l->size = size;
    l->first = 0;
}

/* What all watchers have taken goes, but for the last EVENTS_KEPT. */
static void trim(struct event_log *l)
{
    if (l->count <= EVENTS_KEPT)
        return;
    uint64_t taken = l->cursor;
    struct event_watcher *w;
    list_each(w, &l->watchers, link) if (!w->dropped && w->cursor < taken) taken = w->cursor;
    while (l->count > EVENTS_KEPT && at(l, 0)->cursor <= taken)
        drop_first(l);
}

static void drop_slow(struct event_log *l)
{
    struct event_watcher *w;
    list_each(w, &l->watchers, link) if (w->cursor < at(l, 0)->cursor)
    {
        w->dropped = true;
        co_queue_wake_all(&w->wake);
    }
}

uint64_t event_log_add(struct event_log *l, bool sandbox, const char *key, bool urgent)
{
    if (l->count >= EVENTS_MAX)
        drop_slow(l);
    trim(l);
    if (l->count == l->size)
        grow(l);
    struct event e = {.cursor = ++l->cursor, .sandbox = sandbox, .key = strdup(key)};
    if (!e.key)
        abort();
    l->count++;
    *at(l, l->count - 1) = e;
    if (urgent)
        l->urgent = e.cursor;
    struct event_watcher *w;
    list_each(w, &l->watchers, link) if (urgent || !w->resting) co_queue_wake_all(&w->wake);
    return e.cursor;
}

bool event_log_has(const struct event_log *l, uint64_t cursor)
{
    uint64_t oldest = l->count ? at(l, 0)->cursor : l->cursor + 1;
    return cursor <= l->cursor && cursor + 1 >= oldest;
}

void event_watch(struct event_log *l, struct event_watcher *w, uint64_t cursor)
{
    *w = (struct event_watcher){.cursor = cursor};
    co_queue_init(&w->wake);
    list_append(&l->watchers, &w->link);
}

void event_rest(const struct event_log *l, struct event_watcher *w)
{
    if (w->cursor < l->urgent || w->dropped)
        return;
    w->resting = true;
    co_queue_wait(&w->wake, clock_mono_ns() + EVENTS_LAZY_MS * NSEC_PER_MSEC);
    w->resting = false;
}

void event_unwatch(struct event_watcher *w)
{
    list_remove(&w->link);
}

const struct event *event_take(struct event_log *l, struct event_watcher *w)
{
    if (w->dropped || w->cursor >= l->cursor)
        return NULL;
    const struct event *e = at(l, (size_t)(w->cursor + 1 - at(l, 0)->cursor));
    w->cursor = e->cursor;
    return e;
}
