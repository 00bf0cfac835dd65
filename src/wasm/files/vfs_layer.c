/* SPDX-License-Identifier: Apache-2.0 */
/* Host directories, shared by all trees of the process, with a bound on how many are open. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

enum { OPEN_MAX = 512 };

struct vfs_layer {
    int fd; /* -1 while closed */
    unsigned references, pins;
    char path[];
};

static struct {
    pthread_mutex_t lock;
    struct map layers; /* by path */
    unsigned open;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct vfs_layer *vfs_layer_get(const char *path)
{
    pthread_mutex_lock(&shared.lock);
    struct vfs_layer *l = map_get(&shared.layers, path);
    if (!l) {
        size_t size = strlen(path) + 1;
        l = calloc(1, sizeof *l + size);
        if (l) {
            memcpy(l->path, path, size);
            l->fd = -1;
            if (map_add(&shared.layers, l->path, l) < 0)
                free(take_ptr(&l));
        }
    }
    if (l)
        l->references++;
    pthread_mutex_unlock(&shared.lock);
    return l;
}

static void close_layer(struct vfs_layer *l)
{
    shared.open -= l->fd >= 0;
    close_fd(&l->fd);
}

void vfs_layer_put(struct vfs_layer *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&shared.lock);
    if (!--l->references) {
        map_remove(&shared.layers, l->path);
        close_layer(l);
        free(l);
    }
    pthread_mutex_unlock(&shared.lock);
}

int vfs_layer_pin(struct vfs_layer *l)
{
    pthread_mutex_lock(&shared.lock);
    int fd = l->fd;
    if (fd < 0) { /* opened without the lock: a slow disk is no business of other layers' */
        pthread_mutex_unlock(&shared.lock);
        fd = open(l->path, O_PATH | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        pthread_mutex_lock(&shared.lock);
        if (l->fd < 0) {
            l->fd = fd;
            shared.open++;
        } else {
            close(fd);
            fd = l->fd;
        }
    }
    l->pins++;
    pthread_mutex_unlock(&shared.lock);
    return fd;
}

void vfs_layer_unpin(struct vfs_layer *l)
{
    pthread_mutex_lock(&shared.lock);
    if (!--l->pins && (shared.open > OPEN_MAX || l->references == 1))
        close_layer(l); /* one tree's own (an upper directory) is not kept open at rest */
    pthread_mutex_unlock(&shared.lock);
}

const char *vfs_layer_path(const struct vfs_layer *l)
{
    return l->path;
}

int vfs_open_at(int dir, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    for (int attempt = 0;; attempt++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN || attempt == 128)
            return -errno;
    }
}
