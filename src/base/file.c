/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

int file_read(int dir, const char *path, size_t max, struct buffer *b, struct error *err)
{
    autoclose int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, errno, "open '%s'", path);
    size_t before = b->len;
    for (;;) {
        if (buffer_reserve(b, 4096) < 0)
            return fail(err, ENOMEM, "read '%s'", path);
        ssize_t n = read(fd, b->data + b->len, b->size - b->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "read '%s'", path);
        b->len += (size_t)n;
        b->data[b->len] = 0;
        if (!n)
            return 0;
        if (b->len - before > max)
            return fail(err, EFBIG, "read '%s' of more than %zu bytes", path, max);
    }
}

int file_write(int dir, const char *path, const char *text, struct error *err)
{
    autoclose int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, errno, "open '%s' to write '%s'", path, text);
    ssize_t n = write(fd, text, strlen(text));
    if (n < 0)
        return fail(err, errno, "write '%s' to '%s'", text, path);
    return 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

size_t fd_received(const struct msghdr *m, int *fds, size_t room)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c;
         c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            if (count < room)
                fds[count] = fd;
            else
                close(fd);
            count++;
        }
    }
    return count;
}

static int sync_parent(int dir, const char *path)
{
    autofree char *parent = strdup(path);
    if (!parent)
        return -ENOMEM;
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = 0;
    autoclose int fd = openat(dir, slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int dir, const char *path, const void *data, size_t len, mode_t mode, bool sync,
                 struct error *err)
{
    static unsigned counter;
    autofree char *part = str_format("%s.%d-%u.part", path, getpid(),
                                     __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
    if (!part)
        return fail(err, ENOMEM, "write '%s'", path);
    autoclose int fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(err, errno, "create '%s'", part);
    int r = fd_write_all(fd, data, len);
    if (!r && fchmod(fd, mode) < 0)
        r = -errno;
    if (!r && sync && fsync(fd) < 0)
        r = -errno;
    if (!r && renameat(dir, part, dir, path) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(dir, part, 0);
        return fail(err, r, "write '%s'", path);
    }
    r = sync ? sync_parent(dir, path) : 0;
    return r < 0 ? fail(err, r, "sync the directory of '%s'", path) : 0;
}

int dir_make(int dir, const char *path, mode_t mode, struct error *err)
{
    autofree char *copy = strdup(path);
    if (!copy)
        return fail(err, ENOMEM, "make directory '%s'", path);
    for (char *p = copy + 1;; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdirat(dir, copy, mode) < 0 && errno != EEXIST)
            return fail(err, errno, "make directory '%s'", copy);
        *p = c;
        if (!c)
            break;
    }
    struct stat st;
    if (fstatat(dir, path, &st, 0) < 0)
        return fail(err, errno, "make directory '%s'", path);
    return S_ISDIR(st.st_mode) ? 0 : fail(err, ENOTDIR, "make directory '%s'", path);
}

static int remove_below(int dir, const char *name, dev_t dev)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_dev != dev) {
        close(fd);
        return -EBUSY;
    }
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            r = remove_below(dirfd(d), e->d_name, dev);
    closedir(d);
    if (!r && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int dir_remove(int dir, const char *path, struct error *err)
{
    struct stat st;
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(err, errno, "remove '%s'", path);
    int r = remove_below(dir, path, st.st_dev);
    return r < 0 ? fail(err, r, "remove '%s'", path) : 0;
}

int path_open_in_root(int dir, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    /* EAGAIN: a rename or mount elsewhere raced with a ".." (openat2(2)); it passes */
    for (int attempt = 0;; attempt++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN || attempt == 128)
            return -errno;
    }
}

int path_make_in_root(int dir, const char *path, mode_t mode)
{
    autofree char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    int at = path_open_in_root(dir, "/", O_PATH | O_DIRECTORY, 0);
    if (at < 0)
        return at;
    for (char *p = copy; at >= 0 && *(p += strspn(p, "/"));) {
        p += strcspn(p, "/");
        char c = *p;
        *p = 0;
        int next = path_open_in_root(dir, copy, O_PATH | O_DIRECTORY, 0);
        if (next == -ENOENT) {
            const char *slash = strrchr(copy, '/');
            if (mkdirat(at, slash ? slash + 1 : copy, mode) < 0 && errno != EEXIST)
                next = -errno;
            else
                next = path_open_in_root(dir, copy, O_PATH | O_DIRECTORY, 0);
        }
        close(at);
        at = next;
        *p = c;
    }
    return at;
}
