/* SPDX-License-Identifier: Apache-2.0 */
/* Reactors, and execs in wasm containers. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Execs */

static int exec_create_to(const char *id, const char *exec_id, const char *const *args,
                          const char *to, struct error *err)
{
    auto(buffer) struct buffer spec = {0};
    buffer_puts(&spec, "{\"cwd\":\"/\",\"env\":[\"B=2\"],\"args\":[");
    for (size_t i = 0; args[i]; i++)
        buffer_printf(&spec, "%s\"%s\"", i ? "," : "", args[i]);
    buffer_puts(&spec, "]}");
    struct process_request request = {.id = id,
                                      .exec_id = exec_id,
                                      .sandbox_id = "",
                                      .stdin_ = "",
                                      .stdout_ = to,
                                      .stderr_ = to,
                                      .bundle = "",
                                      .spec = spec.data,
                                      .spec_len = spec.len};
    pid_t pid;
    return process_create(pods.sandboxer, &request, &pid, err);
}

static int exec_create(const char *id, const char *exec_id, const char *const *args,
                       struct error *err)
{
    autofree char *log = str_format("log+cri://%s/logs/%s-%s", pods.dir, id, exec_id);
    return exec_create_to(id, exec_id, args, log, err);
}

static void exec_start(const char *id, const char *exec_id, const char *const *args)
{
    struct error err = {0};
    pid_t pid;
    if (exec_create(id, exec_id, args, &err) < 0 ||
        process_start(pods.sandboxer, id, exec_id, &pid, &err) < 0)
        give_up("%s", err.message);
}

static uint32_t exec_wait(const char *id, const char *exec_id)
{
    struct error err = {0};
    struct process *p = NULL;
    if (process_wait(pods.sandboxer, id, exec_id, NULL, &p, &err) < 0)
        give_up("%s", err.message);
    uint32_t status = p->exit_status;
    process_unref(p);
    return status;
}

static char *exec_log(const char *id, const char *exec_id)
{
    autofree char *name = str_format("%s-%s", id, exec_id);
    return container_log(name);
}

static void exec_remove(const char *id, const char *exec_id)
{
    struct error err = {0};
    if (process_delete(pods.sandboxer, id, exec_id, NULL, &err) < 0)
        give_up("%s", err.message);
}

/* From its creation to its removal. */
static uint32_t exec_run(const char *id, const char *exec_id, const char *const *args, char **out)
{
    exec_start(id, exec_id, args);
    uint32_t status = exec_wait(id, exec_id);
    *out = exec_log(id, exec_id);
    exec_remove(id, exec_id);
    return status;
}

static void functions(void)
{
    autofree char *first = NULL, *second = NULL, *trap = NULL, *leave = NULL;
    create_and_start("lib", ARGS("/reactor.wasm"));
    container_expect_log("lib", "made");
    assert_int_equal(exec_run("lib", "e1", ARGS("count"), &first), 0);
    assert_string_equal(first, "stdout F made\nstdout F made 1, call 1\n");
    assert_int_equal(exec_run("lib", "e2", ARGS("count"), &second), 0);
    assert_string_equal(second, first); /* a memory of its own */
    assert_int_equal(exec_run("lib", "e3", ARGS("fail"), &trap), 128 + SIGABRT);
    assert_non_null(strstr(trap, "unreachable"));
    assert_int_equal(exec_run("lib", "e4", ARGS("leave"), &leave), 7);
    autofree char *log = container_log("lib");
    assert_string_equal(log, "stdout F made\n"); /* nothing of theirs */
    struct error err = {0};
    assert_int_equal(exec_create("lib", "e5", ARGS("nothing"), &err), -ENOENT);
    assert_non_null(strstr(err.message, "'nothing' is no module"));
    assert_non_null(strstr(err.message, "'count', 'fail', 'leave', 'linger'"));
    end("lib");
}

static void an_exec_calls_a_function_of_the_module_in_an_instance_of_its_own(void **state)
{
    (void)state;
    pods_run(functions);
}

/* A container with a log, and an exec of it with a FIFO. */
static void fifo(void)
{
    struct error err = {0};
    char line[64] = "";
    pid_t pid;
    autofree char *path = str_format("%s/out", pods.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    int out = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    create_and_start("logged", ARGS("/guest.wasm", "beat", "20"));
    if (exec_create_to("logged", "f", ARGS("/guest.wasm", "echo", "piped"), path, &err) < 0 ||
        process_start(pods.sandboxer, "logged", "f", &pid, &err) < 0)
        give_up("%s", err.message);
    assert_int_equal(exec_wait("logged", "f"), 0);
    assert_int_equal(read(out, line, sizeof line), 8);
    assert_string_equal(line, "[piped]\n");
    close(out);
    end("logged");
}

static void an_execs_streams_are_its_own(void **state)
{
    (void)state;
    pods_run(fifo);
}

static void modules(void)
{
    autofree char *echo = NULL, *again = NULL, *env = NULL, *wrote = NULL, *cat = NULL, *lib = NULL;
    struct error err = {0};
    create_and_start("main", ARGS("/guest.wasm", "beat", "20"));
    assert_int_equal(exec_run("main", "e1", ARGS("/guest.wasm", "echo", "a b"), &echo), 0);
    assert_string_equal(echo, "stdout F [a b]\n");
    assert_int_equal(exec_run("main", "e2", ARGS("_start", "exit", "5"), &again), 5);
    exec_run("main", "e3", ARGS("guest.wasm", "env"), &env);
    assert_string_equal(env, "stdout F B=2\n");
    exec_run("main", "e4", ARGS("/guest.wasm", "write", "/shared", "seen"), &wrote);
    exec_run("main", "e5", ARGS("/guest.wasm", "cat", "/shared"), &cat);
    assert_string_equal(cat, "stdout F seen\n"); /* its tree is the container's */
    exec_run("main", "e6", ARGS("/reactor.wasm", "count"), &lib);
    assert_string_equal(lib, "stdout F made\nstdout F made 1, call 1\n");
    assert_int_equal(exec_create("main", "e7", ARGS("/no.wasm"), &err), -ENOENT);
    assert_non_null(strstr(err.message, "open '/no.wasm' in the container's tree"));
    assert_int_equal(exec_create("main", "e8", ARGS("/text"), &err), -ENOEXEC);
    assert_non_null(strstr(err.message, "'/text' is no WebAssembly module"));
    assert_int_equal(exec_create("main", "e9", ARGS("/etc"), &err), -EISDIR);
    end("main");
}

static void an_exec_runs_another_module_of_the_container(void **state)
{
    (void)state;
    pods_run(modules);
}

static void lives(void)
{
    struct error err = {0};
    create_and_start("life", ARGS("/guest.wasm", "beat", "20"));
    exec_start("life", "spins", ARGS("/guest.wasm", "spin"));
    exec_start("life", "sleeps", ARGS("/guest.wasm", "sleep", "3600000"));
    exec_start("life", "stays", ARGS("/guest.wasm", "sleep", "3600000"));
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(process_kill(pods.sandboxer, "life", "spins", SIGTERM, false, &err), 0);
    assert_int_equal(exec_wait("life", "spins"), 128 + SIGTERM);
    exec_remove("life", "spins");
    pods_restart();
    struct process *p = sandboxer_find_process(pods.sandboxer, "life", "sleeps");
    assert_non_null(p);
    assert_int_equal(p->state, SANDBOX_RUNNING);
    assert_int_equal(process_kill(pods.sandboxer, "life", "sleeps", SIGKILL, false, &err), 0);
    assert_int_equal(exec_wait("life", "sleeps"), 128 + SIGKILL);
    autofree char *out = NULL;
    assert_int_equal(exec_run("life", "after", ARGS("/guest.wasm", "echo", "x"), &out), 0);
    end("life"); /* and what still runs in it */
    assert_null(sandboxer_find_process(pods.sandboxer, "life", "stays"));
    assert_null(sandboxer_find_process(pods.sandboxer, "life", "sleeps"));
}

static void an_exec_is_killed_found_again_and_removed_as_a_container_is(void **state)
{
    (void)state;
    pods_run(lives);
}

static void ends_with_it(void)
{
    create_and_start("short", ARGS("/guest.wasm", "sleep", "300"));
    exec_start("short", "long", ARGS("/guest.wasm", "sleep", "3600000"));
    assert_int_equal(container_wait("short", NULL), 0);
    assert_int_equal(exec_wait("short", "long"), 128 + SIGKILL);
    struct error err = {0};
    assert_int_equal(exec_create("short", "late", ARGS("_start"), &err), -EPROTO);
    container_remove("short");
}

static void an_exec_ends_with_its_container(void **state)
{
    (void)state;
    pods_run(ends_with_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reactor_without_a_function_to_call_stays_idle_until_it_is_killed),
        cmocka_unit_test(a_reactors_second_argument_is_the_function_that_is_called),
        cmocka_unit_test(an_exec_calls_a_function_of_the_module_in_an_instance_of_its_own),
        cmocka_unit_test(an_execs_streams_are_its_own),
        cmocka_unit_test(an_exec_runs_another_module_of_the_container),
        cmocka_unit_test(an_exec_is_killed_found_again_and_removed_as_a_container_is),
        cmocka_unit_test(an_exec_ends_with_its_container),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
