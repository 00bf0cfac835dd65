/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of many jobs for the tests: guest.wasm JOB [ARGS]. Its output is what the tests look at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int failed(void)
{
    printf("%s\n", strerror(errno));
    return 1;
}

static int echo(char **words)
{
    for (; *words; words++)
        printf("[%s]", *words);
    putchar('\n');
    return 0;
}

static int show_env(void)
{
    for (char **e = environ; e && *e; e++)
        puts(*e);
    return 0;
}

static int cat(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[256];
    if (!f)
        return failed();
    while (fgets(line, sizeof line, f))
        fputs(line, stdout);
    fclose(f);
    return 0;
}

static int put(const char *path, const char *mode, const char *text)
{
    FILE *f = fopen(path, mode);
    if (!f)
        return failed();
    fprintf(f, "%s\n", text);
    return fclose(f) ? failed() : 0;
}

/* What the first bytes are. */
static int bytes(const char *path)
{
    unsigned char b[32], any = 0;
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, b, sizeof b);
    if (n < 0)
        return failed();
    for (ssize_t i = 0; i < n; i++)
        any |= b[i];
    printf("%zd bytes of %s\n", n, any ? "something" : "nothing");
    return 0;
}

static int fill(const char *path, long kib)
{
    static char block[1024];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (long i = 0; i < kib; i++)
        if (fd < 0 || write(fd, block, sizeof block) < 0)
            return failed();
    puts("filled");
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int list(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, by_name);
    if (n < 0)
        return failed();
    for (int i = 0; i < n; i++)
        if (names[i]->d_name[0] != '.')
            printf("%s%s ", names[i]->d_name, names[i]->d_type == DT_DIR ? "/" : "");
    putchar('\n');
    return 0;
}

static int kind(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return failed();
    if (S_ISDIR(st.st_mode)) /* its size is the file system's own affair */
        puts("directory");
    else
        printf("%s %lld\n", S_ISLNK(st.st_mode) ? "symlink" : "file", (long long)st.st_size);
    return 0;
}

static int nap(const char *ms)
{
    long n = atol(ms);
    struct timespec before, after, left = {n / 1000, n % 1000 * 1000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (nanosleep(&left, NULL) < 0)
        return failed();
    clock_gettime(CLOCK_MONOTONIC, &after);
    long slept = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    puts(slept >= n ? "slept" : "woke too early");
    return 0;
}

/* How late each wake from a timer comes. */
static int late(long ms, long count)
{
    for (long i = 0; i < count; i++) {
        struct timespec before, after, left = {ms / 1000, ms % 1000 * 1000000};
        clock_gettime(CLOCK_MONOTONIC, &before);
        nanosleep(&left, NULL);
        clock_gettime(CLOCK_MONOTONIC, &after);
        long long ns = (after.tv_sec - before.tv_sec) * 1000000000ll +
                       (after.tv_nsec - before.tv_nsec) - ms * 1000000ll;
        printf("late %lld\n", ns);
    }
    return 0;
}

static int beat(const char *ms)
{
    for (int i = 1;; i++) {
        printf("beat %d\n", i);
        fflush(stdout);
        usleep((useconds_t)atol(ms) * 1000);
    }
}

static int spin(void)
{
    puts("spinning");
    for (volatile unsigned i = 0;; i++)
        ;
}

/* Touches so many MiB and waits for ever. */
static int hold(long mib)
{
    volatile char *p = malloc((size_t)mib << 20);
    for (long i = 0; i < mib << 20; i += 4096)
        p[i] = 1;
    puts("held");
    fflush(stdout);
    for (;;)
        sleep(1000);
}

static int grow(void)
{
    size_t pieces = 0;
    for (volatile char *p; pieces < 65536 && (p = malloc(1 << 20)); pieces++)
        *p = 1; /* else the compiler sees that nobody uses it */
    printf("%zu MiB\n", pieces);
    return 0;
}

static int read_input(void)
{
    char line[128];
    while (fgets(line, sizeof line, stdin))
        printf("read: %s", line);
    puts("end of input");
    return 0;
}

static int wait_input(void)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    printf("poll %d\n", poll(&p, 1, 30));
    return 0;
}

static int lines(const char *count)
{
    for (long i = 0; i < atol(count); i++)
        printf("line %ld\n", i);
    return 0;
}

static int change(const char *job, const char *a, const char *b)
{
    int r = !strcmp(job, "mkdir")     ? mkdir(a, 0755)
            : !strcmp(job, "rmdir")   ? rmdir(a)
            : !strcmp(job, "unlink")  ? unlink(a)
            : !strcmp(job, "rename")  ? rename(a, b)
            : !strcmp(job, "symlink") ? symlink(a, b)
            : !strcmp(job, "link")    ? link(a, b)
                                      : -2;
    if (r == -2)
        return 64;
    return r < 0 ? failed() : puts("done") < 0;
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "", *a = argc > 2 ? argv[2] : "",
               *b = argc > 3 ? argv[3] : "";
    if (!strcmp(job, "echo"))
        return echo(argv + 2);
    if (!strcmp(job, "env"))
        return show_env();
    if (!strcmp(job, "exit"))
        return atoi(a);
    if (!strcmp(job, "cat"))
        return cat(a);
    if (!strcmp(job, "bytes"))
        return bytes(a);
    if (!strcmp(job, "fill"))
        return fill(a, atol(b));
    if (!strcmp(job, "write"))
        return put(a, "w", b);
    if (!strcmp(job, "append"))
        return put(a, "a", b);
    if (!strcmp(job, "list"))
        return list(a);
    if (!strcmp(job, "kind"))
        return kind(a);
    if (!strcmp(job, "sleep"))
        return nap(a);
    if (!strcmp(job, "hold"))
        return hold(atol(a));
    if (!strcmp(job, "late"))
        return late(atol(a), atol(b));
    if (!strcmp(job, "beat"))
        return beat(a);
    if (!strcmp(job, "spin"))
        return spin();
    if (!strcmp(job, "grow"))
        return grow();
    if (!strcmp(job, "lines"))
        return lines(a);
    if (!strcmp(job, "input"))
        return read_input();
    if (!strcmp(job, "poll"))
        return wait_input();
    if (!strcmp(job, "abort"))
        abort();
    if (!strcmp(job, "stderr")) {
        fputs("to stderr\n", stderr);
        return 0;
    }
    return change(job, a, b);
}
