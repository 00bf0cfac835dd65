/* SPDX-License-Identifier: Apache-2.0 */
/* The guests of bench/wasm_hostile.sh: one that keeps time and says how late it woke, and five that misbehave.
 * tick MILLISECONDS | spin | trap MILLISECONDS | fill | log | fifo PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000000, SECOND = 1000 * MS };

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at)
{
    struct timespec t = {.tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static uint64_t somewhere(uint64_t below)
{
    uint64_t n = 0;
    getentropy(&n, sizeof n);
    return n % below;
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

/* The pods of a load are spread over the period. */
static int tick(uint64_t period)
{
    uint64_t at = now() + somewhere(period);
    for (;; at += period) {
        sleep_until(at);
        printf("late %llu us\n", (unsigned long long)(now() - at) / 1000);
        fflush(stdout);
    }
}

static int spin(void)
{
    say("spinning");
    for (volatile unsigned i = 0;; i++)
        ;
}

static int trap(uint64_t within)
{
    say("to trap");
    sleep_until(now() + somewhere(within));
    __builtin_trap();
}

static int fill(void)
{
    enum { PIECE = 1 << 18 };
    static char *volatile last; /* else the compiler sees that nobody uses them */
    size_t pieces = 0;
    for (; (last = malloc(PIECE)); pieces++)
        memset(last, 0x5a, PIECE);
    printf("filled %zu KiB\n", pieces * PIECE / 1024);
    fflush(stdout);
    for (;;)
        sleep(3600);
}

static int write_log(void)
{
    for (uint64_t n = 0;; n++)
        printf("%llu: a line of some length, as programs write that log each request\n",
               (unsigned long long)n);
}

static int read_fifo(const char *path)
{
    char c;
    say("to read");
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);
    printf("%s: %s\n", fd < 0 ? "open" : "read", n < 0 ? strerror(errno) : "something came");
    fflush(stdout);
    for (;;)
        sleep(3600);
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "";
    uint64_t ns = argc > 2 ? strtoull(argv[2], NULL, 10) * MS : 0;
    if (!strcmp(job, "tick") && ns)
        return tick(ns);
    if (!strcmp(job, "spin"))
        return spin();
    if (!strcmp(job, "trap") && ns)
        return trap(ns);
    if (!strcmp(job, "fill"))
        return fill();
    if (!strcmp(job, "log"))
        return write_log();
    if (!strcmp(job, "fifo") && argc > 2)
        return read_fifo(argv[2]);
    fputs("usage: unruly tick MS | spin | trap MS | fill | log | fifo PATH\n", stderr);
    return 2;
}
