/* SPDX-License-Identifier: Apache-2.0 */
#include "build/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"

enum { LINKS_MAX = 40 };

int tree_push(struct tree *t, int root)
{
    int *roots = malloc((t->count + 1) * sizeof *roots);
    if (!roots) {
        close(root);
        return -ENOMEM;
    }
    roots[0] = root;
    if (t->count)
        memcpy(roots + 1, t->roots, t->count * sizeof *roots);
    free(t->roots);
    t->roots = roots;
    t->count++;
    return 0;
}

int tree_copy(const struct tree *from, struct tree *to)
{
    *to = (struct tree){0};
    for (size_t i = from->count; i--;) {
        int fd = fcntl(from->roots[i], F_DUPFD_CLOEXEC, 3);
        int r = fd < 0 ? -errno : tree_push(to, fd);
        if (r < 0) {
            tree_done(to);
            return r;
        }
    }
    return 0;
}

void tree_done(struct tree *t)
{
    for (size_t i = 0; i < t->count; i++)
        close(t->roots[i]);
    free(t->roots);
    *t = (struct tree){0};
}

void tree_node_done(struct tree_node *n)
{
    free(n->path);
    n->path = NULL;
}

/* openat2 without any symlink: what tree_find() resolved has none. */
static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    if (flags & O_PATH)
        how.resolve = RESOLVE_BENEATH;
    long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int root, const char *path)
{
    autoclose int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    char value = 0;
    return fd >= 0 && fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* lstat of a path in one layer; false where it is not there. */
static bool look(int root, const char *path, struct stat *st)
{
    autoclose int fd = open_beneath(root, path, O_PATH);
    return fd >= 0 && fstat(fd, st) == 0;
}

/* The topmost layer that has path, among the first *limit; lowers *limit to the layers whose directory shows through. */
static int find_layer(const struct tree *t, const char *path, size_t *limit, struct stat *st)
{
    int found = -1;
    for (size_t i = 0; i < *limit; i++) {
        struct stat here;
        if (!look(t->roots[i], path, &here))
            continue;
        if (found < 0) {
            if (is_whiteout(&here))
                return -1;
            found = t->roots[i];
            *st = here;
            if (!S_ISDIR(here.st_mode))
                return found;
        }
        if (!S_ISDIR(here.st_mode)) {
            *limit = i;
        } else if (is_opaque(t->roots[i], path)) {
            *limit = i + 1;
        }
    }
    return found;
}

struct walk {
    const struct tree *tree;
    struct buffer done; /* resolved so far */
    char *todo;
    size_t limit;
    int root, links;
    struct stat st;
};

static void walk_done(struct walk *w)
{
    buffer_done(&w->done);
    free(w->todo);
}
CLEANUP_DONE(walk, struct walk);

/* Where it starts again: an absolute symlink, or "..", whose layers are looked up anew. */
static int walk_to(struct walk *w, const char *path, const char *rest)
{
    char *todo = str_format("%s/%s", path, rest);
    if (!todo)
        return -ENOMEM;
    free(w->todo);
    w->todo = todo;
    buffer_clear(&w->done);
    w->limit = w->tree->count;
    w->root = w->tree->count ? w->tree->roots[0] : -1;
    w->st = (struct stat){.st_mode = S_IFDIR | 0755};
    if (w->root >= 0 && fstat(w->root, &w->st) < 0)
        return -errno;
    return 0;
}

static int follow_link(struct walk *w, const char *rest)
{
    char target[PATH_MAX];
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    autoclose int fd = open_beneath(w->root, buffer_text(&w->done), O_PATH);
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = 0;
    char *slash = *target == '/' ? NULL : memrchr(w->done.data, '/', w->done.len);
    autofree char *base = str_format("%.*s%s%s", slash ? (int)(slash - (char *)w->done.data) : 0,
                                     buffer_text(&w->done), slash ? "/" : "", target);
    return base ? walk_to(w, base, rest) : -ENOMEM;
}

static int step(struct walk *w, bool follow, const char *name, size_t len, const char *rest)
{
    if (len == 2 && strncmp(name, "..", 2) == 0) {
        char *slash = w->done.len ? memrchr(w->done.data, '/', w->done.len) : NULL;
        autofree char *up =
            strndup(buffer_text(&w->done), slash ? (size_t)(slash - (char *)w->done.data) : 0);
        autofree char *tail = strdup(rest);
        return up && tail ? walk_to(w, up, tail) : -ENOMEM;
    }
    if (w->root >= 0 && !S_ISDIR(w->st.st_mode))
        return -ENOTDIR;
    if (buffer_printf(&w->done, "%s%.*s", w->done.len ? "/" : "", (int)len, name) < 0)
        return -ENOMEM;
    if (w->done.len >= PATH_MAX)
        return -ENAMETOOLONG;
    if (w->root >= 0)
        w->root = find_layer(w->tree, buffer_text(&w->done), &w->limit, &w->st);
    if (w->root >= 0 && S_ISLNK(w->st.st_mode) && (follow || *rest)) {
        autofree char *tail = strdup(rest);
        return tail ? follow_link(w, tail) : -ENOMEM;
    }
    return 1;
}

int tree_find(const struct tree *t, const char *path, bool follow, struct tree_node *ret,
              struct error *err)
{
    auto(walk) struct walk w = {.tree = t};
    int r = walk_to(&w, "", path);
    const char *p = w.todo;
    while (r >= 0 && *(p += strspn(p, "/"))) {
        size_t n = strcspn(p, "/");
        const char *rest = p + n + strspn(p + n, "/");
        if (n == 1 && *p == '.') {
            p = rest;
            continue;
        }
        r = step(&w, follow, p, n, rest);
        p = r == 1 ? rest : w.todo;
    }
    if (r < 0)
        return fail(err, r, "look up '%s'", path);
    char *text = strdup(buffer_text(&w.done));
    if (!text)
        return fail(err, ENOMEM, "look up '%s'", path);
    *ret = (struct tree_node){.path = text, .root = w.root, .st = w.st};
    return 0;
}

static int add_names(int root, const char *path, struct map *seen, char ***names)
{
    int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        close_fd(&fd);
        return -errno;
    }
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || map_get(seen, e->d_name))
            continue;
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        /* a whiteout is remembered by an entry of its own, and left out at the end */
        autofree char *text = str_format("%c%s", is_whiteout(&st) ? 'w' : 'f', e->d_name);
        r = text ? strv_add(names, text) : -ENOMEM;
        if (!r) {
            char *kept = (*names)[strv_len(*names) - 1];
            r = map_add(seen, kept + 1, kept);
        }
    }
    closedir(d);
    return r;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int tree_list(const struct tree *t, const char *path, char ***ret, struct error *err)
{
    auto(map) struct map seen = {0};
    auto(strv) char **names = calloc(1, sizeof *names);
    size_t limit = t->count;
    struct stat st;
    if (find_layer(t, *path ? path : ".", &limit, &st) < 0)
        return fail(err, ENOENT, "list '/%s'", path);
    int r = names ? 0 : -ENOMEM;
    for (size_t i = 0; !r && i < limit; i++) {
        r = add_names(t->roots[i], path, &seen, &names);
        if (r == -ENOENT)
            r = 0;
    }
    if (r < 0)
        return fail(err, r, "list '/%s'", path);
    size_t n = 0;
    for (size_t i = 0; names[i]; i++) {
        bool file = names[i][0] == 'f';
        memmove(names[i], names[i] + 1, strlen(names[i]));
        if (file)
            names[n++] = names[i];
        else
            free(names[i]);
    }
    names[n] = NULL;
    qsort(names, n, sizeof *names, compare_texts);
    *ret = take_ptr(&names);
    return 0;
}

int tree_open(const struct tree_node *n, int flags)
{
    return open_beneath(n->root, n->path, flags);
}

char *tree_read_link(const struct tree_node *n)
{
    char target[PATH_MAX];
    autoclose int fd = open_beneath(n->root, n->path, O_PATH);
    ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target);
    return len < 0 || len == sizeof target ? NULL : strndup(target, (size_t)len);
}
