/* SPDX-License-Identifier: Apache-2.0 */
/* Reactors, and execs in wasm containers. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/base.h"
#include "pods.h"

static uint32_t run(const char *id, const char *const *args, char **out)
{
    return container_run(&(struct container_spec){.pod = "pod", .id = id, .args = args}, out);
}

static void create_and_start(const char *id, const char *const *args)
{
    struct error err = {0};
    if (container_create(&(struct container_spec){.pod = "pod", .id = id, .args = args}, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
}

static void end(const char *id)
{
    struct error err = {0};
    if (process_kill(pods.sandboxer, id, "", SIGTERM, false, &err) < 0)
        give_up("%s", err.message);
    assert_int_equal(container_wait(id, NULL), 128 + SIGTERM);
    container_remove(id);
}

static void idle_reactor(void)
{
    create_and_start("idle", ARGS("/reactor.wasm"));
    container_expect_log("idle", "stdout F made\n");
    co_sleep(50 * NSEC_PER_MSEC);
    struct process *p = sandboxer_find_process(pods.sandboxer, "idle", "");
    assert_int_equal(p->state, SANDBOX_RUNNING);
    struct process_stats before, after;
    struct error err = {0};
    assert_int_equal(process_get_stats(pods.sandboxer, "idle", &before, &err), 0);
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(process_get_stats(pods.sandboxer, "idle", &after, &err), 0);
    assert_int_equal(before.cpu_ns, after.cpu_ns);
    assert_int_equal(process_pause(pods.sandboxer, "idle", &err), 0);
    assert_int_equal(process_resume(pods.sandboxer, "idle", &err), 0);
    end("idle");
}

static void a_reactor_without_a_function_to_call_stays_idle_until_it_is_killed(void **state)
{
    (void)state;
    pods_run(idle_reactor);
}

static void called_reactor(void)
{
    autofree char *out = NULL, *trap = NULL, *leave = NULL;
    struct error err = {0};
    assert_int_equal(run("count", ARGS("/reactor.wasm", "count"), &out), 0);
    assert_string_equal(out, "stdout F made\nstdout F made 1, call 1\n");
    assert_int_equal(run("trap", ARGS("/reactor.wasm", "fail"), &trap), 128 + SIGABRT);
    assert_int_equal(run("leave", ARGS("/reactor.wasm", "leave"), &leave), 7);
    struct container_spec c = {.pod = "pod", .id = "no", .args = ARGS("/reactor.wasm", "add")};
    assert_int_equal(container_create(&c, &err), -ENOENT);
    assert_non_null(strstr(err.message, "exports no function 'add' without parameters"));
    assert_non_null(strstr(err.message, "'count', 'fail', 'leave', 'linger'"));
}

static void a_reactors_second_argument_is_the_function_that_is_called(void **state)
{
    (void)state;
    pods_run(called_reactor);
}

static void start_pod(void)
{
    pod_start("pod", "default");
}

static int setup(void **state)
{
    int r = pods_setup(state);
    pods_run(start_pod);
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reactor_without_a_function_to_call_stays_idle_until_it_is_killed),
        cmocka_unit_test(a_reactors_second_argument_is_the_function_that_is_called),
    };
    return cmocka_run_group_tests(tests, setup, pods_teardown);
}
