/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/path.h"
#include "linux/sys.h"

/* Where mknod is not for us (in a user namespace), the host's node is mounted over an empty file. */
static int bind_device(struct child *c, const char *path, struct error *err)
{
    int tree = sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return fail(err, errno, "make the device '%s'", path);
    int at = root_make(c->root, path, true), e = 0;
    if (at < 0)
        e = fail(err, at, "make the device '%s'", path);
    else if (sys_move_mount(tree, "", at, "",
                            SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH) < 0)
        e = fail(err, errno, "make the device '%s'", path);
    if (at >= 0)
        close(at);
    close(tree);
    return e;
}

static int make_device(struct child *c, const struct recipe_device *d, struct error *err)
{
    const char *path = recipe_text(c->recipe, d->path), *name;
    int parent = root_make_parent(c->root, path, &name);
    if (parent < 0)
        return fail(err, parent, "make the device '%s'", path);
    int e = 0;
    if (mknodat(parent, name, d->mode, makedev(d->major, d->minor)) < 0)
        e = errno;
    if (!e && (d->uid || d->gid) && fchownat(parent, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
        e = errno;
    close(parent);
    if (e == EPERM)
        return bind_device(c, path, err);
    return e && e != EEXIST ? fail(err, e, "make the device '%s'", path) : 0;
}

int child_make_devices(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct recipe_device *d = recipe_items(r, r->devices);
    for (uint32_t i = 0; i < r->devices.count; i++) {
        int e = make_device(c, &d[i], err);
        if (e)
            return e;
    }
    /* runtime-spec, runtime-linux.md, "Dev symbolic links" */
    static const struct {
        const char *name, *target;
    } links[] = {
        {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
    };
    int dev = root_open(c->root, "/dev", O_PATH | O_DIRECTORY);
    if (dev < 0)
        return fail(err, dev, "open the container's '/dev'");
    int e = 0;
    for (size_t i = 0; !e && i < sizeof links / sizeof *links; i++)
        if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
            e = fail(err, errno, "link '/dev/%s'", links[i].name);
    close(dev);
    return e;
}

/* /dev/console is the terminal's, too; where there is no /dev of ours to put it in, the container does without. */
static int bind_console(struct child *c, int slave, struct error *err)
{
    int at = root_make(c->root, "/dev/console", true);
    if (at < 0)
        return 0;
    int tree =
        sys_open_tree(slave, "", SYS_OPEN_TREE_CLONE | SYS_OPEN_TREE_CLOEXEC | SYS_AT_EMPTY_PATH);
    int e = 0;
    if (tree < 0 || sys_move_mount(tree, "", at, "",
                                   SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH) < 0)
        e = fail(err, errno, "mount the terminal at '/dev/console'");
    if (tree >= 0)
        close(tree);
    close(at);
    return e;
}

int child_open_terminal(struct child *c, struct error *err)
{
    c->terminal = root_open(c->root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (c->terminal < 0)
        return fail(err, c->terminal, "open a terminal ('/dev/pts/ptmx' of the container)");
    int unlock = 0;
    if (ioctl(c->terminal, TIOCSPTLCK, &unlock) < 0)
        return fail(err, errno, "unlock the terminal");
    int slave = ioctl(c->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return fail(err, errno, "open the terminal's other side");
    uint32_t size = c->recipe->console_size;
    struct winsize window = {.ws_row = (unsigned short)(size >> 16),
                             .ws_col = (unsigned short)size};
    if (size && ioctl(slave, TIOCSWINSZ, &window) < 0)
        return fail(err, errno, "set the terminal's size");
    for (int i = 0; i < 3; i++)
        if (dup2(slave, i) < 0)
            return fail(err, errno, "make the terminal the standard streams");
    if (ioctl(0, TIOCSCTTY, 0) < 0)
        return fail(err, errno, "make the terminal the session's own");
    int e = c->recipe->flags & RECIPE_EXEC ? 0 : bind_console(c, slave, err);
    close(slave);
    return e;
}
