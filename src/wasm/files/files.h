/* SPDX-License-Identifier: Apache-2.0 */
/* The files process: a worker's hands in the file system. It opens what guests open and writes their logs, so that the worker
 * needs no right to any file.
 *
 * Model. warren-wasm-worker forks before it has threads: the parent becomes the files process, the child the worker. Two socketpairs
 * join them: one of packets for requests, one of bytes for log records. When either ends, the other does: the worker is killed with its
 * parent, and the files process ends when the worker's end of the log is at its end and all of it is written. */
#pragma once

struct error;

struct files_options {
    int listen;   /* where the supervisor connects; taken over */
    int requests; /* the worker's; SOCK_SEQPACKET */
    int records;  /* the worker's; SOCK_STREAM */
};

/* Serves until the worker has ended; 0. On the thread that forked. */
int files_run(const struct files_options *options, struct error *err);
