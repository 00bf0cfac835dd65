/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "wasm/supervisor/compiler.h"
#include "wasm/supervisor/digests.h"
#include "wasm/supervisor/once.h"
#include "wasm/supervisor/shelf.h"

enum { COMPILERS_MAX = 2, ATTEMPTS = 3 };

struct cache {
    const struct program *program;
    struct digests *digests;
    struct shelf *shelf;
    struct list compiling;
    unsigned compilers;
    struct co_queue room;
};

int cache_new(struct cache **ret, const char *dir, uint64_t limit, const struct program *program,
              struct error *err)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c || !(c->digests = digests_new())) {
        cache_free(c);
        return fail(err, ENOMEM, "open the cache of compiled modules");
    }
    c->program = program;
    list_init(&c->compiling);
    co_queue_init(&c->room);
    int r = shelf_open(&c->shelf, dir, limit, err);
    if (r < 0) {
        cache_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    digests_free(c->digests);
    shelf_free(c->shelf);
    free(c);
}

int cache_look(struct cache *c, int fd, const char *name, struct module_info *ret,
               struct error *err)
{
    return digests_get(c->digests, fd, name, ret, err);
}

void cache_use(struct cache *c, const struct compiled_key *key)
{
    shelf_use(c->shelf, key);
}

struct job {
    struct cache *cache;
    int fd;
    const char *name;
    const struct compiled_key *key;
};

/* What is compiled is a copy that was found to have the digest and cannot change: else who can write the file could have something
 * else compiled as the module of that digest. */
static int compile(void *arg, struct error *err)
{
    const struct job *job = arg;
    struct cache *c = job->cache;
    autoclose int in = -1, out = -1;
    while (c->compilers >= COMPILERS_MAX)
        co_queue_wait(&c->room, INT64_MAX);
    c->compilers++;
    int r = digests_copy(job->fd, job->name, job->key->digest, &in, err);
    if (!r)
        r = out = shelf_begin(c->shelf, job->key, err);
    if (r >= 0)
        r = compiler_run(c->program, job->key->profile, in, out, job->name, err);
    if (!r)
        r = shelf_put(c->shelf, job->key, err);
    if (r < 0 && out >= 0)
        shelf_drop(c->shelf, job->key);
    c->compilers--;
    co_queue_wake_one(&c->room);
    return r;
}

int cache_open(struct cache *c, int fd, const char *name, const struct compiled_key *key, int *ret,
               struct error *err)
{
    struct job job = {c, fd, name, key};
    int found = shelf_get(c->shelf, key), r = 0;
    /* who is waited for may have a file that changes (-EAGAIN): the next attempt is on ours */
    for (int attempt = 0; found < 0 && attempt < ATTEMPTS; attempt++) {
        r = once(&c->compiling, key, compile, &job, err);
        if (r < 0 && r != -EAGAIN)
            return r;
        found = shelf_get(c->shelf, key);
    }
    if (found < 0)
        return r ? r : fail(err, found, "open the compiled form of '%s'", name);
    *ret = found;
    return 0;
}

void cache_discard(struct cache *c, const struct compiled_key *key)
{
    shelf_remove(c->shelf, key);
}
