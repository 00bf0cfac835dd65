/* SPDX-License-Identifier: Apache-2.0 */
/* What a wasm container may use, who comes first, and how soon one that is killed has ended. bench/wasm_sched.c measures the same. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"

/* Where a container's resources would make it busy. */
#define DENSE   ",\"annotations\":{\"warren.wasm/profile\":\"dense\"}"
#define SPIN    ARGS("/guest.wasm", "spin")
#define KILL_NS pods_patience(100 * NSEC_PER_MSEC) /* the aim is 10 ms for 99 of 100 */

static void begin_in(const char *pod, const char *id, const char *const *args, const char *more)
{
    struct error err = {0};
    struct container_spec c = {.pod = pod, .id = id, .args = args, .more = more};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
}

static void begin(const char *id, const char *const *args)
{
    begin_in("pod", id, args, NULL);
}

/* Kills it; how long until its end was known. */
static int64_t end(const char *id, int signal)
{
    int64_t before = clock_mono_ns();
    assert_int_equal(process_kill(pods.sandboxer, id, "", signal, false, NULL), 0);
    assert_int_equal(container_wait(id, NULL), 128 + signal);
    int64_t took = clock_mono_ns() - before;
    container_remove(id);
    return took;
}

static struct process_stats stats_of(const char *id)
{
    struct error err = {0};
    struct process_stats stats;
    if (process_get_stats(pods.sandboxer, id, &stats, &err) < 0)
        give_up("%s", err.message);
    return stats;
}

/* CPU time of those with these ids within ns, in parts of 1000 of one CPU. */
static void measure(const char *const *ids, size_t n, int64_t ns, int64_t *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = -(int64_t)stats_of(ids[i]).cpu_ns;
    int64_t since = clock_mono_ns();
    co_sleep(ns);
    int64_t took = clock_mono_ns() - since;
    for (size_t i = 0; i < n; i++)
        ret[i] = (ret[i] + (int64_t)stats_of(ids[i]).cpu_ns) * 1000 / took;
}

static void pods_with_shares(void)
{
    static const char *const ids[] = {"a1", "a2", "b1", "b2"};
    int64_t used[4];
    pod_start_with("a", "default", 3072, 0);
    pod_start_with("b", "default", 1024, 0);
    for (size_t i = 0; i < 4; i++)
        begin_in(i < 2 ? "a" : "b", ids[i], SPIN, NULL);
    measure(ids, 4, 2 * NSEC_PER_SEC, used);
    int64_t a = used[0] + used[1], b = used[2] + used[3];
    printf("# 3072 shares got %lld, 1024 got %lld thousandths\n", (long long)a, (long long)b);
    assert_true(a > 2 * b && a < 4 * b);
    assert_true(labs(used[0] - used[1]) < a / 4);
    pod_remove("a");
    pod_remove("b");
}

static void pods_get_the_cpu_by_their_shares(void **state)
{
    (void)state;
    pods_run(pods_with_shares);
}

static void quotas(void)
{
    static const char *const ids[] = {"limited"}, *const both[] = {"q1", "q2"};
    int64_t used[2];
    begin_in("pod", "limited", SPIN,
             ",\"linux\":{\"resources\":{\"cpu\":{\"quota\":10000,\"period\":100000}}}");
    measure(ids, 1, 2 * NSEC_PER_SEC, used);
    printf("# a quota of 100 thousandths: %lld\n", (long long)used[0]);
    assert_in_range(used[0], 20, 115);
    end("limited", SIGKILL);
    pod_start_with("q", "default", 0, 20000);
    begin_in("q", "q1", SPIN, NULL);
    begin_in("q", "q2", SPIN, NULL);
    measure(both, 2, 2 * NSEC_PER_SEC, used);
    printf("# a pod's quota of 200 thousandths: %lld and %lld\n", (long long)used[0],
           (long long)used[1]);
    assert_in_range(used[0] + used[1], 40, 225);
    assert_true(end("q1", SIGTERM) < KILL_NS); /* also while the pod is held */
    pod_remove("q");
}

static void a_quota_holds_for_a_container_and_for_a_pod(void **state)
{
    (void)state;
    pods_run(quotas);
}

static void expect_end(const char *id, const char *const *args, const char *more, uint32_t status,
                       const char *text)
{
    autofree char *message = NULL;
    begin_in("pod", id, args, more);
    assert_int_equal(container_wait(id, &message), status);
    if (!strstr(message, text))
        give_up("no '%s' in: %s", text, message);
    container_remove(id);
}

static void time_limits(void)
{
    int64_t before = clock_mono_ns();
    expect_end("cpu", SPIN, ",\"annotations\":{\"warren.wasm/cpu-time-limit\":\"200ms\"}",
               128 + SIGXCPU, "warren.wasm/cpu-time-limit");
    assert_true(clock_mono_ns() - before >= 200 * NSEC_PER_MSEC);
    before = clock_mono_ns();
    expect_end("wall", ARGS("/guest.wasm", "sleep", "3600000"),
               ",\"annotations\":{\"warren.wasm/wall-time-limit\":\"300ms\"}", 128 + SIGKILL,
               "warren.wasm/wall-time-limit");
    expect_end("wall-spin", SPIN, ",\"annotations\":{\"warren.wasm/wall-time-limit\":\"300ms\"}",
               128 + SIGKILL, "warren.wasm/wall-time-limit");
    int64_t took = clock_mono_ns() - before;
    assert_true(took >= 600 * NSEC_PER_MSEC && took < pods_patience(2 * NSEC_PER_SEC));
    autofree char *out = NULL;
    struct container_spec cpu = {
        .pod = "pod",
        .id = "rlimit",
        .args = SPIN,
        .process = ",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":2}]"};
    assert_int_equal(container_run(&cpu, &out), 128 + SIGXCPU);
    struct error err = {0};
    struct container_spec bad = {
        .pod = "pod",
        .id = "bad",
        .args = SPIN,
        .more = ",\"annotations\":{\"warren.wasm/wall-time-limit\":\"5 parsecs\"}"};
    assert_int_equal(container_create(&bad, &err), -EINVAL);
    assert_non_null(strstr(err.message, "'5 parsecs'"));
}

static void a_container_ends_when_its_time_is_over(void **state)
{
    (void)state;
    pods_run(time_limits);
}

static void growing(void)
{
    autofree char *out = NULL;
    struct container_spec c = {.pod = "pod",
                               .id = "grows",
                               .args = ARGS("/grow.wasm"),
                               .more =
                                   ",\"linux\":{\"resources\":{\"memory\":{\"limit\":2097152}}}"};
    assert_int_equal(container_run(&c, &out), 0);
}

static void memories_and_tables_grow_to_their_limits_and_no_further(void **state)
{
    (void)state;
    pods_run(growing);
}

static int update(const char *id, const char *resources, struct error *err)
{
    return process_update(pods.sandboxer, id, resources, strlen(resources), err);
}

static void updating(void)
{
    static const char *const ids[] = {"u"};
    struct error err = {0};
    int64_t used[1];
    begin("u", SPIN);
    measure(ids, 1, NSEC_PER_SEC / 2, used);
    int64_t before = used[0];
    assert_int_equal(update("u", "{\"cpu\":{\"quota\":10000,\"period\":100000}}", &err), 0);
    co_sleep(100 * NSEC_PER_MSEC);
    measure(ids, 1, NSEC_PER_SEC, used);
    assert_in_range(used[0], 10, 130);
    assert_int_equal(update("u", "{\"cpu\":{\"quota\":-1}}", &err), 0);
    measure(ids, 1, NSEC_PER_SEC / 2, used);
    assert_true(used[0] > before / 3);
    assert_int_equal(update("u", "{\"cpu\":{\"period\":5}}", &err), -EINVAL);
    assert_int_equal(update("u", "{\"memory\":{\"limit\":65536}}", &err), -EBUSY);
    assert_int_equal(update("u", "{\"memory\":{\"limit\":1048576}}", &err), 0);
    assert_int_equal(stats_of("u").memory_limit, 1048576);
    end("u", SIGKILL);
}

static void limits_change_while_it_runs(void **state)
{
    (void)state;
    pods_run(updating);
}

static void statistics(void)
{
    begin("holds", ARGS("/guest.wasm", "hold", "20"));
    container_expect_log("holds", "held\n");
    struct process_stats s = stats_of("holds");
    assert_in_range(s.memory_usage, 20 << 20, 22 << 20);
    assert_int_equal(s.io_write_bytes, 5);
    assert_int_equal(s.pids, 0);
    end("holds", SIGKILL);
    begin("reserves", ARGS("/large.wasm")); /* 64 MiB, of which it touches nothing */
    container_wait("reserves", NULL);
    container_remove("reserves");
    begin("spins", SPIN);
    container_expect_log("spins", "spinning");
    uint64_t first = stats_of("spins").cpu_ns, second;
    for (int i = 0; (second = stats_of("spins").cpu_ns) == first && i < 1000; i++)
        co_yield ();
    assert_true(second > first);
    end("spins", SIGKILL);
}

static void statistics_are_of_what_is_used(void **state)
{
    (void)state;
    pods_run(statistics);
}

enum { SPINNERS = 200, EACH = 10 };

static void expect_kills(const char *what, const char *const *args, const char *input,
                         int64_t life_ns)
{
    int64_t worst = 0;
    for (int i = 0; i < EACH; i++) {
        struct error err = {0};
        struct container_spec c = {.pod = "pod", .id = "victim", .args = args, .input = input};
        assert_int_equal(container_create(&c, &err), 0);
        container_start("victim");
        if (life_ns)
            co_sleep(life_ns + i * NSEC_PER_MSEC / 3);
        int64_t took = end("victim", i % 2 ? SIGTERM : SIGUSR1);
        worst = took > worst ? took : worst;
    }
    printf("# %s: killed within %lld us\n", what, (long long)worst / 1000);
    assert_true(worst < KILL_NS);
}

static void kills(void)
{
    char id[16];
    autofree char *fifo = str_format("%s/fifo", pods.dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    autoclose int writer = open(fifo, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < SPINNERS; i++) {
        snprintf(id, sizeof id, "spin%d", i);
        begin(id, SPIN);
    }
    expect_kills("one that computes", SPIN, NULL, 20 * NSEC_PER_MSEC);
    expect_kills("one that sleeps", ARGS("/guest.wasm", "sleep", "3600000"), NULL,
                 20 * NSEC_PER_MSEC);
    expect_kills("one that waits for input", ARGS("/guest.wasm", "input"), fifo,
                 20 * NSEC_PER_MSEC);
    expect_kills("one that is being instantiated", ARGS("/starting.wasm"), NULL,
                 20 * NSEC_PER_MSEC);
    expect_kills("one that was just started", SPIN, NULL, 0);
    pod_remove("pod");
    pod_start("pod", "default");
    unlink(fifo);
}

static void whatever_it_does_a_killed_container_ends_at_once(void **state)
{
    (void)state;
    pods_run(kills);
}

/* The worst of 50 wakes from a timer, ns. */
static int64_t worst_wake(const char *id)
{
    autofree char *out = NULL;
    int64_t worst = 0;
    container_run(&(struct container_spec){.pod = "pod",
                                           .id = id,
                                           .args = ARGS("/guest.wasm", "late", "10", "50")},
                  &out);
    for (char *at = out; (at = strstr(at, "late ")); at += 5) {
        int64_t ns = strtoll(at + 5, NULL, 10);
        worst = ns > worst ? ns : worst;
    }
    return worst;
}

static void waking(void)
{
    char id[16];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "spin%d", i);
        begin(id, SPIN);
    }
    co_sleep(500 * NSEC_PER_MSEC);
    int64_t worst = worst_wake("late-spin");
    printf("# beside 100 endless loops it woke at most %lld us late\n", (long long)worst / 1000);
    assert_true(worst <
                pods_patience(100 * NSEC_PER_MSEC)); /* in turn it would be 200 ms at least */
    pod_remove("pod");
    pod_start("pod", "default");
}

static void a_guest_that_wakes_comes_before_those_that_compute(void **state)
{
    (void)state;
    pods_run(waking);
}

static void filling(void)
{
    char id[16];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "fill%d", i);
        begin_in("pod", id, ARGS("/fill.wasm"), DENSE);
    }
    co_sleep(NSEC_PER_SEC);
    int64_t worst = worst_wake("late-fill");
    printf("# beside 20 that fill memory it woke at most %lld us late\n", (long long)worst / 1000);
    assert_true(worst < pods_patience(200 * NSEC_PER_MSEC));
    pod_remove("pod");
    pod_start("pod", "default");
}

static void guests_in_bulk_operations_hold_up_nobody(void **state)
{
    (void)state;
    pods_run(filling);
}

static int pause_it(const char *id, bool on)
{
    struct error err = {0};
    return on ? process_pause(pods.sandboxer, id, &err) : process_resume(pods.sandboxer, id, &err);
}

static uint64_t used_within(const char *id, int64_t ns)
{
    uint64_t before = stats_of(id).cpu_ns;
    co_sleep(ns);
    return stats_of(id).cpu_ns - before;
}

static void expect_stands_still(const char *id)
{
    int tries = 40; /* a machine under load lets its last turn wait */
    while (used_within(id, 50 * NSEC_PER_MSEC) && --tries)
        ;
    assert_true(tries);
}

static void expect_goes_on(const char *id)
{
    int tries = 40;
    while (!used_within(id, 50 * NSEC_PER_MSEC) && --tries)
        ;
    assert_true(tries);
}

static void holding(void)
{
    /* one that computes */
    begin("p", SPIN);
    container_expect_log("p", "spinning");
    assert_int_equal(pause_it("p", true), 0);
    expect_stands_still("p");
    assert_int_equal(pause_it("p", false), 0);
    expect_goes_on("p");
    for (int i = 0; i < 200; i++) { /* at once again */
        assert_int_equal(pause_it("p", true), 0);
        assert_int_equal(pause_it("p", false), 0);
    }
    expect_goes_on("p");
    /* one that is held by its quota */
    struct error err = {0};
    assert_int_equal(update("p", "{\"cpu\":{\"quota\":1000,\"period\":1000000}}", &err), 0);
    co_sleep(100 * NSEC_PER_MSEC);
    assert_int_equal(pause_it("p", true), 0);
    assert_int_equal(update("p", "{\"cpu\":{\"quota\":-1}}", &err), 0);
    expect_stands_still("p");
    assert_int_equal(pause_it("p", false), 0);
    expect_goes_on("p");
    /* one that is paused is killed */
    assert_int_equal(pause_it("p", true), 0);
    assert_true(end("p", SIGKILL) < KILL_NS);
    /* one that is being killed is paused */
    begin("k", SPIN);
    container_expect_log("k", "spinning");
    assert_int_equal(process_kill(pods.sandboxer, "k", "", SIGKILL, false, NULL), 0);
    process_pause(pods.sandboxer, "k", &err);
    assert_int_equal(container_wait("k", NULL), 137);
    container_remove("k");
    /* one whose sleep ends meanwhile */
    begin("s", ARGS("/guest.wasm", "sleep", "50"));
    assert_int_equal(pause_it("s", true), 0);
    co_sleep(100 * NSEC_PER_MSEC);
    assert_int_equal(sandboxer_find_process(pods.sandboxer, "s", "")->exited_ns, 0);
    assert_int_equal(pause_it("s", false), 0);
    assert_int_equal(container_wait("s", NULL), 0);
    container_remove("s");
}

static void whatever_it_does_a_paused_container_stands_still(void **state)
{
    (void)state;
    pods_run(holding);
}

static void stopping(void)
{
    begin("z", SPIN);
    container_expect_log("z", "spinning");
    assert_int_equal(process_kill(pods.sandboxer, "z", "", SIGSTOP, false, NULL), 0);
    expect_stands_still("z");
    assert_int_equal(pause_it("z", true), 0);
    assert_int_equal(pause_it("z", false), 0);
    expect_stands_still("z"); /* still stopped */
    assert_int_equal(process_kill(pods.sandboxer, "z", "", SIGCONT, false, NULL), 0);
    expect_goes_on("z");
    assert_int_equal(process_kill(pods.sandboxer, "z", "", SIGWINCH, false, NULL), 0);
    expect_goes_on("z");
    end("z", SIGRTMIN + 1);
}

static void sigstop_holds_a_container_and_sigcont_lets_it_go(void **state)
{
    (void)state;
    pods_run(stopping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods_get_the_cpu_by_their_shares),
        cmocka_unit_test(a_quota_holds_for_a_container_and_for_a_pod),
        cmocka_unit_test(a_container_ends_when_its_time_is_over),
        cmocka_unit_test(memories_and_tables_grow_to_their_limits_and_no_further),
        cmocka_unit_test(limits_change_while_it_runs),
        cmocka_unit_test(statistics_are_of_what_is_used),
        cmocka_unit_test(whatever_it_does_a_killed_container_ends_at_once),
        cmocka_unit_test(a_guest_that_wakes_comes_before_those_that_compute),
        cmocka_unit_test(guests_in_bulk_operations_hold_up_nobody),
        cmocka_unit_test(whatever_it_does_a_paused_container_stands_still),
        cmocka_unit_test(sigstop_holds_a_container_and_sigcont_lets_it_go),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
