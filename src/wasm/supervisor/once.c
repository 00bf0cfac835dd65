/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/once.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "loop/loop.h"

struct running {
    struct list link;
    struct compiled_key key;
    struct co_queue done;
    bool finished;
    unsigned users;
    struct error err;
};

static struct running *find(struct list *all, const struct compiled_key *key)
{
    struct running *r;
    list_each(r, all, link) if (compiled_key_eq(&r->key, key)) return r;
    return NULL;
}

static int leave(struct running *r, struct error *err)
{
    int code = fail_with(err, &r->err);
    if (--r->users == 0)
        free(r);
    return code;
}

int once(struct list *running, const struct compiled_key *key,
         int (*fn)(void *arg, struct error *err), void *arg, struct error *err)
{
    struct running *r = find(running, key);
    if (r) {
        r->users++;
        while (!r->finished)
            co_queue_wait(&r->done, INT64_MAX);
        return leave(r, err);
    }
    r = calloc(1, sizeof *r);
    if (!r)
        return fail(err, ENOMEM, "prepare a module");
    r->key = *key;
    co_queue_init(&r->done);
    list_append(running, &r->link);
    r->users = 1;
    fn(arg, &r->err);
    list_remove(&r->link);
    r->finished = true;
    co_queue_wake_all(&r->done);
    return leave(r, err);
}
