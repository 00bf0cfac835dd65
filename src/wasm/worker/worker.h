/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: the process that holds pods. It serves its socket on the control thread, and guests on the scheduler's. It
 * outlives the supervisor, and ends when it holds nothing and nobody wants it. */
#pragma once

#include <sys/types.h>

struct error;

struct worker_options {
    int listen;            /* its socket, listening; taken over */
    unsigned threads;      /* 0: as many as cores */
    pid_t pid;             /* as the supervisor sees it */
    int requests, records; /* to the files process: files/files.h */
};

/* Serves until the end; 0. */
int worker_run(const struct worker_options *options, struct error *err);
