/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/path.h"
#include "linux/sys.h"

const char *child_fs_message(int fs, char *text, size_t size)
{
    /* a message a read: "e overlay: ..." */
    ssize_t n = read(fs, text, size - 1);
    if (n <= 0)
        return "";
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = 0;
    return n > 2 && text[1] == ' ' ? text + 2 : text;
}

static int configure(const struct recipe *r, int fs, const char *source,
                     struct recipe_list parameters)
{
    /* not every file system takes a source, and none needs ours */
    if (source)
        sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "source", source, 0);
    const struct recipe_pair *p = recipe_items(r, parameters);
    for (uint32_t i = 0; i < parameters.count; i++)
        if (sys_fsconfig(fs, p[i].value ? SYS_FSCONFIG_SET_STRING : SYS_FSCONFIG_SET_FLAG,
                         recipe_text(r, p[i].key), recipe_text(r, p[i].value), 0) < 0)
            return -errno;
    return sys_fsconfig(fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

int child_new_mount(const struct recipe *r, const char *type, const char *source,
                    struct recipe_list parameters, unsigned attributes, struct error *err)
{
    int fs = sys_fsopen(type, SYS_FSOPEN_CLOEXEC);
    if (fs < 0)
        return fail(err, errno == ENODEV ? ENODEV : errno, "file system type '%s'", type);
    int e = configure(r, fs, source, parameters);
    if (e < 0) {
        char text[256];
        const char *more = child_fs_message(fs, text, sizeof text);
        e = fail(err, e, "mount a %s%s%s", type, *more ? ": " : "", more);
        close(fs);
        return e;
    }
    int tree = sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, attributes);
    e = tree < 0 ? fail(err, errno, "mount a %s", type) : 0;
    close(fs);
    return e ? e : tree;
}

static bool is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Attaches tree at path inside the root; path is made where it is not there. */
static int attach(struct child *c, int tree, const char *path, bool file, bool no_symlink,
                  struct error *err)
{
    int at = -1;
    if (no_symlink) {
        at = sys_open_resolve(c->root, path, O_PATH, 0,
                              SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS);
        if (at < 0 && errno == ELOOP)
            return fail_plain(err, ELOOP, "mount at '%s': it is a symbolic link", path);
    }
    if (at < 0)
        at = root_make(c->root, path, file);
    if (at < 0)
        return fail(err, at, "make the mount point '%s'", path);
    int e = sys_move_mount(tree, "", at, "",
                           SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH) < 0
                ? errno
                : 0;
    if (e == ENOTDIR)
        e = fail_plain(err, ENOTDIR,
                       "mount at '%s': one of source and mount point is a directory, "
                       "the other is not",
                       path);
    else if (e)
        e = fail(err, e, "mount at '%s'", path);
    close(at);
    return e;
}

static int set_attributes(int tree, const struct recipe_mount *m, const char *path,
                          struct error *err)
{
    struct sys_mount_attr all = {
        .set = m->recursive_set,
        .clear = m->recursive_clear,
        .propagation = m->propagation & ~(uint64_t)MS_REC,
    };
    if ((all.set || all.clear || all.propagation) &&
        sys_mount_setattr(tree, "",
                          SYS_AT_EMPTY_PATH |
                              (m->propagation & MS_REC || all.set ? SYS_AT_RECURSIVE : 0),
                          &all) < 0)
        return fail(err, errno, "set the options of the mount at '%s'", path);
    struct sys_mount_attr one = {.set = m->attr_set, .clear = m->attr_clear};
    if ((one.set || one.clear) && sys_mount_setattr(tree, "", SYS_AT_EMPTY_PATH, &one) < 0)
        return fail(err, errno, "set the options of the mount at '%s'", path);
    return 0;
}

static int mount_bind(struct child *c, const struct recipe_mount *m, int tree, struct error *err)
{
    const char *path = recipe_text(c->recipe, m->destination);
    int e = set_attributes(tree, m, path, err);
    return e ? e : attach(c, tree, path, !is_directory(tree), false, err);
}

static int mount_fs(struct child *c, const struct recipe_mount *m, struct error *err)
{
    const struct recipe *r = c->recipe;
    const char *path = recipe_text(r, m->destination), *type = recipe_text(r, m->type);
    int tree = child_new_mount(r, type, recipe_text(r, m->source), m->parameters, m->attr_set, err);
    if (tree < 0)
        return fail_in(err, tree, "mount at '%s'", path);
    bool kernel = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
    int e = attach(c, tree, path, false, kernel, err);
    if (!e && m->propagation)
        e = set_attributes(tree, m, path, err);
    close(tree);
    return e;
}

/* cgroup v1: a tmpfs with the container's own group of each hierarchy. */
static int mount_cgroups(struct child *c, const struct recipe_mount *m, struct error *err)
{
    const struct recipe *r = c->recipe;
    const char *path = recipe_text(r, m->destination);
    const struct recipe_pair *views = recipe_items(r, r->cgroup_views);
    int tmpfs = child_new_mount(r, "tmpfs", "tmpfs", (struct recipe_list){0},
                                m->attr_set & ~(unsigned)SYS_ATTR_RDONLY, err);
    if (tmpfs < 0)
        return fail_in(err, tmpfs, "mount at '%s'", path);
    int e = attach(c, tmpfs, path, false, false, err);
    for (uint32_t i = 0; !e && i < r->cgroup_views.count; i++) {
        const char *name = recipe_text(r, views[i].key), *group = recipe_text(r, views[i].value);
        int tree = sys_open_tree(AT_FDCWD, group, SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC);
        if (tree < 0)
            return fail(err, errno, "mount the cgroup '%s'", group);
        struct sys_mount_attr attr = {.set = m->attr_set, .propagation = MS_PRIVATE};
        if (sys_mount_setattr(tree, "", SYS_AT_EMPTY_PATH, &attr) < 0 ||
            (mkdirat(tmpfs, name, 0755) < 0 && errno != EEXIST) ||
            sys_move_mount(tree, "", tmpfs, name, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
            e = fail(err, errno, "mount the cgroup '%s' at '%s/%s'", group, path, name);
        close(tree);
    }
    struct sys_mount_attr attr = {.set = m->attr_set};
    if (!e && sys_mount_setattr(tmpfs, "", SYS_AT_EMPTY_PATH, &attr) < 0)
        e = fail(err, errno, "set the options of the mount at '%s'", path);
    close(tmpfs);
    return e;
}

int child_mount_all(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct recipe_mount *m = recipe_items(r, r->mounts);
    int e = 0;
    for (uint32_t i = 0; !e && i < r->mounts.count; i++) {
        if (m[i].kind == RECIPE_MOUNT_BIND) {
            e = mount_bind(c, &m[i], c->sources[i], err);
            close(c->sources[i]);
        } else if (m[i].kind == RECIPE_MOUNT_CGROUP) {
            e = mount_cgroups(c, &m[i], err);
        } else {
            e = mount_fs(c, &m[i], err);
        }
    }
    return e;
}

/* Masked and read-only paths */

static int clone_tree(int fd, const char *path, bool recursive)
{
    return sys_open_tree(fd, path,
                         SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC |
                             (recursive ? (unsigned)SYS_AT_RECURSIVE : 0) |
                             (*path ? 0 : (unsigned)SYS_AT_EMPTY_PATH));
}

/* Files are covered by the host's /dev/null, directories by one empty tmpfs for all. */
static int mask(struct child *c, const char *path, int *empty, struct error *err)
{
    int at = root_open(c->root, path, O_PATH);
    if (at == -ENOENT || at == -ENOTDIR)
        return 0;
    if (at < 0)
        return fail(err, at, "mask '%s'", path);
    int tree;
    if (!is_directory(at)) {
        tree = clone_tree(AT_FDCWD, "/dev/null", false);
    } else if (*empty >= 0) {
        tree = clone_tree(*empty, "", false);
    } else {
        tree = child_new_mount(c->recipe, "tmpfs", "tmpfs", (struct recipe_list){0},
                               SYS_ATTR_RDONLY | SYS_ATTR_NOSUID | SYS_ATTR_NODEV | SYS_ATTR_NOEXEC,
                               err);
    }
    int e = 0;
    if (tree < 0 || sys_move_mount(tree, "", at, "",
                                   SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH) < 0)
        e = fail(err, errno, "mask '%s'", path);
    if (!e && is_directory(tree) && *empty < 0)
        *empty = tree;
    else if (tree >= 0)
        close(tree);
    close(at);
    return e;
}

static int make_readonly(struct child *c, const char *path, struct error *err)
{
    int at = root_open(c->root, path, O_PATH);
    if (at == -ENOENT || at == -ENOTDIR)
        return 0;
    if (at < 0)
        return fail(err, at, "make '%s' read-only", path);
    int e = 0, tree = clone_tree(at, "", true);
    struct sys_mount_attr attr = {.set = SYS_ATTR_RDONLY};
    if (tree < 0 || sys_mount_setattr(tree, "", SYS_AT_EMPTY_PATH | SYS_AT_RECURSIVE, &attr) < 0 ||
        sys_move_mount(tree, "", at, "",
                       SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH) < 0)
        e = fail(err, errno, "make '%s' read-only", path);
    if (tree >= 0)
        close(tree);
    close(at);
    return e;
}

int child_protect_paths(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    int e = 0, empty = -1;
    for (uint32_t i = 0; !e && i < r->readonly_.count; i++)
        e = make_readonly(c, recipe_text_at(r, r->readonly_, i), err);
    for (uint32_t i = 0; !e && i < r->masked.count; i++)
        e = mask(c, recipe_text_at(r, r->masked, i), &empty, err);
    if (empty >= 0)
        close(empty);
    return e;
}
