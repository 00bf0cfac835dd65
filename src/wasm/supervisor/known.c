/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/known.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { KNOWN_MAX = 1024 };

struct entry {
    char *key;
    char *path; /* of the module's file, on the host */
    struct stat file;
    struct module_info module;
};

struct known {
    struct map entries;
};

struct known *known_new(void)
{
    return calloc(1, sizeof(struct known));
}

static void entry_free(struct entry *e)
{
    if (!e)
        return;
    free(e->key);
    free(e->path);
    free(e);
}
CLEANUP_FREE(entry, struct entry);

static void forget_all(struct known *k)
{
    struct entry *e;
    for (size_t i = 0; (e = map_next(&k->entries, &i));)
        entry_free(e);
    map_done(&k->entries);
}

void known_free(struct known *k)
{
    if (k)
        forget_all(k);
    free(k);
}

/* NULL where the rootfs is more than its layers. No part has a newline in it: else two could look alike. */
static char *key_of(const struct wire_files *f, const char *cwd, const char *name)
{
    const struct wire_mount *root = &f->mounts[0];
    auto(buffer) struct buffer key = {0};
    if (f->mount_count != 1 || (*root->upper && access(root->upper, F_OK) == 0))
        return NULL;
    bool bad = strchr(cwd, '\n') || strchr(name, '\n');
    for (char **layer = root->layers; layer && *layer && !bad; layer++)
        bad = strchr(*layer, '\n') || buffer_puts(&key, *layer) < 0 || buffer_puts(&key, "\n") < 0;
    if (bad || buffer_puts(&key, cwd) < 0 || buffer_puts(&key, "\n") < 0 ||
        buffer_puts(&key, name) < 0)
        return NULL;
    return buffer_take_text(&key);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool known_find(struct known *k, const struct wire_files *f, const char *cwd, const char *name,
                struct module_info *ret)
{
    struct stat now;
    autofree char *key = key_of(f, cwd, name);
    struct entry *e = key ? map_get(&k->entries, key) : NULL;
    if (!e)
        return false;
    if (lstat(e->path, &now) < 0 || !is_same(&now, &e->file)) {
        map_remove(&k->entries, key);
        entry_free(e);
        return false;
    }
    *ret = e->module;
    return true;
}

static char *path_of(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path);
    return n > 0 && (size_t)n < sizeof path ? strndup(path, (size_t)n) : NULL;
}

void known_keep(struct known *k, const struct wire_files *f, const char *cwd, const char *name,
                int fd, const struct module_info *module)
{
    auto(entry) struct entry *e = calloc(1, sizeof *e);
    if (!e || fstat(fd, &e->file) < 0 || !(e->key = key_of(f, cwd, name)) ||
        !(e->path = path_of(fd)))
        return;
    e->module = *module;
    if (k->entries.count >= KNOWN_MAX)
        forget_all(k);
    if (map_add(&k->entries, e->key, e) == 0)
        take_ptr(&e);
}
