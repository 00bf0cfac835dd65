/* SPDX-License-Identifier: Apache-2.0 */
/* A sandboxer that runs nothing: a model of what one does, for tests of the engine. The world is
 * what "really" runs; it outlives engines and crashes of the sandboxer. With chaos, calls take
 * random time and fail at random, before or after their effect, programs end by themselves, the
 * connection breaks, the sandboxer crashes and comes back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "sandbox/peer.h"

struct fake_process {
    struct list link;
    struct fake_sandbox *sandbox;
    char id[65], exec_id[65];
    enum sandbox_state state;
    pid_t pid;
    int64_t started_ns, exited_ns;
    uint32_t exit_status;
    bool oom_killed;
    int pending_signal;
    bool stubborn;            /* ends by SIGKILL only */
    char out[160], err_[160]; /* where an exec writes */
    char *spec;
};

struct fake_sandbox {
    struct list link;
    char id[65];
    enum sandbox_state state;
    pid_t pid;
    struct list processes;
};

/* What became of a container, for comparison with what the engine says. */
struct fake_truth {
    struct list link;
    char id[65];
    bool exited, lost;
    uint32_t status;
};

struct world {
    struct list sandboxes;
    struct list truths;
    struct fake_peer *peer; /* the engine's end, or NULL */
    uint32_t generation;    /* of the sandboxer's process */
    uint32_t watches;       /* of the connection that reports come by; calls have others */
    bool up, ticking;
    int next_pid;
    /* 0 to n-1; without chaos always n-1, which means that nothing goes wrong */
    uint32_t (*random)(uint32_t n);
    unsigned fail_1_in, break_1_in, exit_1_in, crash_1_in, lose_1_in; /* 0: never */
    unsigned
        kill_1_in; /* calls after whose effect, before their answer, the engine should be killed: sets kill_engine */
    bool kill_engine;
    int create_error; /* what the next create() fails with, once */
    int hang_ms;      /* what the next start() takes longer, once */
    bool report_late; /* hold reports back */
    unsigned calls[16];
    void (*tell)(const char *format, ...); /* what happens by itself; NULL: nobody listens */
};
enum fake_call {
    CALL_CREATE,
    CALL_START,
    CALL_REMOVE,
    CALL_SHUTDOWN,
    CALL_STOP,
    CALL_KILL,
    CALL_REOPEN
};

void world_init(struct world *w);
void world_done(struct world *w);
/* Starts the coroutine that ends programs; it leaves after world_rest(). */
void world_start(struct world *w);
void world_rest(struct world *w);

/* The engine's end; owned by the engine. */
struct peer *world_connect(struct world *w);

/* What happens by itself. */
void world_exit(struct world *w, struct fake_process *p, uint32_t status);
/* The holder dies: all ends with 137. */
void world_sandbox_dies(struct world *w, struct fake_sandbox *s);
/* The sandboxer goes; what runs goes on. */
void world_crash(struct world *w);
void world_restart(struct world *w);
/* Gone without a trace, as when a holder dies while its sandboxer is away. */
void world_lose(struct world *w, struct fake_sandbox *s);

struct fake_sandbox *world_sandbox(struct world *w, const char *id);
struct fake_process *world_process(struct world *w, const char *id, const char *exec_id);
struct fake_truth *world_truth(struct world *w, const char *id); /* NULL: never started */
unsigned world_count(const struct world *w);                     /* sandboxes and processes */
