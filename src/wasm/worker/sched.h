/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's scheduler: run queues (fair.h) served by compute threads, one heap of deadlines, one epoll for what guests
 * wait for. A ticker advances Wasmtime's epoch when a turn is over, so that every guest yields after a slice;
 * guests whose code checks none have threads of their own, and are held and let go (compute_busy.c).
 *
 * One lock guards the queues, the heap and the state of every guest. Guests are taken out of PARKED by the control
 * thread, in sched_turn(), and by who has done what they wait for, in sched_wake().
 *
 * A thread whose turn does not end (a bulk memory operation) keeps nobody waiting: one of the spare threads goes on in its
 * place, and the guest's next turns are on slow threads, of which there are as many as cores.
 *
 * Who wakes for little comes first, in this worker and in all others beside it. A guest that has not computed for long has short turns
 * on quick threads; one that has, for a slice more than a quarter of the time that it waited, has its turns on usual threads, of a
 * higher nice value, as the slow ones and the busy guests' are. Nice values count among threads of one scheduling group of the
 * kernel's, which is why workers are in one session. Slices of the kernel's (sched_setattr(2), SCHED_OTHER) are left as they are: where threads of
 * different ones compute, Linux 6.18 kept others waiting for up to 10 s. A thread may be preempted at any time, so none holds a lock while it wakes another
 * or makes a system call that takes long.
 *
 * A guest's states, and what leads from one to another:
 *
 *     CREATED    sched_start                              QUEUED
 *     QUEUED     a compute thread takes it                RUNNING
 *     RUNNING    it waits for something                   PARKED
 *                its slice is over                        QUEUED, or THROTTLED where its quota is used up
 *                it is done, or was killed                ENDED
 *     PARKED     what it waits for has come               QUEUED or THROTTLED
 *                for a second already                     RESTING: the thread of rest.c hibernates it
 *     RESTING    hibernated                               PARKED; QUEUED or THROTTLED where its wait ended meanwhile
 *     THROTTLED  its next period                          QUEUED
 *     HELD       sched_pause: in place of QUEUED and THROTTLED, until it is resumed
 *
 * A kill leads from RUNNING and RESTING to ENDED on the thread that holds it, and from all others by way of RUNNING on the control
 * thread. A pod over its quota keeps its QUEUED guests from being taken. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct error;
struct guest;
struct wire_cpu;
struct sched_control; /* quota and limits of a guest that has any */
struct sched_group;   /* a pod with CPU resources of its own */

/* A descriptor in the control thread's epoll. ready is called on the control thread. */
struct sched_watch {
    void (*ready)(struct sched_watch *w, uint32_t events);
    struct guest *guest; /* of a guest's wait; else NULL */
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT */
};

struct sched_timer {
    uint32_t at; /* place in the heap of deadlines plus 1 */
    uint32_t kind;
};

enum { SCHED_SLICE_MS = 2 };

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

/* A pod's share of the CPU; NULL with errno. Its guests keep it until they have left. */
struct sched_group *sched_group_new(const struct wire_cpu *cpu);
void sched_group_free(struct sched_group *group); /* NULL is allowed */

/* Of one that was not started. group: NULL for none. -ENOMEM. */
int sched_join(struct guest *g, struct sched_group *group, const struct wire_cpu *cpu);
/* It ends after so many ns of CPU time, or of time since its start; 0: no limit. -ENOMEM. */
int sched_limit(struct guest *g, uint64_t cpu_ns, int64_t wall_ns);
/* Changes what cpu says, and leaves the rest. -ENOMEM. */
int sched_set_cpu(struct guest *g, const struct wire_cpu *cpu);
/* Before its memory goes; it never ran, or has ended. */
void sched_leave(struct guest *g);

/* Makes a created guest run. */
void sched_start(struct guest *g);
/* Ends one that has not ended, by signal; one that runs on another thread ends within a tick and is then told by ended().
 * True where it has ended at once. Control thread. */
bool sched_kill(struct guest *g, int signal);
/* What g waits for beside its deadline and descriptors has come: it runs, or will not be parked the next time. Any thread, while
 * g is not freed. */
void sched_wake(struct guest *g);
/* Pausing and SIGSTOP are two holds: it goes on when neither is there. One that runs stops at once, unless it is in a bulk
 * memory operation. */
enum sched_hold { SCHED_PAUSED = 1, SCHED_STOPPED = 2 };
void sched_pause(struct guest *g, enum sched_hold hold, bool on);
/* CPU time in ns, that of the turn under way as well. */
uint64_t sched_cpu_ns(struct guest *g);
/* Calls fn(g, arg) while nobody runs it, and returns true; false where it is running just now. */
bool sched_with(struct guest *g, void (*fn)(struct guest *g, void *arg), void *arg);
