/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of warren-wasm-worker give up, so that who takes one over has nothing. Before threads, on the one thread there is.
 *
 * Three processes hold guests: the one that is started leaves the host's process ids and makes the files process (1 in a pid namespace) and
 * goes; that one makes the worker (2), which the kernel kills with it. The worker has no right at all: an empty read-only root, a uid of
 * its own, namespaces of its own, no capability, Landlock without a rule, and the system calls that it makes. The files process keeps the host's
 * files and the six capabilities that serving file systems of many owners to many users takes. The compiler is as the worker,
 * with fewer calls.
 *
 * What a machine cannot do is left out with a warning, or is an error where it is required. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct confine {
    uint32_t uids; /* the first of CONFINE_UIDS, one a process: this plus its pid; 0: keep ours */
    bool required; /* what cannot be had is an error */
    bool debug;    /* a call that is not allowed is named on standard error first */
};
enum { CONFINE_UIDS = 1 << 22 }; /* the most that pid_max can be */

/* This process's pid as its /proc has it: that of the supervisor's namespace, while the root is the host's. */
pid_t confine_pid(void);

/* Forks, as fork(2), into a pid namespace of the child's own. */
pid_t confine_fork(const struct confine *c, struct error *err);

int confine_files(const struct confine *c, struct error *err);
int confine_worker(const struct confine *c, struct error *err);
/* Descriptors 0 to 2 alone stay open. */
int confine_compiler(const struct confine *c, struct error *err);
