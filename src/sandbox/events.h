/* SPDX-License-Identifier: Apache-2.0 */
/* What changed in the table, in order. An event names a thing; its state is looked up when it is
 * sent, so that a slow watcher reads the last state once and never an old one. Events are kept
 * until every watcher has taken them, and the last EVENTS_KEPT of them longer, for one that comes
 * back. A watcher that is EVENTS_MAX behind is dropped: it asks for a snapshot.
 *
 * An end is told at once. All else may wait for EVENTS_LAZY_MS, since who asked for it has the answer: a thousand starts a
 * second are a hundred messages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/loop.h"

enum { EVENTS_KEPT = 4096, EVENTS_MAX = 1 << 18, EVENTS_LAZY_MS = 10 };

struct event {
    uint64_t cursor;
    bool sandbox; /* else a process */
    char *key;    /* id, or id/exec_id */
};

struct event_log {
    struct event *ring; /* size is a power of two, or 0 */
    size_t size, first, count;
    uint64_t cursor; /* the last one's; the first is 1 */
    uint64_t urgent; /* the last one's that was to be told at once */
    struct list watchers;
};

struct event_watcher {
    struct list link;
    uint64_t cursor; /* the last one taken */
    bool dropped;
    bool resting; /* in event_rest() */
    struct co_queue wake;
};

void event_log_init(struct event_log *l);
void event_log_done(struct event_log *l);
/* Returns its cursor. urgent: watchers are to tell it at once. */
uint64_t event_log_add(struct event_log *l, bool sandbox, const char *key, bool urgent);
/* Whether nothing after cursor is lost. */
bool event_log_has(const struct event_log *l, uint64_t cursor);
void event_watch(struct event_log *l, struct event_watcher *w, uint64_t cursor);
/* Parks for EVENTS_LAZY_MS, or until there is something urgent for w. */
void event_rest(const struct event_log *l, struct event_watcher *w);
void event_unwatch(struct event_watcher *w);
/* The one after w->cursor, which moves on; NULL where there is none. Valid until the next park. */
const struct event *event_take(struct event_log *l, struct event_watcher *w);
