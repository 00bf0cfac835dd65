/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets whose path may be longer than sun_path: reached through a descriptor of their
 * directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "rpc/conn.h"

/* *ret_dir must stay open while the address is in use. */
static int address(const char *path, struct sockaddr_un *a, int *ret_dir)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len < sizeof a->sun_path) {
        memcpy(a->sun_path, path, len);
        return 0;
    }
    const char *name = strrchr(path, '/');
    if (!name)
        return -ENAMETOOLONG;
    autofree char *dir = strndup(path, (size_t)(name - path) + 1);
    if (!dir)
        return -ENOMEM;
    autoclose int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", fd, name + 1);
    if ((size_t)n >= sizeof a->sun_path)
        return -ENAMETOOLONG;
    *ret_dir = take_fd(&fd);
    return 0;
}

int unix_connect(const char *path)
{
    struct sockaddr_un a;
    autoclose int dir = -1;
    int r = address(path, &a, &dir);
    if (r < 0)
        return r;
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return -errno;
    return take_fd(&fd);
}

int unix_bind(int fd, const char *path)
{
    struct sockaddr_un a;
    autoclose int dir = -1;
    int r = address(path, &a, &dir);
    if (r < 0)
        return r;
    return bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
}
