/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/compiled.h"

enum { HEX = 2 * SHA256_LEN, STEM = HEX + 8, NAME = STEM + 8 };
static const char compiled[] = ".cwasm", unfinished[] = ".part";

struct entry {
    struct list link; /* shelf.recent */
    char stem[STEM];  /* its name without the suffix, and its key */
    uint64_t size;
    int64_t used_ns; /* at the start: of its file */
};

struct shelf {
    int dir;
    uint64_t limit, size;
    struct map entries;
    struct list recent; /* the last is the newest */
};

static void stem_of(const struct compiled_key *key, char stem[STEM])
{
    char hex[SHA256_HEX];
    sha256_hex(key->digest, hex);
    snprintf(stem, STEM, "%s.%s", hex, wasm_profile_name(key->profile));
}

static void name_of(const char *stem, const char *suffix, char name[NAME])
{
    snprintf(name, NAME, "%s%s", stem, suffix);
}

static struct entry *find(const struct shelf *s, const struct compiled_key *key)
{
    char stem[STEM];
    stem_of(key, stem);
    return map_get(&s->entries, stem);
}

static void forget(struct shelf *s, struct entry *e)
{
    map_remove(&s->entries, e->stem);
    list_remove(&e->link);
    s->size -= e->size;
    free(e);
}

static void discard(struct shelf *s, struct entry *e)
{
    char name[NAME];
    name_of(e->stem, compiled, name);
    if (unlinkat(s->dir, name, 0) < 0 && errno != ENOENT)
        diag_warning("remove the compiled module '%s': %s", name, strerror(errno));
    forget(s, e);
}

static void trim(struct shelf *s)
{
    struct entry *e;
    list_each(e, &s->recent, link)
    {
        if (s->size <= s->limit || e->link.next == &s->recent)
            return;
        discard(s, e);
    }
}

static int add(struct shelf *s, const char *stem, const struct stat *st)
{
    struct entry *e = map_get(&s->entries, stem);
    if (e)
        forget(s, e);
    e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    strcpy(e->stem, stem);
    e->size = (uint64_t)st->st_size;
    e->used_ns = st->st_mtim.tv_sec * NSEC_PER_SEC + st->st_mtim.tv_nsec;
    list_init(&e->link);
    int r = map_add(&s->entries, e->stem, e);
    if (r < 0) {
        free(e);
        return r;
    }
    list_append(&s->recent, &e->link);
    s->size += e->size;
    return 0;
}

/* Reading the directory */

/* Whether the file is whole as far as its trailer says: its sum is the worker's to check. */
static bool is_ours(int fd, const char *stem, const struct stat *st)
{
    struct compiled_trailer t;
    char of[SHA256_HEX];
    if (!S_ISREG(st->st_mode) || st->st_size <= (off_t)sizeof t ||
        pread(fd, &t, sizeof t, st->st_size - (off_t)sizeof t) != sizeof t ||
        memcmp(t.magic, COMPILED_MAGIC, sizeof t.magic) != 0)
        return false;
    sha256_hex(t.digest, of);
    return strncmp(stem, of, HEX) == 0;
}

/* HEX.PROFILE and a suffix of ours: its stem. */
static bool parse(const char *name, char stem[STEM], bool *ret_part)
{
    enum wasm_profile profile;
    if (strspn(name, "0123456789abcdef") != HEX || name[HEX] != '.' || strlen(name) >= NAME)
        return false;
    const char *suffix = strchr(name + HEX + 1, '.');
    if (!suffix || suffix - name >= STEM ||
        (!str_eq(suffix, compiled) && !str_eq(suffix, unfinished)))
        return false;
    snprintf(stem, STEM, "%.*s", (int)(suffix - name), name);
    *ret_part = str_eq(suffix, unfinished);
    return wasm_profile_parse(stem + HEX + 1, &profile);
}

static int look_at(struct shelf *s, const char *name)
{
    struct stat st;
    char stem[STEM];
    bool part;
    if (!parse(name, stem, &part)) /* is left alone: the directory may be another's by mistake */
        return 0;
    autoclose int fd =
        part ? -1 : openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && is_ours(fd, stem, &st))
        return add(s, stem, &st);
    if (!part)
        diag_warning("'%s' is no compiled module of this name: removed", name);
    unlinkat(s->dir, name, 0);
    return 0;
}

static int by_use(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

static int sort(struct shelf *s)
{
    size_t n = 0, i = 0;
    struct entry **all = reallocarray(NULL, s->entries.count + 1, sizeof(struct entry *));
    if (!all)
        return -ENOMEM;
    for (struct entry *e; (e = map_next(&s->entries, &i));)
        all[n++] = e;
    qsort(all, n, sizeof(struct entry *), by_use);
    for (i = 0; i < n; i++) {
        list_remove(&all[i]->link);
        list_append(&s->recent, &all[i]->link);
    }
    free(all);
    return 0;
}

static int read_all(struct shelf *s)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int r = d ? 0 : -errno;
    for (struct dirent *e; !r && (e = readdir(d));)
        r = look_at(s, e->d_name);
    if (d)
        closedir(d);
    return r ? r : sort(s);
}

int shelf_open(struct shelf **ret, const char *dir, uint64_t limit, struct error *err)
{
    struct stat st;
    struct shelf *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "open the cache of compiled modules");
    s->limit = limit;
    s->dir = -1;
    list_init(&s->recent);
    int r = dir_make(AT_FDCWD, dir, 0700, err);
    if (!r) {
        s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dir < 0 || fstat(s->dir, &st) < 0)
            r = fail(err, errno, "open '%s'", dir);
        else if (st.st_uid != geteuid() || st.st_mode & 022)
            r = fail_plain(err, EPERM,
                           "'%s' must be ours and writable for nobody else: what is in it is run",
                           dir);
    }
    if (!r) {
        r = read_all(s);
        r = r < 0 ? fail(err, r, "read '%s'", dir) : 0;
    }
    if (r < 0) {
        shelf_free(s);
        return r;
    }
    trim(s);
    *ret = s;
    return 0;
}

void shelf_free(struct shelf *s)
{
    if (!s)
        return;
    struct entry *e;
    list_each(e, &s->recent, link) forget(s, e);
    map_done(&s->entries);
    close_fd(&s->dir);
    free(s);
}

/* Using it */

static void use(struct shelf *s, struct entry *e)
{
    list_remove(&e->link);
    list_append(&s->recent, &e->link);
}

void shelf_use(struct shelf *s, const struct compiled_key *key)
{
    struct entry *e = find(s, key);
    if (e)
        use(s, e);
}

int shelf_get(struct shelf *s, const struct compiled_key *key)
{
    char name[NAME];
    struct entry *e = find(s, key);
    if (!e)
        return -ENOENT;
    name_of(e->stem, compiled, name);
    int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) { /* somebody has removed it: it will be made anew */
        forget(s, e);
        return -ENOENT;
    }
    use(s, e);
    futimens(fd, NULL); /* for the next of us */
    return fd;
}

void shelf_remove(struct shelf *s, const struct compiled_key *key)
{
    struct entry *e = find(s, key);
    if (e)
        discard(s, e);
}

static void part_of(const struct compiled_key *key, char name[NAME])
{
    char stem[STEM];
    stem_of(key, stem);
    name_of(stem, unfinished, name);
}

int shelf_begin(struct shelf *s, const struct compiled_key *key, struct error *err)
{
    char name[NAME];
    part_of(key, name);
    unlinkat(s->dir, name, 0); /* of a compiler that may live on, and has it open */
    int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? fail(err, errno, "make the compiled module '%s'", name) : fd;
}

int shelf_put(struct shelf *s, const struct compiled_key *key, struct error *err)
{
    char part[NAME], name[NAME], stem[STEM];
    struct stat st;
    part_of(key, part);
    stem_of(key, stem);
    name_of(stem, compiled, name);
    int r = fstatat(s->dir, part, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    renameat(s->dir, part, s->dir, name) < 0
                ? -errno
                : add(s, stem, &st);
    if (r < 0)
        return fail(err, r, "keep the compiled module '%s'", name);
    trim(s);
    return 0;
}

void shelf_drop(struct shelf *s, const struct compiled_key *key)
{
    char name[NAME];
    part_of(key, name);
    unlinkat(s->dir, name, 0);
}
