/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's scheduler: one run queue served by compute threads, one heap of deadlines, one epoll for what guests
 * wait for. A ticker advances Wasmtime's epoch while anything computes, so that every guest yields after a slice.
 *
 * One lock guards the queue, the heap and the state of every guest. The control thread alone takes guests out of PARKED, by
 * sched_turn(). A thread whose turn does not end (a
 * bulk memory operation, a slow disk) keeps nobody waiting: one of the spare threads goes on in its place. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct error;
struct guest;

/* A descriptor in the control thread's epoll. ready is called on the control thread. */
struct sched_watch {
    void (*ready)(struct sched_watch *w, uint32_t events);
    struct guest *guest; /* of a guest's wait; else NULL */
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT */
};

enum { SCHED_TICK_MS = 2 };

/* Starts the ticker and the compute threads, of which threads (0: as many as there are cores) compute at a
 * time. ended is called on the control thread for each guest that has ended by itself. */
int sched_init(unsigned threads, void (*ended)(struct guest *g), struct error *err);
int sched_watch_add(struct sched_watch *w);
void sched_watch_change(struct sched_watch *w, uint32_t events);
/* The watch may be freed by sched_free_later() only: its event may have been fetched already. */
void sched_watch_remove(struct sched_watch *w);
void sched_free_later(void *p);

/* Control thread: waits for what comes first (at most max_ns), and serves it. */
void sched_turn(int64_t max_ns);

/* Makes a created guest run. */
void sched_start(struct guest *g);
/* Ends one that has not ended, by signal; one that runs on another thread ends within a tick and is then told by ended().
 * True where it has ended at once. Control thread. */
bool sched_kill(struct guest *g, int signal);
void sched_pause(struct guest *g, bool paused);
/* Calls fn(g, arg) while nobody runs it, and returns true; false where it is running just now. */
bool sched_with(struct guest *g, void (*fn)(struct guest *g, void *arg), void *arg);
