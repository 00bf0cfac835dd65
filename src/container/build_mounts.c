/* SPDX-License-Identifier: Apache-2.0 */
/* The root, and the spec's mounts with mount(8)'s options. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "base/str.h"
#include "container/build.h"
#include "linux/cgroup.h"
#include "linux/sys.h"

/* The root */

/* Cuts lowerdir's value at its colons; "\:" is a colon in a path, as mount(8) has it. */
static char **split_layers(struct arena *a, const char *value)
{
    char **v = arena_array(a, char *, strlen(value) + 2);
    char *to = arena_alloc(a, strlen(value) + 1);
    size_t n = 0;
    for (v[n] = to; *value; value++) {
        if (*value == '\\' && (value[1] == ':' || value[1] == '\\')) {
            *to++ = *++value;
        } else if (*value == ':') {
            *to++ = 0;
            v[++n] = to;
        } else {
            *to++ = *value;
        }
    }
    return v;
}

static char **append_layer(struct arena *a, char **v, const char *layer)
{
    size_t n = strv_len(v);
    char **more = arena_array(a, char *, n + 2);
    memcpy(more, v, n * sizeof *v);
    more[n] = arena_strdup(a, layer);
    return more;
}

static int parse_overlay(char *const *options, struct arena *a, struct recipe_rootfs *ret,
                         struct error *err)
{
    char *none[] = {NULL};
    ret->lower = none;
    for (; options && *options; options++) {
        const char *o = *options, *v;
        if ((v = str_after(o, "lowerdir=")))
            ret->lower = split_layers(a, v);
        else if ((v = str_after(o, "lowerdir+=")))
            ret->lower = append_layer(a, ret->lower, v);
        else if ((v = str_after(o, "upperdir=")))
            ret->upper = arena_strdup(a, v);
        else if ((v = str_after(o, "workdir=")))
            ret->work = arena_strdup(a, v);
        else if (str_eq(o, "ro"))
            ret->readonly = true;
        else if (str_eq(o, "volatile"))
            ret->unsynced = true;
        else if (!str_eq(o, "rw") && !str_eq(o, "index=off"))
            return fail_plain(err, EINVAL, "rootfs: overlay option '%s' is not known", o);
    }
    if (!ret->lower[0])
        return fail_plain(err, EINVAL, "rootfs: an overlay needs a lowerdir");
    if (!ret->upper != !ret->work)
        return fail_plain(err, EINVAL, "rootfs: an overlay needs upperdir and workdir, or neither");
    return 0;
}

int recipe_rootfs_parse(const char *type, const char *source, char *const *options, struct arena *a,
                        struct recipe_rootfs *ret, struct error *err)
{
    *ret = (struct recipe_rootfs){0};
    if (str_eq(type, "overlay"))
        return parse_overlay(options, a, ret, err);
    if (!str_eq(type, "bind") && !str_eq(type, ""))
        return fail_plain(err, EOPNOTSUPP,
                          "rootfs: file system type '%s' is not supported, only overlay and bind",
                          type);
    if (str_empty(source))
        return fail_plain(err, EINVAL, "rootfs: a bind mount needs a source");
    ret->dir = arena_strdup(a, source);
    for (; options && *options; options++)
        if (str_eq(*options, "ro"))
            ret->readonly = true;
    return 0;
}

static int check_directory(const char *path, const char *what, struct error *err)
{
    if (*path != '/')
        return fail_plain(err, EINVAL, "rootfs: %s '%s' is not absolute", what, path);
    return strlen(path) < PATH_MAX ? 0 : fail(err, ENAMETOOLONG, "rootfs: %s", what);
}

int build_rootfs(struct builder *b, struct error *err)
{
    struct recipe *r = &b->recipe;
    const struct oci_root *root = b->in->spec->root;
    struct recipe_rootfs from = b->in->rootfs ? *b->in->rootfs : (struct recipe_rootfs){0};
    if (!b->in->rootfs) {
        if (!root || str_empty(root->path) || *root->path != '/')
            return fail_plain(err, EINVAL, "root.path: '%s' is not absolute",
                              root ? str_or_empty(root->path) : "");
        from.dir = root->path;
    }
    bool readonly = from.readonly || (root && root->readonly);
    if (from.lower && !from.upper) {
        readonly = true;
        if (!from.lower[1]) { /* the kernel has no overlay of one layer */
            from.dir = from.lower[0];
            from.lower = NULL;
        }
    }
    if (readonly)
        r->flags |= RECIPE_ROOT_READONLY;
    if (from.unsynced && from.upper)
        r->flags |= RECIPE_ROOT_VOLATILE;
    int e = 0;
    for (size_t i = 0; !e && from.lower && from.lower[i]; i++)
        e = check_directory(from.lower[i], "lowerdir", err);
    if (!e && from.upper)
        e = check_directory(from.upper, "upperdir", err);
    if (!e && from.work)
        e = check_directory(from.work, "workdir", err);
    if (!e && !from.lower)
        e = check_directory(str_or_empty(from.dir), "directory", err);
    if (!e && (builder_strings(b, from.lower, &r->lower) ||
               builder_string(b, from.lower ? from.upper : NULL, &r->upper) ||
               builder_string(b, from.lower ? from.work : NULL, &r->work) ||
               builder_string(b, from.lower ? NULL : from.dir, &r->root)))
        e = fail(err, ENOMEM, "build a recipe");
    return e;
}

/* Mounts */

struct option {
    const char *name;
    unsigned set, clear; /* MOUNT_ATTR_* */
};

/* A name with "r" before it is the same for all mounts below (runtime-spec, config.md, "Linux mount options"). */
static const struct option attributes[] = {
    {"ro", SYS_ATTR_RDONLY, 0},
    {"rw", 0, SYS_ATTR_RDONLY},
    {"nosuid", SYS_ATTR_NOSUID, 0},
    {"suid", 0, SYS_ATTR_NOSUID},
    {"nodev", SYS_ATTR_NODEV, 0},
    {"dev", 0, SYS_ATTR_NODEV},
    {"noexec", SYS_ATTR_NOEXEC, 0},
    {"exec", 0, SYS_ATTR_NOEXEC},
    {"relatime", 0, SYS_ATTR_ATIME},
    {"noatime", SYS_ATTR_NOATIME, SYS_ATTR_ATIME},
    {"strictatime", SYS_ATTR_STRICTATIME, SYS_ATTR_ATIME},
    {"atime", 0, SYS_ATTR_ATIME},
    {"norelatime", 0, SYS_ATTR_ATIME},
    {"nostrictatime", 0, SYS_ATTR_ATIME},
    {"nodiratime", SYS_ATTR_NODIRATIME, 0},
    {"diratime", 0, SYS_ATTR_NODIRATIME},
    {"nosymfollow", SYS_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, SYS_ATTR_NOSYMFOLLOW},
};

static const struct name_value propagations[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

static void apply(const struct option *o, uint32_t *set, uint32_t *clear)
{
    *set = (*set & ~o->clear) | o->set;
    *clear = (*clear | o->clear) & ~(o->set & ~(unsigned)SYS_ATTR_ATIME);
}

static bool apply_attribute(const char *name, struct recipe_mount *m)
{
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
        if (str_eq(attributes[i].name, name)) {
            apply(&attributes[i], &m->attr_set, &m->attr_clear);
            return true;
        }
        if (*name == 'r' && str_eq(attributes[i].name, name + 1)) {
            apply(&attributes[i], &m->recursive_set, &m->recursive_clear);
            return true;
        }
    }
    int64_t propagation = name_find(propagations, ARRAY_SIZE(propagations), name);
    if (propagation >= 0)
        m->propagation = (uint32_t)propagation;
    return propagation >= 0;
}

/* What the file system itself is told: KEY=VALUE, or a flag. */
static int add_parameter(struct builder *b, const char *option, struct recipe_pair *to)
{
    const char *equals = strchr(option, '=');
    char *key = equals ? arena_printf(&b->arena, "%.*s", (int)(equals - option), option)
                       : arena_strdup(&b->arena, option);
    int e = builder_string(b, key, &to->key);
    return e ? e : builder_string(b, equals ? equals + 1 : NULL, &to->value);
}

static int refuse_option(const struct oci_mount *m, size_t i, const char *o, struct error *err)
{
    if (str_after(o, "idmap") || str_after(o, "ridmap") || str_eq(o, "tmpcopyup") ||
        str_eq(o, "copy-symlink"))
        return fail_plain(err, EOPNOTSUPP,
                          "mounts[%zu].options: '%s' (at '%s') is not supported yet", i, o,
                          m->destination);
    return fail_plain(err, EINVAL, "mounts[%zu].options: '%s' (at '%s') is not known", i, o,
                      m->destination);
}

static int build_options(struct builder *b, const struct oci_mount *from, size_t i,
                         struct recipe_mount *to, struct error *err)
{
    size_t n = strv_len(from->options), count = 0;
    struct recipe_pair *list = arena_array(&b->arena, struct recipe_pair, n);
    for (size_t k = 0; k < n; k++) {
        const char *o = from->options[k];
        bool bind = to->kind == RECIPE_MOUNT_BIND;
        if (str_eq(o, "rbind"))
            to->recursive = 1;
        else if (str_eq(o, "bind") || str_eq(o, "defaults") || str_eq(o, "remount") ||
                 str_eq(o, "loud") || str_eq(o, "silent") || str_eq(o, "async") || !*o)
            continue;
        else if (apply_attribute(o, to))
            continue;
        else if (bind || str_after(o, "idmap") || str_after(o, "ridmap") || str_eq(o, "tmpcopyup"))
            return refuse_option(from, i, o, err);
        else if (to->kind == RECIPE_MOUNT_FS && add_parameter(b, o, &list[count++]))
            return fail(err, ENOMEM, "build a recipe");
    }
    return builder_items(b, list, count, sizeof *list, &to->parameters);
}

static enum recipe_mount_kind kind_of(struct builder *b, const struct oci_mount *m)
{
    for (char **o = m->options; o && *o; o++)
        if (str_eq(*o, "bind") || str_eq(*o, "rbind"))
            return RECIPE_MOUNT_BIND;
    const char *type = str_or_empty(m->type);
    if (str_eq(type, "bind"))
        return RECIPE_MOUNT_BIND;
    bool v1 = !b->in->cgroup || cgroup_host_version(b->in->cgroup->host) == 1;
    return str_eq(type, "cgroup") && v1 ? RECIPE_MOUNT_CGROUP : RECIPE_MOUNT_FS;
}

static int check_mount(const struct oci_mount *m, size_t i, enum recipe_mount_kind kind,
                       struct error *err)
{
    const char *at = str_or_empty(m->destination);
    if (*at != '/' || !at[strspn(at, "/.")])
        return fail_plain(err, EINVAL,
                          "mounts[%zu].destination: '%.64s' is not an absolute path "
                          "below the root",
                          i, at);
    if (strlen(at) >= PATH_MAX)
        return fail_plain(err, EINVAL, "mounts[%zu].destination: longer than %d bytes", i,
                          PATH_MAX - 1);
    if (m->uid_mappings_count || m->gid_mappings_count)
        return fail_plain(err, EOPNOTSUPP, "mounts[%zu].uidMappings: not supported yet", i);
    if (kind == RECIPE_MOUNT_BIND && *str_or_empty(m->source) != '/')
        return fail_plain(err, EINVAL, "mounts[%zu].source: '%s' is not absolute (at '%s')", i,
                          str_or_empty(m->source), at);
    if (kind == RECIPE_MOUNT_FS && str_empty(m->type))
        return fail_plain(err, EINVAL, "mounts[%zu].type: missing (at '%s')", i, at);
    return 0;
}

static int build_mount(struct builder *b, const struct oci_mount *from, size_t i,
                       struct recipe_mount *to, struct error *err)
{
    to->kind = kind_of(b, from);
    int e = check_mount(from, i, to->kind, err);
    if (!e)
        e = build_options(b, from, i, to, err);
    if (e)
        return e;
    if (to->kind == RECIPE_MOUNT_BIND && !to->propagation)
        to->propagation = MS_SLAVE | MS_REC;
    const char *type = str_or_empty(from->type);
    if (to->kind == RECIPE_MOUNT_FS && str_eq(type, "cgroup"))
        type = "cgroup2";
    const char *at = from->destination;
    if (to->kind == RECIPE_MOUNT_BIND && (str_eq(at, "/dev") || str_eq(at, "/dev/")))
        b->recipe.flags &= ~(uint32_t)RECIPE_OWN_DEV;
    if (builder_string(b, at, &to->destination) || builder_string(b, from->source, &to->source) ||
        builder_string(b, type, &to->type))
        return fail(err, ENOMEM, "build a recipe");
    return 0;
}

static int build_views(struct builder *b, struct error *err)
{
    struct cgroup_view *views;
    size_t n;
    int e = cgroup_views(b->in->cgroup, &b->arena, &views, &n, err);
    if (e < 0)
        return e;
    struct recipe_pair *list = arena_array(&b->arena, struct recipe_pair, n);
    for (size_t i = 0; i < n; i++)
        if (builder_string(b, views[i].name, &list[i].key) ||
            builder_string(b, views[i].path, &list[i].value))
            return fail(err, ENOMEM, "build a recipe");
    return builder_items(b, list, n, sizeof *list, &b->recipe.cgroup_views);
}

int build_mounts(struct builder *b, struct error *err)
{
    const struct oci_spec *spec = b->in->spec;
    struct recipe_mount *list = arena_array(&b->arena, struct recipe_mount, spec->mounts_count);
    size_t n = 0;
    bool views = false;
    b->recipe.flags |= RECIPE_OWN_DEV;
    for (size_t i = 0; i < spec->mounts_count; i++) {
        struct recipe_mount m = {0};
        int e = build_mount(b, &spec->mounts[i], i, &m, err);
        if (e)
            return e;
        if (m.kind == RECIPE_MOUNT_CGROUP && !b->in->cgroup) {
            builder_warn(b, "mounts[%zu]: no cgroup of its own, nothing is mounted at '%s'", i,
                         spec->mounts[i].destination);
            continue;
        }
        views = views || m.kind == RECIPE_MOUNT_CGROUP;
        list[n++] = m;
    }
    int e = views ? build_views(b, err) : 0;
    if (!e)
        e = builder_items(b, list, n, sizeof *list, &b->recipe.mounts);
    return e;
}
