/* SPDX-License-Identifier: Apache-2.0 */
/* A program of many small jobs for trying containers out, for wasi-libc. Its name as argv[0] is followed by the job:
 * echo ARGS | sleep SECONDS | exit STATUS [AFTER-SECONDS] | write FILE TEXT | read FILE | env | daemon | wait NAME */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int complain(const char *what, const char *on)
{
    fprintf(stderr, "wasi-demo: %s %s: %s\n", what, on, strerror(errno));
    return 1;
}

static int rest(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || seconds < 0 || seconds > 1e9) {
        fprintf(stderr, "wasi-demo: sleep: '%s' is no number of seconds\n", text);
        return 2;
    }
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) < 0)
        if (errno != EINTR)
            return complain("sleep", text);
    return 0;
}

static int echo(char **words)
{
    for (char **w = words; *w; w++)
        printf("%s%s", w == words ? "" : " ", *w);
    putchar('\n');
    return 0;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return complain("write", path);
    size_t len = strlen(text), done = 0;
    while (done < len) {
        ssize_t n = write(fd, text + done, len - done);
        if (n < 0) {
            int status = complain("write", path);
            close(fd);
            return status;
        }
        done += (size_t)n;
    }
    return close(fd) < 0 ? complain("write", path) : 0;
}

static int read_file(const char *path)
{
    char block[4096];
    ssize_t n;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return complain("read", path);
    while ((n = read(fd, block, sizeof block)) > 0)
        fwrite(block, 1, (size_t)n, stdout);
    int status = n < 0 ? complain("read", path) : 0;
    close(fd);
    return status;
}

static int print_environment(void)
{
    for (char **e = environ; e && *e; e++)
        puts(*e);
    return 0;
}

static int count_for_ever(void)
{
    for (unsigned long line = 1;; line++) {
        printf("%lu: still here\n", line);
        if (fflush(stdout) < 0)
            return complain("write", "standard output");
        int status = rest("1");
        if (status)
            return status;
    }
}

static int wait_for_ever(const char *name)
{
    printf("%s is here\n", name);
    while (fflush(stdout) == 0 && rest("86400") == 0)
        ;
    return 1;
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "";

    if (!strcmp(job, "echo"))
        return echo(argv + 2);
    if (!strcmp(job, "sleep") && argc == 3)
        return rest(argv[2]);
    if (!strcmp(job, "exit") && (argc == 3 || argc == 4))
        return argc == 4 && rest(argv[3]) ? 2 : atoi(argv[2]);
    if (!strcmp(job, "write") && argc == 4)
        return write_file(argv[2], argv[3]);
    if (!strcmp(job, "read") && argc == 3)
        return read_file(argv[2]);
    if (!strcmp(job, "env"))
        return print_environment();
    if (!strcmp(job, "daemon"))
        return count_for_ever();
    if (!strcmp(job, "wait") && argc == 3)
        return wait_for_ever(argv[2]);
    fprintf(stderr, "usage: wasi-demo echo ARGS | sleep SECONDS | exit STATUS [AFTER-SECONDS] | "
                    "write FILE TEXT | "
                    "read FILE | env | daemon | wait NAME\n");
    return 2;
}
