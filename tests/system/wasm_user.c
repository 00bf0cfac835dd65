/* SPDX-License-Identifier: Apache-2.0 */
/* For wasm_user.bats, as a guest and as a program of Linux: does each of "OP PATH [PATH]" and says what came of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __wasi__
#include <wasi/api.h>
#endif

static int open_close(const char *path, int flags)
{
    int fd = open(path, flags, 0666);
    return fd < 0 ? -1 : close(fd);
}

static int list(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return -1;
    errno = 0;
    while (readdir(d))
        ;
    int e = errno;
    closedir(d);
    errno = e;
    return e ? -1 : 0;
}

static int set_times(const char *path, int by_descriptor)
{
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    if (!by_descriptor)
        return utimensat(AT_FDCWD, path, times, 0);
    int fd = open(path, O_WRONLY);
    int r = fd < 0 ? -1 : futimens(fd, times), e = errno;
    close(fd);
    errno = e;
    return r;
}

/* WASI's libc of Debian 12 has no way to say "now". */
static int touch(const char *path)
{
#ifdef __wasi__
    errno = __wasi_path_filestat_set_times(3, 0, path + 1, 0, 0,
                                           __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_MTIM_NOW);
    return errno ? -1 : 0;
#else
    return utimensat(AT_FDCWD, path, NULL, 0);
#endif
}

static int try(const char *op, const char *path, const char *to)
{
    struct stat st;
    if (strcmp(op, "stat") == 0)
        return lstat(path, &st);
    if (strcmp(op, "read") == 0)
        return open_close(path, O_RDONLY);
    if (strcmp(op, "write") == 0)
        return open_close(path, O_WRONLY);
    if (strcmp(op, "truncate") == 0)
        return open_close(path, O_WRONLY | O_TRUNC);
    if (strcmp(op, "create") == 0)
        return open_close(path, O_WRONLY | O_CREAT | O_EXCL);
    if (strcmp(op, "list") == 0)
        return list(path);
    if (strcmp(op, "mkdir") == 0)
        return mkdir(path, 0777);
    if (strcmp(op, "unlink") == 0)
        return unlink(path);
    if (strcmp(op, "rmdir") == 0)
        return rmdir(path);
    if (strcmp(op, "rename") == 0)
        return rename(path, to);
    if (strcmp(op, "link") == 0)
        return link(path, to);
    if (strcmp(op, "symlink") == 0)
        return symlink("target", path);
    if (strcmp(op, "touch") == 0)
        return touch(path);
    if (strcmp(op, "times") == 0)
        return set_times(path, 0);
    if (strcmp(op, "ftimes") == 0)
        return set_times(path, 1);
    errno = ENOSYS;
    return -1;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char op[16] = "", path[200] = "", to[200] = "";
        sscanf(argv[i], "%15s %199s %199s", op, path, to);
        printf("%s: %s\n", argv[i], try(op, path, to) < 0 ? strerror(errno) : "done");
    }
}
