/* SPDX-License-Identifier: Apache-2.0 */
/* From an OCI spec and a rootfs to what a worker needs of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "oci/spec.h"
#include "wasm/files/vfs.h"
#include "wasm/supervisor/cache.h"
#include "wasm/supervisor/choose.h"
#include "wasm/supervisor/known.h"
#include "wasm/supervisor/limits.h"
#include "wasm/supervisor/opaque.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/supervisor/tmpfs.h"
#include "wasm/wire_create.h"
#include "wasm/wire_files.h"

void prepared_done(struct prepared *p)
{
    listening_done(&p->listening);
    arena_done(&p->arena);
    close_fd(&p->module);
}

static int read_spec(const struct process *p, struct arena *a, struct oci_spec **ret,
                     struct error *err)
{
    auto(buffer) struct buffer file = {0};
    const void *json = p->spec;
    size_t len = p->spec_len;
    if (!len && *p->bundle) {
        char *path = arena_printf(a, "%s/config.json", p->bundle);
        int r = file_read(AT_FDCWD, path, OCI_JSON_MAX, &file, err);
        if (r < 0)
            return r;
        json = file.data;
        len = file.len;
    }
    return oci_spec_parse(json, len, a, ret, err);
}

static void add_layer(struct arena *a, char ***layers, const char *path)
{
    size_t n = strv_len(*layers);
    char **v = arena_array(a, char *, n + 2);
    for (size_t i = 0; i < n; i++)
        v[i] = (*layers)[i];
    v[n] = arena_strdup(a, path);
    *layers = v;
}

/* lowerdir's value: separated by colons, which a backslash before one takes as part of a name (mount.overlay). */
static void add_lower(struct arena *a, char ***layers, const char *value)
{
    char *name = arena_strdup(a, value), *to = name;
    for (const char *p = value;; p++) {
        if (*p == '\\' && p[1]) {
            *to++ = *++p;
        } else if (*p == ':' || !*p) {
            *to = 0;
            if (*name)
                add_layer(a, layers, name);
            to = name;
            if (!*p)
                return;
        } else {
            *to++ = *p;
        }
    }
}

static int overlay_rootfs(struct arena *a, const struct mount_request *m, struct wire_mount *ret,
                          struct error *err)
{
    for (char **o = m->options; o && *o; o++) {
        const char *value;
        if ((value = str_after(*o, "lowerdir=")))
            add_lower(a, &ret->layers, value);
        else if ((value = str_after(*o, "lowerdir+=")))
            add_layer(a, &ret->layers, value);
        else if ((value = str_after(*o, "upperdir=")))
            ret->upper = arena_strdup(a, value);
        else if ((value = str_after(*o, "workdir=")))
            ret->work = arena_strdup(a, value);
        else if (str_eq(*o, "ro"))
            ret->read_only = true;
    }
    size_t layers = strv_len(ret->layers);
    if (layers + (*ret->upper != 0) > VFS_LAYERS_MAX || (!layers && !*ret->upper))
        return fail_plain(err, EINVAL, "the rootfs: an overlay of %zu lower directories (1 to %d)",
                          layers, VFS_LAYERS_MAX - 1);
    return 0;
}

static int describe_rootfs(struct arena *a, const struct process *p, const struct oci_spec *spec,
                           struct wire_mount *ret, struct error *err)
{
    *ret = (struct wire_mount){.destination = "/", .upper = "", .work = ""};
    ret->read_only = spec->root && spec->root->readonly;
    if (p->rootfs_count > 1)
        return fail_plain(err, EINVAL, "the rootfs: %zu mounts, where one is expected",
                          p->rootfs_count);
    const struct mount_request *m = p->rootfs;
    if (p->rootfs_count && str_eq(str_or_empty(m->type), "overlay"))
        return overlay_rootfs(a, m, ret, err);
    const char *path = p->rootfs_count ? m->source : spec->root ? spec->root->path : NULL;
    if (str_empty(path))
        return fail_plain(err, EINVAL, "root.path: the container has no rootfs");
    for (char **o = p->rootfs_count ? m->options : NULL; o && *o; o++)
        ret->read_only |= str_eq(*o, "ro");
    if (*path != '/')
        path = arena_printf(a, "%s/%s", p->bundle, path);
    if (access(path, F_OK) < 0)
        return fail(err, errno, "the rootfs '%s'", path);
    add_layer(a, &ret->layers, path);
    return 0;
}

/* Linux' own, which make no sense in WASI: /proc, /sys, /dev and what lies below; devices are there anyway (vfs.h). */
static bool is_linux_own(const struct oci_mount *m)
{
    static const char *const places[] = {"/proc", "/sys", "/dev"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const char *rest = str_after(m->destination, places[i]);
        if (rest && (!*rest || *rest == '/'))
            return true;
    }
    return false;
}

/* Of the spec's mounts those that bring files: of the host, or of memory. */
static int describe_mounts(struct wasm *w, struct arena *a, const struct oci_spec *spec,
                           const char *id, struct wire_files *c, struct error *err)
{
    unsigned made = 0;
    for (size_t i = 0; i < spec->mounts_count; i++) {
        const struct oci_mount *m = &spec->mounts[i];
        bool bind = str_eq(str_or_empty(m->type), "bind"), read_only = false;
        bool tmpfs = str_eq(str_or_empty(m->type), "tmpfs") && !is_linux_own(m);
        autofree char *made_path = NULL;
        for (char **o = m->options; o && *o; o++) {
            bind |= str_eq(*o, "bind") || str_eq(*o, "rbind");
            read_only |= str_eq(*o, "ro") || str_eq(*o, "rro");
        }
        int r = tmpfs ? tmpfs_mount(w->tmpfs, id, made++, m, &made_path, err) : 0;
        if (r < 0)
            return r;
        if (!tmpfs && (!bind || str_empty(m->source)))
            continue;
        struct wire_mount *mount = &c->mounts[c->mount_count++];
        *mount = (struct wire_mount){
            .destination = m->destination, .upper = "", .work = "", .read_only = read_only};
        add_layer(a, &mount->layers, tmpfs ? made_path : m->source);
    }
    return 0;
}

static int build_vfs(const struct wire_files *c, struct vfs **ret, struct error *err)
{
    auto(vfs) struct vfs *v = vfs_new();
    if (!v)
        return fail(err, ENOMEM, "look into the rootfs");
    for (size_t i = 0; i < c->mount_count; i++) {
        const struct wire_mount *m = &c->mounts[i];
        struct vfs_mount_spec spec = {.destination = m->destination,
                                      .layers = m->layers,
                                      .upper = *m->upper ? m->upper : NULL,
                                      .work = *m->work ? m->work : NULL,
                                      .opaque = m->opaque,
                                      .read_only = true};
        int r = vfs_add(v, &spec, err);
        if (r < 0)
            return r;
    }
    *ret = take_ptr(&v);
    return 0;
}

static int open_module(const struct wire_files *c, const char *name, const char *cwd, int *ret,
                       struct error *err)
{
    auto(vfs) struct vfs *v = NULL;
    auto(vfs_node) struct vfs_node n = {0};
    autofree char *path = str_format("%s/%s", *name == '/' ? "." : cwd + (*cwd == '/'), name);
    int r = build_vfs(c, &v, err);
    if (r < 0)
        return r;
    r = path ? vfs_lookup(v, "", path + strspn(path, "/"), true, &n) : -ENOMEM;
    int fd = r < 0 ? r : vfs_open(v, &n, O_RDONLY, 0);
    if (fd < 0)
        return fail(err, fd, "open '%s' in the container's rootfs", name);
    *ret = fd;
    return 0;
}

int container_open_module(struct prepared *p, struct error *err)
{
    return p->module >= 0 ? 0 : open_module(p->files, p->create->args[0], p->cwd, &p->module, err);
}

/* args and env, checked, and which module it is, for which profile. */
static int prepare_process(struct wasm *w, const struct oci_spec *spec, struct prepared *p,
                           struct error *err)
{
    struct wire_create *c = p->create;
    const struct oci_process *process = spec->process;
    struct module_info module;
    if (!process || !process->args || !process->args[0])
        return fail_plain(err, EINVAL, "process.args: the container has no command");
    c->args = process->args;
    c->env = process->env;
    p->cwd = str_or_empty(process->cwd);
    if (!p->layered || !known_find(w->known, p->files, p->cwd, c->args[0], &module)) {
        int r = container_open_module(p, err);
        if (!r)
            r = cache_look(w->cache, p->module, c->args[0], &module, err);
        if (r < 0)
            return r;
        if (p->layered)
            known_keep(w->known, p->files, p->cwd, c->args[0], p->module, &module);
    }
    memcpy(c->module.digest, module.digest, SHA256_LEN);
    return choose_profile(spec, module.memory, &c->module.profile, err);
}

/* The guest is told of them as systemd tells. */
static int prepare_sockets(const struct process *p, const struct oci_spec *spec,
                           struct prepared *ret, struct error *err)
{
    struct wire_create *c = ret->create;
    int r = listen_open(spec, p->sandbox->netns_path, &ret->listening, err);
    c->sockets = ret->listening.count;
    if (r < 0 || !c->sockets)
        return r;
    size_t n = strv_len(c->env);
    char **env = arena_array(&ret->arena, char *, n + 2);
    for (size_t i = 0; i < n; i++)
        env[i] = c->env[i];
    env[n] = arena_printf(&ret->arena, "LISTEN_FDS=%u", c->sockets);
    c->env = env;
    return 0;
}

unsigned container_streams(const struct wire_files *f)
{
    return (*f->in == '/' ? WIRE_IN_FIFO : 0) | (*f->out == '/' ? WIRE_OUT_FIFO : 0) |
           (*f->err == '/' ? WIRE_ERR_FIFO : 0) | (*f->out && *f->out != '/' ? WIRE_LOG : 0);
}

/* The root and the mounts that are directories. */
static char **preopens_of(struct arena *a, const struct wire_files *f)
{
    char **v = arena_array(a, char *, f->mount_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->mount_count; i++) {
        struct stat st;
        if (i && (stat(f->mounts[i].layers[0], &st) < 0 || !S_ISDIR(st.st_mode)))
            continue;
        autofree char *path = vfs_plain_path(f->mounts[i].destination);
        if (path)
            v[n++] = arena_strdup(a, path);
    }
    return v;
}

static void describe_user(const struct oci_user *user, struct wire_user *ret)
{
    *ret = (struct wire_user){.name = str_or_empty(user->username),
                              .uid = user->uid,
                              .gid = user->gid,
                              .groups = user->additional_gids,
                              .group_count = user->additional_gids_count};
}

int container_prepare(struct wasm *w, const struct process *p, const struct buffer *record,
                      struct prepared *ret, struct error *err)
{
    struct arena *a = &ret->arena;
    struct oci_spec *spec;
    *ret = (struct prepared){.module = -1};
    int r = read_spec(p, a, &spec, err);
    if (r < 0)
        return r;
    struct wire_create *c = ret->create = arena_new(a, struct wire_create);
    *c = (struct wire_create){.sandbox_id = p->sandbox->id,
                              .id = p->id,
                              .of = "",
                              .entry = "",
                              .record = record->data,
                              .record_len = record->len};
    r = limits_of_spec(spec, w->options.memory_limit, &c->limits, err);
    if (r < 0)
        return r;
    struct wire_files *f = ret->files = arena_new(a, struct wire_files);
    *f = (struct wire_files){.in = str_or_empty(p->stdin_),
                             .out = str_or_empty(p->stdout_),
                             .err = str_or_empty(p->stderr_)};
    c->streams = container_streams(f);
    if (spec->process)
        describe_user(&spec->process->user, &f->user);
    if (spec->mounts_count >= VFS_MOUNTS_MAX)
        return fail_plain(err, EINVAL, "mounts: %zu, where %d are allowed", spec->mounts_count,
                          VFS_MOUNTS_MAX - 1);
    f->mounts = arena_array(a, struct wire_mount, spec->mounts_count + 1);
    r = describe_rootfs(a, p, spec, &f->mounts[0], err);
    ret->layered = p->rootfs_count && str_eq(str_or_empty(p->rootfs->type), "overlay");
    if (!r)
        r = opaque_list(w->opaque, f->mounts[0].layers, a, &f->mounts[0].opaque, err);
    if (r < 0)
        return r;
    f->mount_count = 1;
    r = describe_mounts(w, a, spec, p->id, f, err);
    if (r < 0)
        return r;
    c->preopens = preopens_of(a, f);
    r = prepare_process(w, spec, ret, err);
    return r < 0 ? r : prepare_sockets(p, spec, ret, err);
}
