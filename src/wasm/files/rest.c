/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/rest.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { REST_MS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static atomic_bool wanted;

void rest_wanted(void)
{
    if (atomic_load(&wanted) || atomic_exchange(&wanted, true))
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&some);
    pthread_mutex_unlock(&lock);
}

void rest_run(bool (*const functions[])(void), size_t count)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!atomic_exchange(&wanted, false))
            pthread_cond_wait(&some, &lock);
        pthread_mutex_unlock(&lock);
        for (bool left = true; left;) {
            poll(NULL, 0, REST_MS);
            left = false;
            for (size_t i = 0; i < count; i++)
                left |= functions[i]();
        }
    }
}
