/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/reap.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"
#include "wasm/worker/busy.h"
#include "wasm/worker/sched_own.h"
#include "wasm/worker/wasmtime.h"

struct dead {
    struct list link;
    struct wasmtime_store *store;
    bool busy;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static struct list dead = LIST_INIT(dead);

static void bury(struct wasmtime_store *store, bool busy)
{
    wasmtime_store_delete(store);
    if (busy)
        busy_give();
}

static void *reaper(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "reap");
    pthread_mutex_lock(&lock);
    for (;;) {
        struct dead *d = list_first(&dead, struct dead, link);
        if (!d) {
            pthread_cond_wait(&some, &lock);
            continue;
        }
        list_remove(&d->link);
        pthread_mutex_unlock(&lock);
        bury(d->store, d->busy);
        free(d);
        pthread_mutex_lock(&lock);
    }
    return NULL;
}

int reap_init(struct error *err)
{
    return sched_start_thread(reaper, NULL, err);
}

void reap(struct wasmtime_store *store, bool busy)
{
    struct dead *d = malloc(sizeof *d);
    if (!d) {
        bury(store, busy);
        return;
    }
    *d = (struct dead){.store = store, .busy = busy};
    pthread_mutex_lock(&lock);
    list_append(&dead, &d->link);
    pthread_cond_signal(&some);
    pthread_mutex_unlock(&lock);
}
