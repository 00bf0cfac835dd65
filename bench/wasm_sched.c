/* SPDX-License-Identifier: Apache-2.0 */
/* Fairness and control of wasm guests in one worker, through the supervisor's functions: no RPC and no engine.
 *
 *   bench-wasm-sched GUEST [COUNT [SPINNERS]]
 *
 * GUEST is build/.../tests/unit/wasm/guest.wasm. Prints, beside 0, 2 and 100 endless loops: the time from a kill to its known
 * end over COUNT (1000) guests that compute, sleep, or are being instantiated, and how late a guest wakes from a
 * timer; then how exactly quotas and shares are kept. With SPINNERS: only the former, beside so many. Nothing else should run beside. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm_lab.h"

static struct {
    unsigned serial;
    int count, spinners; /* spinners -1: as above */
} bench;

/* Creates and starts a container that does job (a JSON list's items after the module); *ret_id is its id. */
static void start(const char *job, const char *resources, char ret_id[16])
{
    snprintf(ret_id, 16, "c%u", bench.serial++);
    autofree char *process = str_format("\"args\":[\"/guest.wasm\",%s]", job);
    autofree char *more = str_format(",\"annotations\":{\"warren.wasm/profile\":\"dense\"},"
                                     "\"linux\":{\"resources\":{%s}}",
                                     resources);
    lab_start("pod", ret_id, process, more);
}

/* How long its end took, ns. */
static int64_t end(const char *id)
{
    struct error err = {0};
    struct process *p;
    int64_t before = clock_mono_ns();
    if (process_kill(lab.sandboxer, id, "", SIGKILL, false, &err) < 0 ||
        process_wait(lab.sandboxer, id, "", NULL, &p, &err) < 0)
        lab_die(&err);
    int64_t took = clock_mono_ns() - before;
    process_unref(p);
    if (process_delete(lab.sandboxer, id, "", NULL, &err) < 0)
        lab_die(&err);
    return took;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void tell(const char *what, unsigned spinners, int64_t *ns, int n)
{
    qsort(ns, (size_t)n, sizeof *ns, by_size);
    printf("%-28s %3u spinners: p50 %7.3f  p99 %7.3f  max %7.3f ms\n", what, spinners,
           (double)ns[n / 2] / 1e6, (double)ns[(int64_t)n * 99 / 100] / 1e6,
           (double)ns[n - 1] / 1e6);
    fflush(stdout);
}

static void kills(const char *what, const char *job, int64_t life_ns, unsigned spinners)
{
    int64_t *ns = calloc((size_t)bench.count, sizeof *ns);
    for (int i = 0; i < bench.count; i++) {
        char id[16];
        start(job, "", id);
        if (life_ns)
            co_sleep(life_ns + rand() % (3 * NSEC_PER_MSEC));
        ns[i] = end(id);
    }
    tell(what, spinners, ns, bench.count);
    free(ns);
}

static char *output(const char *id)
{
    autofree char *path = str_format("%s/logs/%s", lab.dir, id);
    auto(buffer) struct buffer file = {0};
    file_read(AT_FDCWD, path, 1 << 24, &file, NULL);
    buffer_puts(&file, "");
    return buffer_take_text(&file);
}

/* The guest prints "late NS" for each of its wakes. */
static void wakes(unsigned spinners)
{
    enum { WAKES = 300 };
    struct error err = {0};
    struct process *p;
    char id[16];
    int64_t ns[WAKES];
    int n = 0;
    start("\"late\",\"10\",\"300\"", "", id);
    if (process_wait(lab.sandboxer, id, "", NULL, &p, &err) < 0)
        lab_die(&err);
    process_unref(p);
    autofree char *text = output(id);
    for (char *at = text; n < WAKES && (at = strstr(at, "late ")); at += 5)
        ns[n++] = strtoll(at + 5, NULL, 10);
    if (n)
        tell("late after a timer", spinners, ns, n);
    process_delete(lab.sandboxer, id, "", NULL, &err);
}

static void beside_spinners(unsigned count)
{
    char(*ids)[16] = calloc(count + 1, sizeof *ids);
    for (unsigned i = 0; i < count; i++)
        start("\"spin\"", "", ids[i]);
    co_sleep(NSEC_PER_SEC / 2);
    kills("kill: computes", "\"spin\"", 2 * NSEC_PER_MSEC, count);
    kills("kill: sleeps", "\"sleep\",\"3600000\"", 2 * NSEC_PER_MSEC, count);
    kills("kill: just started", "\"spin\"", 0, count);
    wakes(count);
    for (unsigned i = 0; i < count; i++)
        end(ids[i]);
    free(ids);
}

static uint64_t cpu_ns(const char *id)
{
    struct error err = {0};
    struct process_stats stats;
    if (process_get_stats(lab.sandboxer, id, &stats, &err) < 0)
        lab_die(&err);
    return stats.cpu_ns;
}

static void quota(unsigned percent, unsigned period_ms, unsigned spinners)
{
    char id[16], (*ids)[16] = calloc(spinners + 1, sizeof *ids);
    autofree char *resources = str_format("\"cpu\":{\"quota\":%u,\"period\":%u}",
                                          percent * period_ms * 10, period_ms * 1000);
    for (unsigned i = 0; i < spinners; i++)
        start("\"spin\"", "", ids[i]);
    start("\"spin\"", resources, id);
    co_sleep(NSEC_PER_SEC / 4);
    uint64_t before = cpu_ns(id);
    int64_t since = clock_mono_ns();
    co_sleep(5 * NSEC_PER_SEC);
    double used = (double)(cpu_ns(id) - before) / (double)(clock_mono_ns() - since);
    printf("quota of %2u%% by %u ms, %u spinners: %.2f%% over 5 s\n", percent, period_ms, spinners,
           100 * used);
    end(id);
    for (unsigned i = 0; i < spinners; i++)
        end(ids[i]);
    free(ids);
}

static void shares(void)
{
    static const unsigned weights[] = {256, 1024, 1024, 4096};
    enum { COUNT = ARRAY_SIZE(weights) };
    char ids[COUNT][16];
    uint64_t before[COUNT], used[COUNT], sum = 0;
    for (int i = 0; i < COUNT; i++) {
        autofree char *resources = str_format("\"cpu\":{\"shares\":%u}", weights[i]);
        start("\"spin\"", resources, ids[i]);
    }
    co_sleep(NSEC_PER_SEC / 4);
    for (int i = 0; i < COUNT; i++)
        before[i] = cpu_ns(ids[i]);
    co_sleep(5 * NSEC_PER_SEC);
    for (int i = 0; i < COUNT; i++)
        sum += used[i] = cpu_ns(ids[i]) - before[i];
    for (int i = 0; i < COUNT; i++) {
        printf("shares %4u of 6400: %.2f%% of what they got\n", weights[i],
               100 * (double)used[i] / (double)sum);
        end(ids[i]);
    }
}

static void all(void *arg)
{
    (void)arg;
    struct error err = {0};
    lab_recover();
    lab_start_pod("pod");
    char id[16];
    start("\"sleep\",\"3600000\"", "", id); /* compiles */
    end(id);
    static const unsigned spinners[] = {0, 2, 100};
    if (bench.spinners >= 0) {
        beside_spinners((unsigned)bench.spinners);
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(spinners); i++)
            beside_spinners(spinners[i]);
        quota(10, 100, 0);
        quota(10, 100, 4);
        quota(1, 100, 0);
        quota(50, 10, 0);
        shares();
    }
    if (sandboxer_shutdown(lab.sandboxer, "pod", &err) < 0)
        lab_die(&err);
    loop_stop();
}

int main(int argc, char **argv)
{
    int64_t count = 1000, spinners = -1;
    if (argc < 2 || (argc > 2 && str_parse_int(argv[2], 10, 100000, &count) < 0) ||
        (argc > 3 && str_parse_int(argv[3], 0, 100000, &spinners) < 0)) {
        fputs("Usage: bench-wasm-sched GUEST [COUNT [SPINNERS]]\n", stderr);
        return 2;
    }
    bench.count = (int)count;
    bench.spinners = (int)spinners;
    lab_open(argv[1], "guest.wasm");
    co_start(all, NULL);
    loop_run();
    lab_close();
    return 0;
}
