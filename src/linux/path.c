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

/* The directories of path, one by one. */
static int make_directories(int root, const char *path)
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
        if (next == -ENOENT) {
            if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
                next = -errno;
            else
                next = root_open(root, part, O_PATH | O_DIRECTORY);
        }
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
    return make_directories(root, parent);
}

int root_make(int root, const char *path, bool file)
{
    int fd = root_open(root, path, O_PATH);
    if (fd != -ENOENT)
        return fd;
    if (!file)
        return make_directories(root, path);
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
