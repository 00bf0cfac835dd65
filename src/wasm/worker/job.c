/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/job.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/sched.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct job *job_new(struct guest *g)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    list_init(&j->link);
    j->fd = -1;
    j->guest = g;
    g->job = j;
    return j;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    close_fd(&j->fd);
    buffer_done(&j->bytes);
    free(j->disk);
    free(j);
}

struct job *job_take(struct guest *g)
{
    pthread_mutex_lock(&lock);
    struct job *j = g->job && g->job->done ? take_ptr(&g->job) : NULL;
    pthread_mutex_unlock(&lock);
    return j;
}

void job_drop(struct guest *g)
{
    pthread_mutex_lock(&lock);
    struct job *j = take_ptr(&g->job);
    bool ours = j && j->done;
    if (j)
        j->guest = NULL;
    pthread_mutex_unlock(&lock);
    if (ours)
        job_free(j);
}

bool job_end(struct job *j)
{
    pthread_mutex_lock(&lock);
    bool wanted = j->guest;
    j->done = true;
    if (wanted)
        sched_wake(j->guest); /* with the lock: who frees it drops its job before */
    pthread_mutex_unlock(&lock);
    return wanted;
}
