/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/table.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/base.h"
#include "wasm/files/logs.h"
#include "wasm/files/pack.h"
#include "wasm/files/rest.h"
#include "wasm/files/user.h"
#include "wasm/files/vfs.h"
#include "wasm/wire_files.h"

enum { TREES_MAX = 1024, REMOVE_WAIT_S = 1, REMOVED_MANY = 4096 };
#define TREE_REST_NS (5 * NSEC_PER_SEC)

static struct {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* a tree or a container is not used any more */
    struct place {
        struct files_container *container; /* NULL: free */
        uint32_t turn;                     /* how often it was taken */
        uint32_t next;                     /* of the free ones, plus 1 */
    } * places;
    uint32_t count, size, free; /* free: plus 1 */
    uint32_t used, removed;     /* removed: since memory was given back */
    struct list trees;
    unsigned tree_count;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .idle = PTHREAD_COND_INITIALIZER,
           .trees = LIST_INIT(table.trees)};

/* Places; the lock is held */

static int take_place(struct files_container *c)
{
    uint32_t at;
    if (table.free) {
        at = table.free - 1;
        table.free = table.places[at].next;
    } else {
        if (table.count == table.size) {
            uint32_t size = table.size ? table.size * 3 / 2 : 64;
            struct place *places = reallocarray(table.places, size, sizeof *places);
            if (!places)
                return -ENOMEM;
            table.places = places;
            table.size = size;
        }
        at = table.count++;
        table.places[at] = (struct place){0};
    }
    struct place *p = &table.places[at];
    p->container = c;
    p->turn = (p->turn + 1) & INT32_MAX; /* numbers fit into 63 bits */
    c->number = (uint64_t)p->turn << 32 | at;
    table.used++;
    return 0;
}

static struct place *place_of(uint64_t number)
{
    uint32_t at = (uint32_t)number;
    struct place *p = at < table.count ? &table.places[at] : NULL;
    return p && p->container && p->container->number == number ? p : NULL;
}

/* Away from the trees that are built. */
static struct vfs *take_tree(struct files_container *c)
{
    if (c->vfs) {
        list_remove(&c->link);
        table.tree_count--;
    }
    return take_ptr(&c->vfs);
}

static void destroy(struct files_container *c)
{
    logs_forget(c);
    pack_free(c);
}

static int set_user(struct files_container *c, const struct wire_user *user, struct error *err)
{
    auto(vfs) struct vfs *tree = NULL;
    int r = str_empty(user->name) ? 0 : pack_tree(c, &tree, err);
    return r < 0 ? r : files_find_user(tree, user, &c->who, err);
}

int table_add(const struct wire_files *files, uint64_t *ret_number, struct error *err)
{
    struct files_container *c = NULL;
    int r = pack_new(files, &c, err);
    if (!r)
        r = set_user(c, &files->user, err);
    if (!r)
        r = logs_create(c, err);
    if (!r) {
        pthread_mutex_lock(&table.lock);
        r = take_place(c);
        pthread_mutex_unlock(&table.lock);
        if (r < 0)
            fail(err, r, "hold a container's files");
    }
    if (!r)
        *ret_number = c->number;
    else if (c)
        destroy(c);
    return r;
}

static void wait_unused(struct files_container *c)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REMOVE_WAIT_S;
    while (c->users > 1 && pthread_cond_timedwait(&table.idle, &table.lock, &until) == 0)
        ;
}

void table_remove(uint64_t number)
{
    pthread_mutex_lock(&table.lock);
    struct place *p = place_of(number);
    struct files_container *c = p ? p->container : NULL;
    bool many = false;
    if (c) {
        many = !--table.used || ++table.removed == REMOVED_MANY;
        if (many)
            table.removed = 0;
        p->container = NULL;
        p->next = table.free;
        table.free = (uint32_t)number + 1;
        c->removed = true;
        c->users++;
        wait_unused(c);
    }
    pthread_mutex_unlock(&table.lock);
    if (c)
        table_release(c);
    if (many)
        malloc_trim(0);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

void table_keep(const uint64_t *numbers, size_t count)
{
    size_t n = 0, gone = 0;
    uint64_t *kept = malloc((count + 1) * sizeof *kept), *all = NULL;
    pthread_mutex_lock(&table.lock);
    if (kept)
        all = malloc((table.count + 1ul) * sizeof *all);
    for (uint32_t i = 0; all && i < table.count; i++)
        if (table.places[i].container)
            all[n++] = table.places[i].container->number;
    pthread_mutex_unlock(&table.lock);
    if (all) {
        memcpy(kept, numbers, count * sizeof *kept);
        qsort(kept, count, sizeof *kept, by_number);
    }
    for (size_t i = 0; i < n; i++)
        if (!bsearch(&all[i], kept, count, sizeof *kept, by_number)) {
            table_remove(all[i]);
            gone++;
        }
    if (gone)
        diag_info("%zu containers are not held by the worker, and are forgotten", gone);
    free(kept);
    free(all);
}

struct files_container *table_hold(uint64_t number)
{
    pthread_mutex_lock(&table.lock);
    struct place *p = place_of(number);
    struct files_container *c = p ? p->container : NULL;
    if (c)
        c->users++;
    pthread_mutex_unlock(&table.lock);
    return c;
}

void table_release(struct files_container *c)
{
    pthread_mutex_lock(&table.lock);
    bool last = !--c->users && c->removed;
    struct vfs *tree = last ? take_tree(c) : NULL;
    pthread_cond_broadcast(&table.idle);
    pthread_mutex_unlock(&table.lock);
    vfs_free(tree);
    if (last)
        destroy(c);
}

/* Trees */

static void drop_oldest(void)
{
    struct files_container *c = NULL, *oldest = NULL;
    list_each(c, &table.trees, link)
    {
        if (!c->busy) {
            oldest = c;
            break;
        }
    }
    if (oldest)
        vfs_free(take_tree(oldest));
}

int table_tree(struct files_container *c, struct vfs **ret, struct error *err)
{
    pthread_mutex_lock(&table.lock);
    while (c->busy)
        pthread_cond_wait(&table.idle, &table.lock);
    c->busy = true;
    struct vfs *tree = c->vfs;
    pthread_mutex_unlock(&table.lock);
    int r = tree ? 0 : pack_tree(c, &tree, err);
    pthread_mutex_lock(&table.lock);
    if (r < 0) {
        c->busy = false;
        pthread_cond_broadcast(&table.idle);
    } else {
        if (!c->vfs) {
            if (table.tree_count >= TREES_MAX)
                drop_oldest();
            table.tree_count++;
            c->vfs = tree;
            list_init(&c->link);
        }
        *ret = tree;
    }
    pthread_mutex_unlock(&table.lock);
    return r;
}

void table_tree_done(struct files_container *c)
{
    pthread_mutex_lock(&table.lock);
    c->busy = false;
    c->used_ns = clock_mono_ns();
    list_remove(&c->link);
    list_append(&table.trees, &c->link);
    pthread_cond_broadcast(&table.idle);
    pthread_mutex_unlock(&table.lock);
    rest_wanted();
}

bool table_rest(void)
{
    struct files_container *c;
    pthread_mutex_lock(&table.lock);
    int64_t before = clock_mono_ns() - TREE_REST_NS;
    list_each(c, &table.trees, link)
    {
        if (c->used_ns > before)
            break;
        if (!c->busy)
            vfs_free(take_tree(c));
    }
    bool left = table.tree_count;
    pthread_mutex_unlock(&table.lock);
    return left;
}
