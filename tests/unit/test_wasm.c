/* SPDX-License-Identifier: Apache-2.0 */
/* The wasm technique as an engine sees it: workers, lives and ends of containers. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/supervisor/supervisor.h"

static uint32_t run(const char *id, const char *const *args, char **out)
{
    return container_run(&(struct container_spec){.pod = "pod", .id = id, .args = args}, out);
}

static void create_and_start(const char *pod, const char *id, const char *const *args)
{
    struct error err = {0};
    if (container_create(&(struct container_spec){.pod = pod, .id = id, .args = args}, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
}

static int kill_container(const char *id, int signal)
{
    return process_kill(pods.sandboxer, id, "", signal, false, NULL);
}

static void exits(void)
{
    autofree char *out = NULL;
    assert_int_equal(run("e3", ARGS("/guest.wasm", "exit", "3"), &out), 3);
    autofree char *out2 = NULL;
    assert_int_equal(run("e0", ARGS("guest.wasm", "exit", "0"), &out2), 0);
}

static void a_container_that_exits_with_3_reports_3(void **state)
{
    (void)state;
    pods_run(exits);
}

static void args_and_env(void)
{
    autofree char *out = NULL, *env = NULL;
    assert_int_equal(run("args", ARGS("/guest.wasm", "echo", "a b", "", "c"), &out), 0);
    assert_string_equal(out, "stdout F [a b][][c]\n");
    container_run(&(struct container_spec){.pod = "pod",
                                           .id = "env",
                                           .args = ARGS("/guest.wasm", "env"),
                                           .env = "[\"A=1\",\"B=two words\"]"},
                  &env);
    assert_string_equal(env, "stdout F A=1\nstdout F B=two words\n");
}

static void a_program_gets_its_arguments_and_its_environment(void **state)
{
    (void)state;
    pods_run(args_and_env);
}

static void both_streams(void)
{
    autofree char *out = NULL, *lines = NULL;
    run("stderr", ARGS("/guest.wasm", "stderr"), &out);
    assert_string_equal(out, "stderr F to stderr\n");
    run("lines", ARGS("/guest.wasm", "lines", "2000"), &lines);
    assert_non_null(strstr(lines, "stdout F line 0\nstdout F line 1\n"));
    assert_non_null(strstr(lines, "stdout F line 1999\n"));
}

static void what_it_prints_is_in_the_log_line_by_line(void **state)
{
    (void)state;
    pods_run(both_streams);
}

static void sleeping(void)
{
    autofree char *out = NULL;
    create_and_start("pod", "s1", ARGS("/guest.wasm", "sleep", "3600000"));
    int64_t before = clock_mono_ns();
    assert_int_equal(run("s2", ARGS("/guest.wasm", "sleep", "50"), &out), 0);
    assert_string_equal(out, "stdout F slept\n");
    assert_true(clock_mono_ns() - before > 50 * NSEC_PER_MSEC);
    assert_int_equal(kill_container("s1", SIGTERM), 0);
    assert_int_equal(container_wait("s1", NULL), 128 + SIGTERM);
    assert_int_equal(kill_container("s1", SIGTERM), -ENOENT);
    container_remove("s1");
}

static void a_sleeper_holds_up_nobody_and_is_killed(void **state)
{
    (void)state;
    pods_run(sleeping);
}

enum { SPINNERS = 8 };

static void spinning(void)
{
    char id[16];
    for (int i = 0; i < SPINNERS; i++) {
        snprintf(id, sizeof id, "spin%d", i);
        create_and_start("pod", id, ARGS("/guest.wasm", "spin"));
        container_expect_log(id, "spinning");
    }
    autofree char *out = NULL;
    assert_int_equal(run("beside", ARGS("/guest.wasm", "echo", "here"), &out), 0);
    assert_string_equal(out, "stdout F [here]\n");
    int64_t worst = 0;
    for (int i = 0; i < SPINNERS; i++) {
        snprintf(id, sizeof id, "spin%d", i);
        int64_t before = clock_mono_ns();
        assert_int_equal(kill_container(id, SIGKILL), 0);
        assert_int_equal(container_wait(id, NULL), 128 + SIGKILL);
        int64_t took = clock_mono_ns() - before;
        worst = took > worst ? took : worst;
        container_remove(id);
    }
    printf("# the slowest end of %d spinning guests: %lld us\n", SPINNERS, (long long)worst / 1000);
    assert_true(worst < pods_patience(100 * NSEC_PER_MSEC));
}

static void endless_loops_hold_up_nobody_and_are_killed(void **state)
{
    (void)state;
    pods_run(spinning);
}

static void traps(void)
{
    autofree char *message = NULL, *out = NULL, *deep = NULL;
    create_and_start("pod", "trap", ARGS("/divide.wasm"));
    assert_int_equal(container_wait("trap", &message), 128 + SIGABRT);
    assert_non_null(strstr(message, "integer divide by zero"));
    assert_non_null(strstr(message, "divide_by_nothing"));
    autofree char *log = container_log("trap");
    assert_non_null(strstr(log, "stderr F "));
    assert_non_null(strstr(log, "divide_by_nothing"));
    container_remove("trap");
    assert_int_equal(run("abort", ARGS("/guest.wasm", "abort"), &out), 128 + SIGABRT);
    assert_int_equal(run("deep", ARGS("/recurse.wasm"), &deep), 128 + SIGABRT);
    assert_non_null(strstr(deep, "call stack exhausted"));
}

static void a_trap_is_134_with_its_backtrace_in_the_log(void **state)
{
    (void)state;
    pods_run(traps);
}

static void limits(void)
{
    autofree char *out = NULL;
    struct error err = {0};
    struct container_spec c = {.pod = "pod",
                               .id = "grow",
                               .args = ARGS("/guest.wasm", "grow"),
                               .more =
                                   ",\"linux\":{\"resources\":{\"memory\":{\"limit\":16777216}}}"};
    assert_int_equal(container_run(&c, &out), 0);
    int mib = 0;
    assert_int_equal(sscanf(out, "stdout F %d MiB", &mib), 1);
    assert_true(mib >= 12 && mib < 16);
    c.id = "large";
    c.args = ARGS("/large.wasm");
    assert_int_equal(container_create(&c, &err), -ENOMEM);
    assert_non_null(strstr(err.message, "67108864 bytes"));
}

static void memory_stays_below_the_limit(void **state)
{
    (void)state;
    pods_run(limits);
}

static void expect_error(const char *module, int code, const char *text)
{
    struct error err = {0};
    struct container_spec c = {.pod = "pod", .id = "bad", .args = ARGS(module)};
    assert_int_equal(container_create(&c, &err), code);
    if (!strstr(err.message, text))
        give_up("no '%s' in: %s", text, err.message);
    assert_null(sandboxer_find_process(pods.sandboxer, "bad", ""));
}

static void bad_modules(void)
{
    expect_error("/missing.wasm", -ENOEXEC, "env::no_such_function");
    expect_error("/text", -ENOEXEC, "'/text' is no WebAssembly module");
    expect_error("/nowhere.wasm", -ENOENT, "'/nowhere.wasm'");
}

static void what_cannot_run_says_why(void **state)
{
    (void)state;
    pods_run(bad_modules);
}

static void pausing(void)
{
    struct error err = {0};
    create_and_start("pod", "beat", ARGS("/guest.wasm", "beat", "2"));
    container_expect_log("beat", "beat 3\n");
    assert_int_equal(process_pause(pods.sandboxer, "beat", &err), 0);
    co_sleep(20 * NSEC_PER_MSEC);
    autofree char *before = container_log("beat");
    co_sleep(50 * NSEC_PER_MSEC);
    autofree char *after = container_log("beat");
    assert_string_equal(before, after);
    assert_int_equal(process_resume(pods.sandboxer, "beat", &err), 0);
    co_sleep(50 * NSEC_PER_MSEC);
    autofree char *later = container_log("beat");
    assert_true(strlen(later) > strlen(after));
    struct process_stats stats;
    assert_int_equal(process_get_stats(pods.sandboxer, "beat", &stats, &err), 0);
    assert_true(stats.cpu_ns > 0 && stats.memory_usage >= 4096);
    autofree char *path = str_format("%s/logs/beat", pods.dir);
    autofree char *moved = str_format("%s/logs/beat.1", pods.dir);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(process_reopen_log(pods.sandboxer, "beat", &err), 0);
    container_expect_log("beat", "beat ");
    assert_int_equal(kill_container("beat", SIGKILL), 0);
    container_wait("beat", NULL);
    container_remove("beat");
}

static void a_paused_container_prints_nothing_until_it_is_resumed(void **state)
{
    (void)state;
    pods_run(pausing);
}

static void recovering(void)
{
    autofree char *out = NULL, *message = NULL;
    create_and_start("pod", "stays", ARGS("/guest.wasm", "beat", "5"));
    create_and_start("pod", "ends", ARGS("/guest.wasm", "sleep", "100"));
    create_and_start("pod", "traps", ARGS("/divide.wasm"));
    container_wait("traps", NULL);
    container_expect_log("stays", "beat 2\n");
    pods_restart();
    assert_non_null(sandboxer_find_sandbox(pods.sandboxer, "pod"));
    struct process *p = sandboxer_find_process(pods.sandboxer, "stays", "");
    assert_non_null(p);
    assert_int_equal(p->state, SANDBOX_RUNNING);
    assert_int_equal(container_wait("traps", &message), 134);
    assert_non_null(strstr(message, "divide_by_nothing"));
    assert_int_equal(container_wait("ends", NULL), 0);
    assert_int_equal(run("after", ARGS("/guest.wasm", "echo", "again"), &out), 0);
    assert_string_equal(out, "stdout F [again]\n");
    kill_container("stays", SIGKILL);
    assert_int_equal(container_wait("stays", NULL), 137);
    container_remove("stays");
    container_remove("ends");
    container_remove("traps");
}

static void after_the_supervisors_death_all_is_found_again(void **state)
{
    (void)state;
    pods_run(recovering);
}

/* Their worker is not woken for each of them. */
static void recovering_empty_pods(void)
{
    enum { PODS = 150 };
    char id[16];
    autofree char *out = NULL;
    for (int i = 0; i < PODS; i++) {
        snprintf(id, sizeof id, "empty-%d", i);
        pod_start(id, "default");
    }
    pods_restart();
    for (int i = 0; i < PODS; i++) {
        snprintf(id, sizeof id, "empty-%d", i);
        assert_non_null(sandboxer_find_sandbox(pods.sandboxer, id));
    }
    pod_start("new", "default");
    const struct container_spec c = {
        .pod = "new", .id = "in-new", .args = ARGS("/guest.wasm", "echo", "here")};
    assert_int_equal(container_run(&c, &out), 0);
    assert_string_equal(out, "stdout F [here]\n");
    pod_remove("new");
    for (int i = 0; i < PODS; i++) {
        snprintf(id, sizeof id, "empty-%d", i);
        pod_remove(id);
    }
}

static void after_the_supervisors_death_pods_without_containers_are_found_again(void **state)
{
    (void)state;
    pods_run(recovering_empty_pods);
}

static void worker_killed(void)
{
    pod_start("other", "other-namespace");
    create_and_start("other", "victim", ARGS("/guest.wasm", "beat", "5"));
    create_and_start("pod", "bystander", ARGS("/guest.wasm", "beat", "5"));
    container_expect_log("victim", "beat 1\n");
    struct pod *pod = sandboxer_find_sandbox(pods.sandboxer, "other")->technique;
    struct pod *first = sandboxer_find_sandbox(pods.sandboxer, "pod")->technique;
    assert_ptr_not_equal(pod->holder, first->holder);
    assert_int_equal(kill(pod->holder->pid, SIGKILL), 0);
    assert_int_equal(container_wait("victim", NULL), 137);
    assert_int_equal(sandboxer_find_sandbox(pods.sandboxer, "other")->state, SANDBOX_STOPPED);
    assert_int_equal(sandboxer_find_process(pods.sandboxer, "bystander", "")->state,
                     SANDBOX_RUNNING);
    kill_container("bystander", SIGKILL);
    container_wait("bystander", NULL);
    container_remove("bystander");
    pod_remove("other");
    pod_start("other", "other-namespace"); /* a new worker */
    autofree char *out = NULL;
    container_run(&(struct container_spec){.pod = "other",
                                           .id = "new",
                                           .args = ARGS("/guest.wasm", "echo", "new")},
                  &out);
    assert_string_equal(out, "stdout F [new]\n");
    pod_remove("other");
}

static void a_killed_worker_takes_only_its_own_pods(void **state)
{
    (void)state;
    pods_run(worker_killed);
}

enum { MANY = 1000 };

static void many(void)
{
    char id[16];
    int64_t before = clock_mono_ns();
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "m%d", i);
        create_and_start("pod", id, ARGS("/tiny.wasm"));
    }
    int64_t took = clock_mono_ns() - before;
    printf("# %d containers, one after another: %lld us each\n", MANY,
           (long long)took / MANY / 1000);
    for (int i = 0; i < MANY; i += 100) {
        snprintf(id, sizeof id, "m%d", i);
        container_expect_log(id, "stdout F up\n");
    }
    struct pod *pod = sandboxer_find_sandbox(pods.sandboxer, "pod")->technique;
    autofree char *fds = str_format("ls /proc/%d/fd | wc -l", pod->holder->pid);
    FILE *f = popen(fds, "r");
    int count = -1;
    assert_int_equal(fscanf(f, "%d", &count), 1);
    pclose(f);
    assert_true(count > 0 && count < 40); /* none a container */
    pod_remove("pod");
    pod_start("pod", "default");
}

static void a_thousand_containers_need_no_descriptor_at_rest(void **state)
{
    (void)state;
    pods_run(many);
}

/* How many modules have been compiled for this profile. */
static int compiled_for(const char *profile)
{
    autofree char *command = str_format("ls %s/cache | grep -c '%s'", pods.dir, profile);
    FILE *f = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(f, "%d", &count), 1);
    pclose(f);
    return count;
}

#define BUSY ",\"annotations\":{\"warren.wasm/profile\":\"busy\"}"

static uint32_t run_in(const char *pod, const char *more, const char *const *args, char **out)
{
    static int count; /* a log of its own each */
    char id[16];
    snprintf(id, sizeof id, "profile%d", count++);
    struct container_spec c = {.pod = pod, .id = id, .args = args, .more = more};
    return container_run(&c, out);
}

static uint32_t run_with(const char *more, const char *const *args, char **out)
{
    return run_in("pod", more, args, out);
}

/* In a worker that has no module yet. */
static void run_anew(const char *more, const char *const *args)
{
    static int count;
    char pod[16];
    autofree char *out = NULL;
    snprintf(pod, sizeof pod, "anew%d", count++);
    pod_start(pod, pod);
    run_in(pod, more, args, &out);
    pod_remove(pod);
}

static void busy(void)
{
    autofree char *echo = NULL, *grow = NULL, *outside = NULL;
    struct error err = {0};
    int before = compiled_for("busy");
    assert_int_equal(run_with(BUSY, ARGS("/guest.wasm", "echo", "quick"), &echo), 0);
    assert_string_equal(echo, "stdout F [quick]\n");
    assert_int_equal(compiled_for("busy"), before + 1);
    assert_int_equal(run_with(BUSY ",\"linux\":{\"resources\":{\"memory\":{\"limit\":16777216}}}",
                              ARGS("/guest.wasm", "grow"), &grow),
                     0);
    int mib = 0;
    assert_int_equal(sscanf(grow, "stdout F %d MiB", &mib), 1);
    assert_true(mib >= 12 && mib < 16);
    assert_int_equal(run_with(BUSY, ARGS("/outside.wasm"), &outside), 128 + SIGABRT);
    assert_non_null(strstr(outside, "out of bounds memory access"));
    assert_non_null(strstr(outside, "reads_outside"));
    struct container_spec spin = {
        .pod = "pod", .id = "busy-spin", .args = ARGS("/guest.wasm", "spin"), .more = BUSY};
    if (container_create(&spin, &err) < 0)
        give_up("%s", err.message);
    container_start("busy-spin");
    container_expect_log("busy-spin", "spinning");
    autofree char *beside = NULL;
    assert_int_equal(run("beside-busy", ARGS("/guest.wasm", "echo", "here"), &beside), 0);
    assert_int_equal(kill_container("busy-spin", SIGKILL), 0);
    assert_int_equal(container_wait("busy-spin", NULL), 128 + SIGKILL);
    container_remove("busy-spin");
}

static void a_busy_container_behaves_as_a_dense_one(void **state)
{
    (void)state;
    pods_run(busy);
}

static void chosen(void)
{
    static const struct {
        const char *resources;
        bool busy;
    } cases[] = {
        {"\"cpu\":{\"shares\":1023}", false},
        {"\"cpu\":{\"quota\":99999}", false},
        {"\"cpu\":{\"quota\":50000,\"period\":50000}", true},
        {"\"cpu\":{\"shares\":1024}", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        autofree char *more = str_format(",\"linux\":{\"resources\":{%s}}", cases[i].resources);
        autofree char *files = str_format("rm -f %s/cache/*", pods.dir);
        assert_int_equal(system(files), 0);
        run_anew(more, ARGS("/recurse.wasm"));
        assert_int_equal(compiled_for("busy"), cases[i].busy);
        assert_int_equal(compiled_for("dense"), !cases[i].busy);
    }
    run_anew(",\"annotations\":{\"warren.wasm/profile\":\"dense\"}", ARGS("/large.wasm"));
    assert_int_equal(compiled_for("dense"), 1);
    run_anew("", ARGS("/large.wasm"));
    assert_int_equal(compiled_for("busy"), 2); /* its memory begins with 64 MiB */
    struct error err = {0};
    struct container_spec c = {.pod = "pod",
                               .id = "bad",
                               .args = ARGS("/guest.wasm"),
                               .more = ",\"annotations\":{\"warren.wasm/profile\":\"quick\"}"};
    assert_int_equal(container_create(&c, &err), -EINVAL);
    assert_non_null(
        strstr(err.message, "warren.wasm/profile: expected dense or busy, found 'quick'"));
}

static void what_a_container_asks_for_chooses_its_profile(void **state)
{
    (void)state;
    pods_run(chosen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_exits_with_3_reports_3),
        cmocka_unit_test(a_program_gets_its_arguments_and_its_environment),
        cmocka_unit_test(what_it_prints_is_in_the_log_line_by_line),
        cmocka_unit_test(a_sleeper_holds_up_nobody_and_is_killed),
        cmocka_unit_test(endless_loops_hold_up_nobody_and_are_killed),
        cmocka_unit_test(a_trap_is_134_with_its_backtrace_in_the_log),
        cmocka_unit_test(memory_stays_below_the_limit),
        cmocka_unit_test(what_cannot_run_says_why),
        cmocka_unit_test(a_busy_container_behaves_as_a_dense_one),
        cmocka_unit_test(what_a_container_asks_for_chooses_its_profile),
        cmocka_unit_test(a_paused_container_prints_nothing_until_it_is_resumed),
        cmocka_unit_test(after_the_supervisors_death_all_is_found_again),
        cmocka_unit_test(after_the_supervisors_death_pods_without_containers_are_found_again),
        cmocka_unit_test(a_killed_worker_takes_only_its_own_pods),
        cmocka_unit_test(a_thousand_containers_need_no_descriptor_at_rest),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
