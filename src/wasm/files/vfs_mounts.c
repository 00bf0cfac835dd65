/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree is made of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "wasm/files/vfs.h"

struct vfs *vfs_new(void)
{
    return calloc(1, sizeof(struct vfs));
}

static void mount_done(struct vfs_mount *m)
{
    for (unsigned i = 0; i < m->count; i++)
        vfs_layer_put(m->layers[i]);
    free(m->layers);
    free(m->destination);
    free(m->work);
    strv_free(m->opaque);
}

void vfs_free(struct vfs *v)
{
    if (!v)
        return;
    for (unsigned i = 0; i < v->count; i++)
        mount_done(&v->mounts[i]);
    free(v->mounts);
    free(v);
}

char *vfs_plain_path(const char *path)
{
    auto(strv) char **parts = str_split(path, "/");
    auto(buffer) struct buffer b = {0};
    for (size_t i = 0; parts && parts[i]; i++) {
        if (str_eq(parts[i], ".") || str_eq(parts[i], ".."))
            return NULL;
        if (buffer_printf(&b, "/%s", parts[i]) < 0)
            return NULL;
    }
    return parts ? buffer_take_text(&b) : NULL;
}

static int fill_mount(struct vfs_mount *m, const struct vfs_mount_spec *spec)
{
    size_t lower = strv_len(spec->layers), upper = spec->upper != NULL;
    m->destination = vfs_plain_path(spec->destination);
    m->layers = calloc(lower + upper, sizeof *m->layers);
    if (!m->destination || !m->layers || (spec->work && !(m->work = strdup(spec->work))))
        return -ENOMEM;
    if (spec->opaque && spec->opaque[0] && !(m->opaque = strv_copy(spec->opaque)))
        return -ENOMEM;
    m->has_upper = upper;
    m->overlay = upper || lower > 1;
    m->read_only = spec->read_only || (m->overlay && !upper);
    for (size_t i = 0; i < lower + upper; i++) {
        const char *path = i < upper ? spec->upper : spec->layers[i - upper];
        m->layers[m->count] = vfs_layer_get(path);
        if (!m->layers[m->count])
            return -ENOMEM;
        m->count++;
    }
    return 0;
}

int vfs_add(struct vfs *v, const struct vfs_mount_spec *spec, struct error *err)
{
    size_t layers = strv_len(spec->layers) + (spec->upper != NULL);
    if (spec->destination[0] != '/' || !layers || layers > VFS_LAYERS_MAX ||
        v->count == VFS_MOUNTS_MAX)
        return fail(err, EINVAL, "mount %zu directories at '%s'", layers, spec->destination);
    struct vfs_mount *mounts = reallocarray(v->mounts, v->count + 1, sizeof *mounts);
    if (!mounts)
        return fail(err, ENOMEM, "mount '%s'", spec->destination);
    v->mounts = mounts;
    struct vfs_mount m = {0};
    int r = fill_mount(&m, spec);
    struct stat st;
    if (!r && !m.overlay) {
        if (stat(vfs_layer_path(m.layers[0]), &st) < 0)
            r = -errno;
        else
            m.file = !S_ISDIR(st.st_mode);
    }
    if (r < 0) {
        mount_done(&m);
        return fail(err, r, "mount '%s' at '%s'", spec->layers[0], spec->destination);
    }
    v->mounts[v->count++] = m;
    return 0;
}
