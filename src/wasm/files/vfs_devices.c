/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that every tree has, as file mounts that all trees share. */
#include <pthread.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

/* Here and on the host. */
static const char *const paths[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                    "/dev/urandom"};
enum { DEVICES = ARRAY_SIZE(paths) };

static struct vfs_mount devices[DEVICES];

static void make(void)
{
    static struct vfs_layer *layers[DEVICES];
    for (size_t i = 0; i < DEVICES; i++) {
        layers[i] = vfs_layer_get(paths[i]);
        devices[i] = (struct vfs_mount){.destination = (char *)(uintptr_t)paths[i],
                                        .layers = &layers[i],
                                        .count = layers[i] != NULL,
                                        .read_only = true,
                                        .file = true};
    }
}

bool vfs_has_devices(const struct vfs *v)
{
    for (unsigned i = 0; i < v->count; i++)
        if (str_eq(v->mounts[i].destination, "/dev"))
            return false;
    return true;
}

const char *vfs_device(size_t i)
{
    return i < DEVICES ? paths[i] : NULL;
}

const struct vfs_mount *vfs_device_at(const struct vfs *v, const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!str_after(path, "/dev/") || !vfs_has_devices(v))
        return NULL;
    pthread_once(&once, make);
    for (size_t i = 0; i < DEVICES; i++)
        if (str_eq(path, paths[i]))
            return &devices[i];
    return NULL;
}
