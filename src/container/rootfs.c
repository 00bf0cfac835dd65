/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/path.h"
#include "linux/sys.h"

/* In a chroot "/" is no mount, so that its propagation cannot be set and pivot_root is refused: then it is mounted over
 * itself. What is mounted above the chroot stays in our mount namespace, out of reach for who may not join namespaces. */
static int leave_chroot(struct error *err)
{
    int tree = sys_open_tree(AT_FDCWD, "/",
                             SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC | SYS_AT_RECURSIVE);
    if (tree < 0 || sys_move_mount(tree, "", AT_FDCWD, "/", SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(tree) < 0 || chroot(".") < 0)
        return fail(err, errno, "make a mount of the chroot that we are in");
    close(tree);
    return 0;
}

static int cut_off(struct error *err)
{
    int e = sys_is_mount("/") ? 0 : leave_chroot(err);
    if (e)
        return e;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail(err, errno, "cut the mounts off from the host's");
    return 0;
}

/* The sources of bind mounts are taken before the tree is cut off from the host's propagation, so that a mount asked
 * to be shared is a peer of the host's. */
int child_open_sources(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct recipe_mount *m = recipe_items(r, r->mounts);
    c->sources = calloc(r->mounts.count + 1, sizeof *c->sources);
    if (!c->sources)
        return fail(err, ENOMEM, "open the sources of mounts");
    for (uint32_t i = 0; i < r->mounts.count; i++) {
        c->sources[i] = -1;
        if (m[i].kind != RECIPE_MOUNT_BIND)
            continue;
        const char *source = recipe_text(r, m[i].source);
        c->sources[i] = sys_open_tree(AT_FDCWD, source,
                                      SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC |
                                          (m[i].recursive ? (unsigned)SYS_AT_RECURSIVE : 0));
        if (c->sources[i] < 0)
            return fail(err, errno, "mount '%s' at '%s'", source, recipe_text(r, m[i].destination));
    }
    return cut_off(err);
}

static int set_string(const struct recipe *r, int fs, const char *key, const char *value,
                      struct error *err)
{
    (void)r;
    if (sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, key, value, 0) == 0)
        return 0;
    char text[256];
    int e = errno;
    const char *more = child_fs_message(fs, text, sizeof text);
    return fail(err, e, "overlay root: %s '%s'%s%s", key, value, *more ? ": " : "", more);
}

/* Before Linux 6.5: all layers in one string, of a page at most. */
static int mount_overlay_old(const struct recipe *r, const char *at, struct error *err)
{
    char options[4096];
    size_t n = 0;
    for (uint32_t i = 0; i < r->lower.count && n < sizeof options; i++)
        n += (size_t)snprintf(options + n, sizeof options - n, "%s%s",
                              i ? ":" : "lowerdir=", recipe_text_at(r, r->lower, i));
    if (r->upper && n < sizeof options)
        n += (size_t)snprintf(options + n, sizeof options - n, ",upperdir=%s,workdir=%s",
                              recipe_text(r, r->upper), recipe_text(r, r->work));
    if (r->flags & RECIPE_ROOT_VOLATILE && n < sizeof options)
        n += (size_t)snprintf(options + n, sizeof options - n, ",volatile");
    if (n >= sizeof options)
        return fail_plain(err, E2BIG,
                          "overlay root: the paths of its %u layers are longer than a page, which "
                          "kernels before 6.5 do not take",
                          r->lower.count);
    if (mount("overlay", at, "overlay", 0, options) < 0)
        return fail(err, errno, "mount the overlay root with '%s'", options);
    return 0;
}

static int attach(int tree, const char *at, struct error *err)
{
    if (sys_move_mount(tree, "", AT_FDCWD, at, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(err, errno, "mount the root at '%s'", at);
    return 0;
}

/* The overlay is mounted over its own upper directory (or its topmost layer): any directory will do, since only
 * this mount namespace sees it, and only until pivot_root. */
static int mount_overlay(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const char *at = r->upper ? recipe_text(r, r->upper) : recipe_text_at(r, r->lower, 0);
    int fs = sys_fsopen("overlay", SYS_FSOPEN_CLOEXEC);
    if (fs < 0)
        return fail(err, errno, "mount an overlay");
    int e = 0;
    for (uint32_t i = 0; !e && i < r->lower.count; i++) {
        const char *layer = recipe_text_at(r, r->lower, i);
        if (!i && sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "lowerdir+", layer, 0) < 0 &&
            errno == EINVAL && access(layer, F_OK) == 0) {
            close(fs);
            e = mount_overlay_old(r, at, err);
            c->root = e ? -1 : open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
            return c->root < 0 && !e ? fail(err, errno, "open the root") : e;
        }
        if (i)
            e = set_string(r, fs, "lowerdir+", layer, err);
    }
    if (!e && r->upper)
        e = set_string(r, fs, "upperdir", recipe_text(r, r->upper), err);
    if (!e && r->upper)
        e = set_string(r, fs, "workdir", recipe_text(r, r->work), err);
    if (!e && r->flags & RECIPE_ROOT_VOLATILE &&
        sys_fsconfig(fs, SYS_FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
        e = fail(err, errno, "overlay root: volatile");
    if (!e && sys_fsconfig(fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        char text[256];
        int code = errno;
        e = fail(err, code, "mount the overlay root (%s)", child_fs_message(fs, text, sizeof text));
    }
    if (!e) {
        c->root = sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, 0);
        e = c->root < 0 ? fail(err, errno, "mount the overlay root") : 0;
    }
    close(fs);
    return e ? e : attach(c->root, at, err);
}

int child_mount_root(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    if (r->lower.count)
        return mount_overlay(c, err);
    const char *dir = recipe_text(r, r->root);
    c->root = sys_open_tree(AT_FDCWD, dir,
                            SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC | SYS_AT_RECURSIVE);
    if (c->root < 0)
        return fail(err, errno, "open the root '%s'", dir);
    return attach(c->root, dir, err);
}

int child_enter_root(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    if (r->flags & RECIPE_ROOT_READONLY) {
        struct sys_mount_attr attr = {.set = SYS_ATTR_RDONLY};
        if (sys_mount_setattr(c->root, "", SYS_AT_EMPTY_PATH, &attr) < 0)
            return fail(err, errno, "make the root read-only");
    }
    int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || fchdir(c->root) < 0)
        return fail(err, errno, "enter the root");
    /* the old root is stacked on the new one, and taken off from there */
    if (sys_pivot_root(".", ".") < 0)
        return fail(err, errno, "make the root the container's");
    if (fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0)
        return fail(err, errno, "leave the host's root");
    close(old);
    if (chdir("/") < 0)
        return fail(err, errno, "enter the root");
    if (r->root_propagation && mount(NULL, "/", NULL, r->root_propagation, NULL) < 0)
        return fail(err, errno, "set the root's propagation");
    return 0;
}
