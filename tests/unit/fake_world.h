/* SPDX-License-Identifier: Apache-2.0 */
/* What the model (fake_world.c) and the calls to it (fake_peer.c) share. */
#pragma once

#include "fake_peer.h"

struct report {
    struct list link;
    bool is_sandbox;
    char id[65], exec_id[65], sandbox_id[65];
    struct peer_sandbox_state sandbox;
    struct peer_process_state process;
};

struct fake_peer {
    struct peer peer;
    struct world *world;
    const struct peer_observer *observer;
    void *arg;
    bool watching, closed;
    bool connected; /* the snapshot was taken, reports are kept */
    uint32_t generation, watch;
    struct list reports;
    struct co *watcher;
};

#define tell(w, ...)                                                                               \
    do {                                                                                           \
        if ((w)->tell)                                                                             \
            (w)->tell(__VA_ARGS__);                                                                \
    } while (0)

bool world_chance(struct world *w, unsigned n);
void world_free_process(struct fake_process *p);
void world_free_sandbox(struct fake_sandbox *s);
void world_truth_begins(struct world *w, const struct fake_process *p);
void world_report(struct world *w, const struct fake_sandbox *s, const struct fake_process *p);
void world_pause(struct world *w);
void world_end_sandbox(struct world *w, struct fake_sandbox *s);
void world_watch(struct peer *peer, const struct peer_observer *observer, void *arg);
void world_free_peer(struct peer *peer);
bool world_connected(struct peer *peer);
