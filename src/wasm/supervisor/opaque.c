/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/opaque.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"

enum { KNOWN_MAX = 4096, DEPTH_MAX = 256 };

struct layer {
    char **paths; /* NULL: none */
    char identity[];
};

struct opaque {
    struct map layers;
};

struct opaque *opaque_new(void)
{
    return calloc(1, sizeof(struct opaque));
}

static void forget_all(struct opaque *o)
{
    size_t i = 0;
    for (struct layer *l; (l = map_next(&o->layers, &i));) {
        strv_free(l->paths);
        free(l);
    }
    map_done(&o->layers);
    o->layers = (struct map){0};
}

void opaque_free(struct opaque *o)
{
    if (o)
        forget_all(o);
    free(o);
}

struct scan {
    const char *root;
    char **paths;
};

static int scan_below(struct scan *s, int dir, const char *path, unsigned depth);

static int scan_entry(struct scan *s, int dir, const char *path, const struct dirent *e,
                      unsigned depth)
{
    if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
        return 0;
    if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
        return 0;
    int fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
    autofree char *below = str_format("%s%s%s", path, *path ? "/" : "", e->d_name);
    char value = 0;
    int r = below ? 0 : -ENOMEM;
    if (!r && fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y')
        r = strv_add(&s->paths, below);
    if (!r)
        return scan_below(s, fd, below, depth + 1);
    close(fd);
    return r;
}

/* Takes dir. */
static int scan_below(struct scan *s, int dir, const char *path, unsigned depth)
{
    DIR *d = fdopendir(dir);
    if (!d) {
        close(dir);
        return -ENOMEM;
    }
    int r = depth > DEPTH_MAX ? -ELOOP : 0;
    for (struct dirent *e; !r && (e = readdir(d));)
        r = scan_entry(s, dir, path, e, depth);
    closedir(d);
    return r;
}

static int scan(void *arg, struct error *err)
{
    struct scan *s = arg;
    int dir = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? -errno : scan_below(s, dir, "", 0);
    return r < 0 ? fail(err, r, "look through the layer '%s'", s->root) : 0;
}

static int layer_of(struct opaque *o, const char *path, struct layer **ret, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return fail(err, errno, "the rootfs' layer '%s'", path);
    autofree char *identity = str_format("%llx:%llx:%s", (unsigned long long)st.st_dev,
                                         (unsigned long long)st.st_ino, path);
    if (!identity)
        return fail(err, ENOMEM, "the rootfs' layer '%s'", path);
    struct layer *l = map_get(&o->layers, identity);
    if (l) {
        *ret = l;
        return 0;
    }
    struct scan s = {.root = path};
    int r = co_pool(scan, &s, err);
    if (!r && (l = map_get(&o->layers, identity))) { /* somebody else was quicker */
        strv_free(s.paths);
        *ret = l;
        return 0;
    }
    if (!r && o->layers.count >= KNOWN_MAX)
        forget_all(o);
    l = r ? NULL : malloc(sizeof *l + strlen(identity) + 1);
    if (l) {
        l->paths = s.paths;
        strcpy(l->identity, identity);
        if (map_add(&o->layers, l->identity, l) == 0) {
            *ret = l;
            return 0;
        }
    }
    free(l);
    strv_free(s.paths);
    return r ? r : fail(err, ENOMEM, "the rootfs' layer '%s'", path);
}

int opaque_list(struct opaque *o, char *const *layers, struct arena *a, char ***ret,
                struct error *err)
{
    auto(strv) char **all = NULL;
    for (size_t i = 0; layers && layers[i] && layers[i + 1]; i++) {
        struct layer *l = NULL;
        int r = layer_of(o, layers[i], &l, err);
        for (char **p = r ? NULL : l->paths; !r && p && *p; p++) {
            autofree char *entry = str_format("%zu:%s", i, *p);
            r = entry && strv_add(&all, entry) == 0 ? 0 : fail(err, ENOMEM, "the rootfs");
        }
        if (r < 0)
            return r;
    }
    size_t n = strv_len(all);
    *ret = n ? arena_array(a, char *, n + 1) : NULL;
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = arena_strdup(a, all[i]);
    return 0;
}
