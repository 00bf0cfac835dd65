/* SPDX-License-Identifier: Apache-2.0 */
/* What blocks, on a thread of the pool, for a request: with a pipe that carries the request's body to it and one that carries its
 * output to the client.
 *
 *     struct job job;
 *     job_start(&job, run, arg, err);   run(arg, in, out, err) on the pool; in and out are closed when it returns
 *     job_feed(&job, r);                the body
 *     job_drain(&job, r, type);         the output; begins the answer with its first byte
 *     job_finish(&job, err);            what run returned; always called */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct co;
struct http_request;

typedef int job_fn(void *arg, int in, int out, struct error *err);

struct job {
    job_fn *fn;
    void *arg;
    int in, out;     /* the thread's ends */
    int feed, drain; /* ours, non-blocking */
    struct co *waiter;
    bool done;
    bool cancelled; /* the body ended early; set atomically, before feed is closed */
    bool streaming; /* the answer has begun */
    int status;
    struct error err;
};

/* For a coroutine. job stays where it is until job_finish(). Where this fails there is nothing to finish. */
int job_start(struct job *j, job_fn *fn, void *arg, struct error *err);
void job_feed(struct job *j, struct http_request *r);
void job_drain(struct job *j, struct http_request *r, const char *content_type);
int job_finish(struct job *j, struct error *err);
