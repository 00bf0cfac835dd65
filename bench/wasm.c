/* SPDX-License-Identifier: Apache-2.0 */
/* How fast pods of wasm start through the technique, and what a parked one costs. No RPC and no engine: the supervisor's functions are
 * called as its servers call them, workers are real.
 *
 *   bench-wasm MODULE COUNT [CLIENTS]
 *
 * MODULE writes a line and waits for ever (tests/unit/wasm/tiny.wat). Prints pods a second, CPU and memory a pod: growth of our
 * processes' PSS, and of the kernel's Slab, PageTables and KernelStack. Nothing else should run beside. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "sandbox/server.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/wasm.h"

static struct {
    char dir[64];
    struct wasm *wasm;
    struct sandboxer *sandboxer;
    unsigned count, clients, next, done;
    const char *name;
    bool failed;
} bench;

static void die(const struct error *err)
{
    fprintf(stderr, "bench-wasm: %s\n", err->message);
    exit(1);
}

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
    list_each(h, &bench.wasm->holders, link)
    {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", h->pid);
        m.ours += kib(path, " Pss: ");
    }
    return m;
}

static int start_pod(unsigned i, struct error *err)
{
    char id[32];
    pid_t pid;
    snprintf(id, sizeof id, "p%u", i);
    autofree char *spec = str_format("{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/"
                                     "\",\"args\":[\"/%s\"],\"env\":[\"POD=%s\"]}}",
                                     bench.name, id);
    autofree char *lower = str_format("lowerdir=%s/rootfs", bench.dir);
    autofree char *upper = str_format("upperdir=%s/up/%s", bench.dir, id);
    autofree char *log = str_format("log+cri://%s/logs/%s", bench.dir, id);
    char *options[] = {lower, upper, NULL};
    struct mount_request rootfs = {.type = (char *)"overlay", .options = options};
    struct sandbox_request sandbox = {.id = id, .netns_path = ""};
    struct process_request process = {.id = id,
                                      .exec_id = "",
                                      .sandbox_id = id,
                                      .stdin_ = "",
                                      .stdout_ = log,
                                      .stderr_ = log,
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec),
                                      .rootfs = &rootfs,
                                      .rootfs_count = 1};
    int r = sandboxer_create(bench.sandboxer, &sandbox, err);
    if (!r)
        r = sandboxer_start(bench.sandboxer, id, NULL, err);
    if (!r)
        r = process_create(bench.sandboxer, &process, &pid, err);
    return r < 0 ? r : process_start(bench.sandboxer, id, "", &pid, err);
}

static void client(void *arg)
{
    (void)arg;
    struct error err = {0};
    while (bench.next < bench.count)
        if (start_pod(bench.next++, &err) < 0)
            die(&err);
    if (++bench.done == bench.clients)
        loop_stop();
}

static void prepare(const char *module)
{
    static const char *const dirs[] = {"rootfs", "logs"};
    struct error err = {0};
    auto(buffer) struct buffer b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        autofree char *d = str_format("%s/%s", bench.dir, dirs[i]);
        if (dir_make(AT_FDCWD, d, 0755, &err) < 0)
            die(&err);
    }
    autofree char *to = str_format("%s/rootfs/%s", bench.dir, bench.name);
    if (file_read(AT_FDCWD, module, 1 << 28, &b, &err) < 0 ||
        file_replace(AT_FDCWD, to, b.data, b.len, 0755, false, &err) < 0)
        die(&err);
    autofree char *self = realpath("/proc/self/exe", NULL);
    *strrchr(self, '/') = 0;
    autofree char *worker = str_format("%s/../src/cmd/warren-wasm-worker/warren-wasm-worker", self);
    struct wasm_options options = {.dir = bench.dir,
                                   .worker = worker,
                                   .pods_per_worker = WASM_PODS_PER_WORKER,
                                   .memory_limit = WASM_MEMORY_LIMIT,
                                   .cache_size = WASM_CACHE_SIZE,
                                   .uids = WASM_UIDS};
    if (wasm_new(&bench.wasm, &options, &err) < 0 ||
        sandboxer_new(&bench.sandboxer, &wasm_technique, bench.wasm, "none", &err) < 0)
        die(&err);
}

static void first(void *arg)
{
    (void)arg;
    struct error err = {0};
    if (wasm_technique.recover(bench.wasm, bench.sandboxer, &err) < 0 ||
        start_pod(bench.next++, &err) < 0) /* compiles, and starts the worker */
        die(&err);
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
    while ((sb = list_first(&bench.sandboxer->all, struct sandbox, table)))
        if (sandboxer_shutdown(bench.sandboxer, sb->id, &err) < 0)
            die(&err);
    loop_stop();
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double sum = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    struct holder *h;
    list_each(h, &bench.wasm->holders, link)
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
    strcpy(bench.dir, "/tmp/warren-wasm-bench.XXXXXX");
    if (!mkdtemp(bench.dir))
        return 1;
    bench.name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    prepare(argv[1]);
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
    sandboxer_free(bench.sandboxer);
    wasm_free(bench.wasm);
    dir_remove(AT_FDCWD, bench.dir, NULL);
    return 0;
}
