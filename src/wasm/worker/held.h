/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker holds: pods and their containers, with the records that the supervisor gave. Control thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wasm/wire_create.h"
#include "wasm/worker/guest.h"

struct held_pod {
    char *id;
    void *record;
    size_t record_len;
    struct list containers;
    struct sched_group *group; /* NULL for a pod without CPU resources of its own */
};

struct held {
    struct guest guest;
    char *id;
    struct held_pod *pod;
    struct list link;
    void *record;
    size_t record_len;
    bool told;    /* its end is known: its log is written, and the supervisor has been told */
    int64_t wait; /* until when its end waits for its log (clock_mono_ns); 0: it does not */
    bool removed; /* goes as soon as it has ended */
};

/* A SANDBOX_ADD request. */
int held_add_pod(struct wire_reader *r, struct error *err);
/* With all that is in it; what runs is killed. */
void held_remove_pod(const char *id);
/* A CREATE request, which takes its descriptors, the first of *count in fds, out of there. */
int held_create(struct wire_reader *r, int *fds, unsigned *count, struct error *err);
struct held *held_find(const char *id); /* NULL where there is none */
/* What an UPDATE request says after the id. -EBUSY: more memory than that is in use. */
int held_update(struct held *h, struct wire_reader *r, struct error *err);
int held_start(struct held *h, struct error *err);
int held_close_stdin(struct held *h);
/* Takes it away; one that runs is killed first. */
void held_remove(struct held *h);
void held_free(struct held *h);

/* The next connection that brings token is attached. streams: 1 output, 2 error output. */
int held_expect_attach(struct held *h, const char *token, unsigned streams, struct error *err);
void held_attach(const char *token, int fd); /* takes fd */

struct held_pod *held_next_pod(size_t *cursor);
struct held *held_next(size_t *cursor);
bool held_nothing(void);
