/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/sys.h"

enum { RESOLVE = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS };

int root_open(int root, const char *path, int flags)
{
    int fd = sys_open_resolve(root, path, flags, 0, RESOLVE);
    return fd < 0 ? -errno : fd;
}

static int make_directories(int root, const char *path, int depth);

/* A link that leads nowhere yet: makes what it leads to, inside the root. */
static int make_target(int root, int at, const char *name, const char *path, int depth)
{
    enum { DEPTH_MAX = 8 };
    char link[PATH_MAX], target[2 * PATH_MAX];
    ssize_t n = readlinkat(at, name, link, sizeof link - 1);
    if (n < 0 || depth == DEPTH_MAX)
        return n < 0 ? -ENOENT : -ELOOP;
    link[n] = 0;
    size_t parent = *link == '/' ? 0 : (size_t)(name - path);
    snprintf(target, sizeof target, "%.*s%s", (int)parent, path, link);
    return make_directories(root, target, depth + 1);
}

/* The directories of path, one by one. */
static int make_directories(int root, const char *path, int depth)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    int at = root_open(root, "/", O_PATH | O_DIRECTORY);
    for (char *p = part; at >= 0 && *(p += strspn(p, "/"));) {
        char *name = p;
        p += strcspn(p, "/");
        char after = *p;
        *p = 0;
        int next = root_open(root, part, O_PATH | O_DIRECTORY);
        if (next == -ENOENT && mkdirat(at, name, 0755) < 0)
            next = errno == EEXIST ? make_target(root, at, name, part, depth) : -errno;
        else if (next == -ENOENT)
            next = root_open(root, part, O_PATH | O_DIRECTORY);
        close(at);
        at = next;
        *p = after;
    }
    return at;
}

int root_make_parent(int root, const char *path, const char **ret_name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    int n = snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
    if (n < 0 || (size_t)n >= sizeof parent)
        return -ENAMETOOLONG;
    if (!**ret_name || strcmp(*ret_name, ".") == 0 || strcmp(*ret_name, "..") == 0)
        return -EINVAL;
    return make_directories(root, parent, 0);
}

int root_make(int root, const char *path, bool file)
{
    int fd = root_open(root, path, O_PATH);
    if (fd != -ENOENT)
        return fd;
    if (!file)
        return make_directories(root, path, 0);
    const char *name;
    int parent = root_make_parent(root, path, &name);
    if (parent < 0)
        return parent;
    close(parent);
    /* by the whole path: a last component that is a dangling symlink is followed inside the root */
    fd = sys_open_resolve(root, path, O_RDONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, 0644, RESOLVE);
    if (fd < 0)
        return -errno;
    close(fd);
    return root_open(root, path, O_PATH);
}
