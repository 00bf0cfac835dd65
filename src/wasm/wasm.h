/* SPDX-License-Identifier: Apache-2.0 */
/* wasm: pods whose containers are WebAssembly modules (WASI preview 1), many in one process.
 *
 * Model. The supervisor (technique.c and its neighbours; the program warren-wasm) implements the contract of sandbox/technique.h
 * and places each pod on a worker. A worker (worker.c and its neighbours; warren-wasm-worker) is a process that holds
 * pods: it serves a socket in DIR/w, outlives the supervisor, and ends with its last pod once nobody wants it. A worker serves one
 * tenant, by default a Kubernetes namespace. Beside it is its files process (files/), which alone opens files, as the supervisor told it
 * for each container. Another kind of process, short-lived, compiles a module once per digest into DIR/cache.
 *
 * An idle guest is hibernated (worker/hibernate.h); one of the busy profile computes without checks and is interrupted
 * (worker/interrupt.h).
 *
 * Who owns what. The supervisor has no state of its own that matters: records and states come back from the workers. A worker's
 * control thread owns what it holds (held.h); its scheduler's threads own a guest while they run it (guest.h, sched.h).
 *
 * Locks, in the worker: the scheduler's (queues, deadlines, guest states), the reaper's, those of slots, of attachments, of jobs,
 * of requests, of the outbox, of the disk's queue. None is taken while another is held, but attachments' and jobs' before the scheduler's
 * (sched_free_later, sched_wake). In the files process: the table's, those of shared stacks, of host directories (inside the table's), of logs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sandbox/technique.h"

struct error;

enum wasm_tenant { WASM_BY_NAMESPACE, WASM_BY_NODE, WASM_BY_POD };

struct wasm_options {
    const char *dir;    /* DIR, absolute; made 0700 */
    const char *worker; /* path of warren-wasm-worker */
    enum wasm_tenant tenant;
    unsigned pods_per_worker;
    unsigned threads;      /* of a worker; 0: as many as cores */
    uint64_t memory_limit; /* bytes of linear memory of a container whose spec has no limit */
    uint64_t cache_size;   /* bytes of compiled modules that are kept */
    uint32_t uids; /* the first of the range that workers' and compilers' uids are of; 0: ours */
    bool isolation_required; /* what this machine cannot do of their confinement is an error */
    bool debug;              /* they say which system call ended them */
};

enum { WASM_PODS_PER_WORKER = 50000 };
#define WASM_MEMORY_LIMIT (UINT64_C(1) << 30)
#define WASM_CACHE_SIZE   (UINT64_C(1) << 30)
#define WASM_UIDS         1900000000u /* above what useradd, systemd and container engines hand out */

struct wasm; /* the supervisor: sandboxer_run()'s t */
/* Strings of options are copied. */
int wasm_new(struct wasm **ret, const struct wasm_options *options, struct error *err);
/* Closes the connections to the workers, which go on. */
void wasm_free(struct wasm *w);

extern const struct technique wasm_technique;
