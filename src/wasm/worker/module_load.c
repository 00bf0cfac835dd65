/* SPDX-License-Identifier: Apache-2.0 */
/* Loading on a thread of its own, which is there while there is something to load. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/module.h"
#include "wasm/worker/sched.h"

struct waiting {
    struct list link;
    module_done *done;
    void *arg;
};

struct loading {
    struct list all;  /* control thread: until it is told */
    struct list link; /* the lock's: what is to be done, then what is */
    struct compiled_key key;
    int fd;
    struct module *module;
    struct error err;
    struct list waiting;
};

static struct list all = LIST_INIT(all);
static struct sched_watch watch = {.fd = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards these */
static struct list queue = LIST_INIT(queue), loaded = LIST_INIT(loaded);
static bool running;

static void *load_all(void *arg)
{
    uint64_t one = 1;
    (void)arg;
    pthread_mutex_lock(&lock);
    for (struct loading *l; (l = list_first(&queue, struct loading, link));) {
        list_remove(&l->link);
        pthread_mutex_unlock(&lock);
        module_new(l->fd, &l->key, &l->module, &l->err);
        pthread_mutex_lock(&lock);
        list_append(&loaded, &l->link);
        if (write(watch.fd, &one, sizeof one) < 0)
            abort(); /* a counter that nobody read 2^64 times */
    }
    running = false;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void tell(struct loading *l)
{
    struct waiting *w;
    list_remove(&l->all);
    if (l->module)
        module_add(l->module);
    list_each(w, &l->waiting, link)
    {
        list_remove(&w->link);
        w->done(w->arg, l->err.code, &l->err);
        free(w);
    }
    close(l->fd);
    free(l);
}

static void tell_loaded(struct sched_watch *w, uint32_t events)
{
    uint64_t n;
    (void)events;
    if (read(w->fd, &n, sizeof n) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&lock);
        struct loading *l = list_first(&loaded, struct loading, link);
        if (l)
            list_remove(&l->link);
        pthread_mutex_unlock(&lock);
        if (!l)
            return;
        tell(l);
    }
}

/* What the thread needs. */
static int set_up(enum wasm_profile profile)
{
    module_linker(profile);
    if (watch.fd >= 0)
        return 0;
    watch = (struct sched_watch){.ready = tell_loaded, .events = EPOLLIN};
    watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = watch.fd < 0 ? -errno : sched_watch_add(&watch);
    if (r < 0)
        close_fd(&watch.fd);
    return r;
}

static int start(void)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, load_all, NULL);
    if (!r)
        pthread_detach(thread);
    return -r;
}

static int enqueue(struct loading *l)
{
    pthread_mutex_lock(&lock);
    list_append(&queue, &l->link);
    int r = running ? 0 : start();
    running = running || !r;
    if (r < 0)
        list_remove(&l->link);
    pthread_mutex_unlock(&lock);
    return r;
}

static struct loading *find(const struct compiled_key *key)
{
    struct loading *l;
    list_each(l, &all, all) if (compiled_key_eq(&l->key, key)) return l;
    return NULL;
}

static struct loading *loading_new(int fd, const struct compiled_key *key)
{
    struct loading *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->key = *key;
    l->fd = fd;
    list_init(&l->all);
    list_init(&l->link);
    list_init(&l->waiting);
    return l;
}

int module_load(int fd, const struct compiled_key *key, module_done *done, void *arg,
                struct error *err)
{
    autoclose int file = fd;
    struct loading *l = find(key);
    struct waiting *w = malloc(sizeof *w);
    int r = w ? set_up(key->profile) : -ENOMEM;
    if (!r && !l) {
        l = loading_new(file, key);
        r = l ? enqueue(l) : -ENOMEM;
        if (r < 0) {
            free(l);
        } else {
            take_fd(&file);
            list_append(&all, &l->all);
        }
    }
    if (r < 0) {
        free(w);
        return fail(err, r, "load a compiled module");
    }
    *w = (struct waiting){.done = done, .arg = arg};
    list_append(&l->waiting, &w->link);
    return 0;
}
