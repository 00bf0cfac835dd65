/* SPDX-License-Identifier: Apache-2.0 */
/* How fast pods of wasm start through the technique, and what a parked one costs. No RPC and no engine: the supervisor's functions are
 * called as its servers call them, workers are real.
 *
 *   bench-wasm MODULE COUNT [CLIENTS]
 *
 * MODULE writes a line and waits for ever (tests/unit/wasm/tiny.wat). Prints pods a second, CPU and memory a pod: growth of our
 * processes' PSS, and of the kernel's Slab, PageTables and KernelStack. Nothing else should run beside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm_lab.h"

static struct {
    unsigned count, clients, next, done;
    const char *name;
} bench;

/* KiB of a line of /proc files: the sum of those whose key is one of keys. */
static long kib(const char *path, const char *keys)
{
    FILE *f = fopen(path, "re");
    char line[256];
    long sum = 0, n;
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || sscanf(colon + 1, "%ld", &n) != 1)
            continue;
        colon[1] = 0;
        if (strstr(keys, line))
            sum += n;
    }
    if (f)
        fclose(f);
    return sum;
}

struct memory {
    long ours, kernel;
};

static struct memory measure(void)
{
    struct memory m = {.kernel = kib("/proc/meminfo", " Slab: PageTables: KernelStack: ")};
    struct holder *h;
    m.ours = kib("/proc/self/smaps_rollup", " Pss: ");
    list_each(h, &lab.wasm->holders, link)
    {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", h->pid);
        m.ours += kib(path, " Pss: ");
    }
    return m;
}

static void start_pod(unsigned i)
{
    char id[32];
    snprintf(id, sizeof id, "p%u", i);
    autofree char *process = str_format("\"args\":[\"/%s\"],\"env\":[\"POD=%s\"]", bench.name, id);
    lab_start_pod(id);
    lab_start(id, id, process, "");
}

static void client(void *arg)
{
    (void)arg;
    while (bench.next < bench.count)
        start_pod(bench.next++);
    if (++bench.done == bench.clients)
        loop_stop();
}

static void first(void *arg)
{
    (void)arg;
    lab_recover();
    start_pod(bench.next++); /* compiles, and starts the worker */
    co_sleep(NSEC_PER_SEC / 2);
    loop_stop();
}

static void settle(void *arg)
{
    (void)arg;
    co_sleep(NSEC_PER_SEC);
    loop_stop();
}

static void end_all(void *arg)
{
    (void)arg;
    struct sandbox *sb;
    struct error err = {0};
    while ((sb = list_first(&lab.sandboxer->all, struct sandbox, table)))
        if (sandboxer_shutdown(lab.sandboxer, sb->id, &err) < 0)
            lab_die(&err);
    loop_stop();
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double sum = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    struct holder *h;
    list_each(h, &lab.wasm->holders, link)
    {
        char path[64], line[1024];
        unsigned long user = 0, kernel = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", h->pid);
        FILE *f = fopen(path, "re");
        if (f && fgets(line, sizeof line, f))
            sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                   &user, &kernel);
        if (f)
            fclose(f);
        sum += (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    }
    return sum;
}

static void run(void (*fn)(void *arg))
{
    co_start(fn, NULL);
    loop_run();
}

int main(int argc, char **argv)
{
    int64_t count = 0, clients = 8;
    if (argc < 3 || str_parse_int(argv[2], 1, 1000000, &count) < 0 ||
        (argc > 3 && str_parse_int(argv[3], 1, 1000, &clients) < 0)) {
        fputs("Usage: bench-wasm MODULE COUNT [CLIENTS]\n", stderr);
        return 2;
    }
    bench.name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    lab_open(argv[1], bench.name);
    run(first);
    struct memory before = measure();
    double cpu = cpu_us();
    bench.count = (unsigned)count + 1;
    bench.clients = (unsigned)clients;
    int64_t begun = clock_mono_ns();
    for (int64_t i = 0; i < clients; i++)
        co_start(client, NULL);
    loop_run();
    double seconds = (double)(clock_mono_ns() - begun) / 1e9;
    cpu = cpu_us() - cpu;
    run(settle);
    struct memory after = measure();
    printf(
        "%lld pods, %lld clients: %.0f pods/s, %.0f us of CPU a pod, %.1f KiB a pod (processes) + "
        "%.1f KiB (kernel)\n",
        (long long)count, (long long)clients, (double)count / seconds, cpu / (double)count,
        (double)(after.ours - before.ours) / (double)count,
        (double)(after.kernel - before.kernel) / (double)count);
    begun = clock_mono_ns();
    run(end_all);
    printf("all removed: %.0f pods/s\n", (double)count / ((double)(clock_mono_ns() - begun) / 1e9));
    lab_close();
    return 0;
}
