/* SPDX-License-Identifier: Apache-2.0 */
/* A guest for wasm_files.bats: wasm_files.wasm JOB [ARGS]. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    return 1;
}

/* Numbered lines of 100 bytes, every pause microseconds. */
static int lines(long count, useconds_t pause)
{
    for (long i = 0; i < count; i++) {
        printf("line %08ld %085d\n", i, 0);
        if (pause)
            usleep(pause);
    }
    return 0;
}

static int read_one(const char *path)
{
    char c;
    puts("opening");
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return complain("open");
    puts("reading");
    printf("read %zd\n", read(fd, &c, 1));
    return 0;
}

/* Writes size MiB, reads them back in another order, and lists what it made. */
static int work(const char *dir, long size)
{
    static char block[1 << 20];
    char path[256];
    if (chdir(dir) < 0 || mkdir("sub", 0755) < 0)
        return complain("mkdir");
    int fd = open("sub/large", O_RDWR | O_CREAT | O_EXCL, 0644);
    for (long i = 0; i < size; i++) {
        memset(block, (int)i, sizeof block);
        if (write(fd, block, sizeof block) != sizeof block)
            return complain("write");
    }
    if (fsync(fd) < 0)
        return complain("sync");
    for (long i = size; i-- > 0;)
        if (pread(fd, block, sizeof block, (off_t)i << 20) != sizeof block || block[0] != (char)i ||
            block[sizeof block - 1] != (char)i)
            return complain("read back");
    close(fd);
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof path, "sub/small-%d", i);
        fd = open(path, O_WRONLY | O_CREAT, 0644);
        if (fd < 0 || close(fd) < 0)
            return complain("create");
    }
    DIR *d = opendir("sub");
    int count = 0;
    while (d && readdir(d))
        count++;
    closedir(d);
    if (rename("sub/large", "large") < 0 || unlink("sub/small-0") < 0)
        return complain("rename");
    printf("%d names\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "lines"))
        return lines(atol(argv[2]), (useconds_t)atol(argv[3]));
    if (argc == 3 && !strcmp(argv[1], "read"))
        return read_one(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "work"))
        return work(argv[2], atol(argv[3]));
    return 2;
}
