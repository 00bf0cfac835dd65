/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of the busy profile that compute for ever: they check no epoch, and are held, slowed and ended all the same. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "pods.h"

static const char *const ways[] = {"registers", "calls", "floats", "fills",
                                   "indirect",  "asks",  "grows"};

/* RESOURCES: members of linux.resources. */
#define BUSY(RESOURCES)                                                                            \
    ",\"annotations\":{\"warren.wasm/profile\":\"busy\"},\"linux\":{\"resources\":{" RESOURCES "}" \
    "}"

static void begin(const char *id, const char *way, const char *more)
{
    struct error err = {0};
    struct container_spec c = {
        .pod = "pod", .id = id, .args = ARGS("/compute.wasm", way), .more = more};
    autofree char *log = str_format("%s/logs/%s", pods.dir, id);
    remove(log);
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
    container_expect_log(id, "begun");
}

static void end(const char *id, int signal)
{
    assert_int_equal(process_kill(pods.sandboxer, id, "", signal, false, NULL), 0);
    assert_int_equal(container_wait(id, NULL), 128 + signal);
    container_remove(id);
}

static int64_t cpu_of(const char *id)
{
    struct error err = {0};
    struct process_stats stats = {0};
    struct process *p = sandboxer_find_process(pods.sandboxer, id, "");
    assert_int_equal(wasm_technique.stats(pods.wasm, p, &stats, &err), 0);
    return (int64_t)stats.cpu_ns;
}

static void killing(void)
{
    int64_t worst = 0;
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
            begin("kill", ways[i], BUSY(""));
            co_sleep((round * 37 + (int64_t)i * 101) % 1000 * 1000);
            int64_t before = clock_mono_ns();
            end("kill", round % 2 ? SIGKILL : SIGTERM);
            int64_t took = clock_mono_ns() - before;
            worst = took > worst ? took : worst;
        }
    printf("# the slowest of %zu kills took %lld us\n", 20 * ARRAY_SIZE(ways),
           (long long)worst / 1000);
    assert_true(worst < pods_patience(NSEC_PER_SEC / 10));
}

static void whatever_it_computes_it_is_killed(void **state)
{
    (void)state;
    pods_run(killing);
}

static void side_by_side(void)
{
    char id[16];
    autofree char *compiled = NULL, *out = NULL;
    struct container_spec c = {
        .pod = "pod", .id = "beside", .args = ARGS("/guest.wasm", "echo", "here")};
    assert_int_equal(container_run(&c, &compiled), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "b%d", i);
        begin(id, ways[(size_t)i % ARRAY_SIZE(ways)], BUSY(""));
    }
    int64_t before = clock_mono_ns();
    assert_int_equal(container_run(&c, &out), 0);
    assert_non_null(strstr(out, "stdout F [here]\n"));
    assert_true(clock_mono_ns() - before < NSEC_PER_SEC);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "b%d", i);
        end(id, SIGKILL);
    }
}

static void many_that_compute_hold_up_no_other(void **state)
{
    (void)state;
    pods_run(side_by_side);
}

static void pausing(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        begin("pause", ways[i], BUSY(""));
        struct process *p = sandboxer_find_process(pods.sandboxer, "pause", "");
        assert_int_equal(wasm_technique.pause(pods.wasm, p, NULL), 0);
        co_sleep(100 * NSEC_PER_MSEC);
        int64_t at = cpu_of("pause");
        co_sleep(200 * NSEC_PER_MSEC);
        assert_true(cpu_of("pause") - at < 20 * NSEC_PER_MSEC);
        if (i % 2) { /* else it is killed while it is paused */
            assert_int_equal(wasm_technique.resume(pods.wasm, p, NULL), 0);
            at = cpu_of("pause");
            for (int k = 0; k < 200 && cpu_of("pause") == at; k++)
                co_sleep(10 * NSEC_PER_MSEC);
            assert_true(cpu_of("pause") > at);
        }
        end("pause", SIGKILL);
    }
}

static void a_pause_stops_it_where_it_is(void **state)
{
    (void)state;
    pods_run(pausing);
}

static char *sum_of(const char *id)
{
    char *log = container_log(id), *line = strstr(log, "sum ");
    assert_non_null(line);
    memmove(log, line, strlen(line) + 1);
    return log;
}

static void disturbing(void)
{
    begin("calm", "sum", BUSY(""));
    assert_int_equal(container_wait("calm", NULL), 0);
    autofree char *wanted = sum_of("calm");
    container_remove("calm");
    unsigned pauses = 0;
    for (int round = 0; round < 5 || (pauses <= 50 && round < 100); round++) {
        begin("storm", "sum", BUSY(""));
        struct process *p = sandboxer_find_process(pods.sandboxer, "storm", "");
        for (; !p->exited_ns; pauses++) {
            wasm_technique.pause(pods.wasm, p, NULL);
            co_sleep((pauses % 7) * 300 * 1000);
            wasm_technique.resume(pods.wasm, p, NULL);
            co_sleep((pauses % 5) * 200 * 1000);
        }
        assert_int_equal(container_wait("storm", NULL), 0);
        autofree char *sum = sum_of("storm");
        assert_string_equal(sum, wanted);
        container_remove("storm");
    }
    printf("# paused %u times\n", pauses);
    assert_true(pauses > 50);
}

static void however_often_it_is_paused_it_computes_the_same(void **state)
{
    (void)state;
    pods_run(disturbing);
}

static void opening(void)
{
    struct error err = {0};
    struct container_spec c = {
        .pod = "pod", .id = "open", .args = ARGS("/opening.wasm"), .more = BUSY("")};
    for (int round = 0; round < 10; round++) {
        if (container_create(&c, &err) < 0)
            give_up("%s", err.message);
        container_start("open");
        for (int64_t i = 0; i < 50; i++) {
            assert_int_equal(process_pause(pods.sandboxer, "open", &err), 0);
            assert_int_equal(process_resume(pods.sandboxer, "open", &err), 0);
            co_sleep(i * 37 % 300 * 1000);
        }
        end("open", SIGKILL);
    }
}

/* Its return takes them off: the address was not where it ends. */
static void a_call_whose_arguments_lie_on_the_stack_is_interrupted_as_any_other(void **state)
{
    (void)state;
    pods_run(opening);
}

static void slowing(void)
{
    begin("quota", "floats", BUSY("\"cpu\":{\"quota\":10000,\"period\":50000}"));
    int64_t begun = clock_mono_ns(), cpu = cpu_of("quota");
    co_sleep(2 * NSEC_PER_SEC);
    int64_t share = (cpu_of("quota") - cpu) * 100 / (clock_mono_ns() - begun);
    printf("# a quota of 20%% came to %lld%%\n", (long long)share);
    assert_true(share <= 25);
    end("quota", SIGKILL);
}

static void a_quota_holds_for_it(void **state)
{
    (void)state;
    pods_run(slowing);
}

static void limiting(void)
{
    static const char limit[] = ",\"annotations\":{\"warren.wasm/profile\":\"busy\","
                                "\"warren.wasm/cpu-time-limit\":\"200ms\"}";
    begin("limit", "calls", limit);
    autofree char *message = NULL;
    assert_int_equal(container_wait("limit", &message), 128 + SIGXCPU);
    assert_non_null(strstr(message, "CPU time"));
    container_remove("limit");
}

static void a_limit_of_cpu_time_ends_it(void **state)
{
    (void)state;
    pods_run(limiting);
}

static void none_ran_dense(void **state)
{
    auto(buffer) struct buffer log = {0};
    (void)state;
    autofree char *path = str_format("%s/workers.log", pods.dir);
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &log, NULL), 0);
    assert_null(strstr(buffer_text(&log), "runs dense"));
    assert_null(strstr(buffer_text(&log), "busy profile"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_it_computes_it_is_killed),
        cmocka_unit_test(many_that_compute_hold_up_no_other),
        cmocka_unit_test(a_pause_stops_it_where_it_is),
        cmocka_unit_test(however_often_it_is_paused_it_computes_the_same),
        cmocka_unit_test(a_call_whose_arguments_lie_on_the_stack_is_interrupted_as_any_other),
        cmocka_unit_test(a_quota_holds_for_it),
        cmocka_unit_test(a_limit_of_cpu_time_ends_it),
        cmocka_unit_test(none_ran_dense),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
