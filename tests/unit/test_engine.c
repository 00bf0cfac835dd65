/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/base.h"
#include "engine/engine.h"
#include "engine/files.h"
#include "engine/store.h"
#include "fake_image.h"
#include "fake_peer.h"
#include "loop/loop.h"

static struct fixture {
    char dir[64];
    struct image_store images;
    struct world world, wasm;
    struct engine *engine;
    struct engine_observer observer;
    char events[256];
    void (*body)(void);
} t;

static void on_event(void *arg, const struct engine_event *event)
{
    (void)arg;
    size_t n = strlen(t.events);
    if (n + 3 < sizeof t.events)
        snprintf(t.events + n, 4, "%c%c ", event->container ? 'c' : 'p', "+>x-"[event->type]);
}

static int open_engine(struct error *err)
{
    struct peer *peer = world_connect(&t.world);
    const struct engine_handler handlers[] = {{"", "namespace", peer},
                                              {"namespace", "namespace", peer},
                                              {"wasm", "wasm", world_connect(&t.wasm)}};
    struct engine_options options = {.data_root = t.dir,
                                     .exec_root = t.dir,
                                     .images = &t.images,
                                     .handlers = handlers,
                                     .handler_count = 3};
    int r = engine_open(&t.engine, &options, err);
    if (r == 0) {
        t.observer = (struct engine_observer){.event = on_event};
        engine_observe(t.engine, &t.observer);
    }
    return r;
}

static void reopen(void)
{
    struct error err = {0};
    engine_close(t.engine);
    assert_int_equal(open_engine(&err), 0);
    co_sleep(20 * NSEC_PER_MSEC);
}

static void whole_test(void *arg)
{
    (void)arg;
    struct error err = {0};
    world_start(&t.world);
    world_start(&t.wasm);
    if (open_engine(&err) < 0)
        print_error("%s\n", err.message);
    else
        t.body();
    world_rest(&t.world);
    world_rest(&t.wasm);
    engine_close(t.engine);
    co_sleep(5 * NSEC_PER_MSEC);
    loop_stop();
}

static void in_engine(void (*body)(void))
{
    struct error err = {0};
    t = (struct fixture){.body = body};
    strcpy(t.dir, "/tmp/warren-engine.XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    fake_images_init(&t.images);
    world_init(&t.world);
    world_init(&t.wasm);
    co_start(whole_test, NULL);
    loop_run();
    world_done(&t.world);
    world_done(&t.wasm);
    assert_int_equal(dir_remove(AT_FDCWD, t.dir, &err), 0);
}

#define ok(call)                                                                                   \
    do {                                                                                           \
        struct error ok_err = {0}, *err = &ok_err;                                                 \
        if ((call) < 0)                                                                            \
            print_error("%s\n", ok_err.message);                                                   \
        assert_int_equal(ok_err.code, 0);                                                          \
    } while (0)
#define refused(call, expected, text)                                                              \
    do {                                                                                           \
        struct error no_err = {0}, *err = &no_err;                                                 \
        assert_int_equal(call, expected);                                                          \
        if (!strstr(no_err.message, text))                                                         \
            print_error("%s\n", no_err.message);                                                   \
        assert_non_null(strstr(no_err.message, text));                                             \
    } while (0)

static int run_pod(const char *name, const char *handler, char id[65], struct error *err)
{
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    metadata.name = (char *)name;
    metadata.namespace_ = (char[]){"default"};
    config.metadata = &metadata;
    config.hostname = (char[]){"host"};
    config.log_directory = t.dir;
    return engine_pod_run(t.engine, &config, handler, id, err);
}

static int create(const char *pod, const char *name, const char *argument, char id[65],
                  struct error *err)
{
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    char *args[] = {(char *)argument};
    metadata.name = (char *)name;
    image.image = (char[]){"image1"};
    config.metadata = &metadata;
    config.image = &image;
    config.args = args;
    config.n_args = 1;
    config.log_path = (char[]){"a/b.log"};
    return engine_container_create(t.engine, pod, &config, id, err);
}

static struct container *container(const char *id)
{
    struct container *c = NULL;
    ok(engine_container_find(t.engine, id, &c, err));
    return c;
}

static struct pod *pod(const char *id)
{
    struct pod *p = NULL;
    ok(engine_pod_find(t.engine, id, &p, err));
    return p;
}

static bool exists(const char *below, const char *id, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s/%s", t.dir, below, id, file);
    return access(path, F_OK) == 0;
}

/* The tests */

static void lifecycle(void)
{
    char p[65], c[65];
    ok(run_pod("a", "", p, err));
    assert_int_equal(pod(p)->state, POD_READY);
    assert_int_equal(pod(p)->pid, 1000);
    assert_true(exists("pods", p, "hosts"));
    ok(create(p, "c", "x", c, err));
    assert_int_equal(container(c)->state, CONTAINER_CREATED);
    assert_null(world_process(&t.world, c, ""));
    ok(engine_container_start(t.engine, c, err));
    assert_int_equal(container(c)->state, CONTAINER_RUNNING);
    assert_true(container(c)->pid > 0);
    assert_true(exists("containers", c, "upper"));
    refused(engine_container_start(t.engine, c, err), -EINVAL, "is in state RUNNING");
    world_exit(&t.world, world_process(&t.world, c, ""), 3);
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(container(c)->state, CONTAINER_EXITED);
    assert_int_equal(container(c)->exit_code, 3);
    assert_string_equal(container(c)->reason, "Error");
    assert_null(world_process(&t.world, c, ""));
    ok(engine_container_remove(t.engine, c, err));
    refused(engine_container_find(t.engine, c, &(struct container *){0}, err), -ENOENT,
            "no such container");
    assert_false(exists("containers", c, ""));
    ok(engine_pod_stop(t.engine, p, err));
    assert_int_equal(pod(p)->state, POD_NOT_READY);
    ok(engine_pod_remove(t.engine, p, err));
    assert_int_equal(engine_pod_count(t.engine), 0);
    assert_int_equal(world_count(&t.world), 0);
    assert_false(exists("pods", p, ""));
    assert_int_equal(t.images.pin_count, 0);
    assert_string_equal(t.events, "p+ p> c+ c> cx c- px p- ");
    /* idempotent */
    ok(engine_pod_stop(t.engine, p, err));
    ok(engine_pod_remove(t.engine, p, err));
    ok(engine_container_stop(t.engine, c, 1, err));
    ok(engine_container_remove(t.engine, c, err));
}

static void a_pod_lives_and_goes_without_a_trace(void **state)
{
    (void)state;
    in_engine(lifecycle);
}

static void names(void)
{
    char p[65], c[65], other[65];
    ok(run_pod("a", "", p, err));
    refused(run_pod("a", "", other, err), -EEXIST, "the name \"a_default__0\" is taken by pod");
    refused(run_pod("b", "kata", other, err), -ENOENT, "no runtime handler \"kata\"");
    refused(run_pod("", "", other, err), -EINVAL, "metadata.name");
    ok(create(p, "c", "x", c, err));
    refused(create(p, "c", "x", other, err), -EEXIST, "is taken by container");
    ok(engine_container_remove(t.engine, c, err));
    ok(create(p, "c", "x", c, err));
    /* prefixes */
    assert_ptr_equal(container((char[]){c[0], c[1], c[2], c[3], c[4], c[5], 0}), container(c));
    ok(engine_pod_remove(t.engine, p, err));
    ok(run_pod("a", "", p, err));
    ok(engine_pod_remove(t.engine, p, err));
    assert_int_equal(t.images.pin_count, 0);
}

static void names_are_taken_once_and_free_again(void **state)
{
    (void)state;
    in_engine(names);
}

static void stopping(void)
{
    char p[65], polite[65], stubborn[65];
    ok(run_pod("a", "wasm", p, err));
    assert_false(exists("pods", p, ""));
    ok(create(p, "polite", "x", polite, err));
    ok(create(p, "stubborn", "stubborn", stubborn, err));
    ok(engine_container_start(t.engine, polite, err));
    ok(engine_container_start(t.engine, stubborn, err));
    assert_false(exists("containers", polite, ""));
    ok(engine_container_stop(t.engine, polite, 5, err));
    assert_int_equal(container(polite)->exit_code, 143);
    int64_t before = clock_mono_ns();
    ok(engine_container_stop(t.engine, stubborn, 1, err));
    assert_true(clock_mono_ns() - before >= NSEC_PER_SEC);
    assert_int_equal(container(stubborn)->exit_code, 137);
    ok(engine_container_stop(t.engine, stubborn, 1, err));
    ok(engine_pod_remove(t.engine, p, err));
}

static void a_container_is_asked_to_stop_and_then_killed(void **state)
{
    (void)state;
    in_engine(stopping);
}

static void failing(void)
{
    char p[65], c[65];
    t.world.create_error = -EIO;
    ok(run_pod("a", "", p, err));
    ok(create(p, "c", "x", c, err));
    t.world.create_error = -ENOENT;
    refused(engine_container_start(t.engine, c, err), -ENOENT, "start container");
    assert_int_equal(container(c)->state, CONTAINER_EXITED);
    assert_int_equal(container(c)->exit_code, 127);
    assert_string_equal(container(c)->reason, "StartError");
    refused(engine_container_start(t.engine, c, err), -EINVAL, "is in state EXITED");
    world_crash(&t.world);
    co_sleep(10 * NSEC_PER_MSEC);
    world_restart(&t.world);
    t.world.fail_1_in = 0;
    ok(engine_container_remove(t.engine, c, err));
    ok(engine_pod_remove(t.engine, p, err));
}

static void a_program_that_is_not_there_is_127_and_a_start_error(void **state)
{
    (void)state;
    in_engine(failing);
}

static void restarting(void)
{
    char p[65], runs[65], ends[65], waits[65], lost[65], c[65];
    ok(run_pod("a", "", p, err));
    ok(create(p, "runs", "x", runs, err));
    ok(create(p, "ends", "x", ends, err));
    ok(create(p, "waits", "x", waits, err));
    ok(engine_container_start(t.engine, runs, err));
    ok(engine_container_start(t.engine, ends, err));
    ok(run_pod("b", "", lost, err));
    ok(create(lost, "c", "x", c, err));
    ok(engine_container_start(t.engine, c, err));
    pid_t pid = container(runs)->pid;

    engine_close(t.engine);
    world_exit(&t.world, world_process(&t.world, ends, ""), 5);
    world_lose(&t.world, world_sandbox(&t.world, lost));
    struct fake_sandbox *unknown = world_sandbox(&t.world, p);
    assert_non_null(unknown);
    t.images.pin_count = 0;
    ok(open_engine(err));
    co_sleep(100 * NSEC_PER_MSEC);

    assert_int_equal(engine_pod_count(t.engine), 2);
    assert_int_equal(pod(p)->state, POD_READY);
    assert_int_equal(container(runs)->state, CONTAINER_RUNNING);
    assert_int_equal(container(runs)->pid, pid);
    assert_int_equal(container(ends)->state, CONTAINER_EXITED);
    assert_int_equal(container(ends)->exit_code, 5);
    assert_int_equal(container(waits)->state, CONTAINER_CREATED);
    assert_int_equal(pod(lost)->state, POD_NOT_READY);
    assert_int_equal(container(c)->state, CONTAINER_EXITED);
    assert_string_equal(container(c)->reason, "Unknown");
    assert_int_equal(t.images.pin_count, 4);
    ok(engine_container_start(t.engine, waits, err));
    reopen();
    assert_int_equal(container(waits)->state, CONTAINER_RUNNING);
    ok(engine_pod_remove(t.engine, p, err));
    ok(engine_pod_remove(t.engine, lost, err));
    assert_int_equal(world_count(&t.world), 0);
    reopen();
    assert_int_equal(engine_pod_count(t.engine), 0);
}

static void a_restarted_engine_finds_what_happened_meanwhile(void **state)
{
    (void)state;
    in_engine(restarting);
}

static void executing(void)
{
    char p[65], c[65];
    ok(run_pod("a", "", p, err));
    ok(create(p, "c", "x", c, err));
    struct exec_result result = {0};
    char *argv[] = {(char[]){"true"}, NULL}, *fails[] = {(char[]){"false"}, NULL},
         *sleeps[] = {(char[]){"sleep"}, NULL};
    refused(engine_exec_sync(t.engine, c, argv, 0, &result, err), -EINVAL, "is not running");
    ok(engine_container_start(t.engine, c, err));
    ok(engine_exec_sync(t.engine, c, argv, 0, &result, err));
    assert_string_equal(buffer_text(&result.out), "out of the exec\n");
    assert_string_equal(buffer_text(&result.err), "err of the exec\n");
    assert_int_equal(result.exit_code, 0);
    buffer_done(&result.out);
    buffer_done(&result.err);
    result = (struct exec_result){0};
    ok(engine_exec_sync(t.engine, c, fails, 0, &result, err));
    assert_int_equal(result.exit_code, 1);
    buffer_done(&result.out);
    buffer_done(&result.err);
    refused(engine_exec_sync(t.engine, c, sleeps, 1, &result, err), -ETIMEDOUT,
            "has not ended within 1 s");
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(world_count(&t.world), 2);
    ok(engine_pod_remove(t.engine, p, err));
}

static void a_command_in_a_container_gives_its_output_and_code(void **state)
{
    (void)state;
    in_engine(executing);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void full(void)
{
    char p[65], c[65], last[65], stopped[65], refused_pod[65];
    ok(run_pod("a", "wasm", p, err));
    ok(run_pod("stopped", "", stopped, err));
    ok(engine_pod_stop(t.engine, stopped, err));
    ok(create(p, "c", "x", c, err));
    ok(engine_container_start(t.engine, c, err));
    co_sleep(50 * NSEC_PER_MSEC);
    limit_files(1);
    /* the journal still takes what comes before the disk is found to be full */
    ok(create(p, "last", "x", last, err));
    while (engine_pod_stop(t.engine, stopped, NULL) == 0)
        co_sleep(NSEC_PER_MSEC);
    refused(run_pod("b", "wasm", refused_pod, err), -EIO, "write the engine's state");
    refused(create(p, "d", "x", refused_pod, err), -EIO, "write the engine's state");
    assert_int_equal(engine_pod_count(t.engine), 2);
    assert_int_equal(world_count(&t.wasm), 2);
    assert_int_equal(t.images.pin_count, 2);
    world_exit(&t.wasm, world_process(&t.wasm, c, ""), 5);
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(container(c)->exit_code, 5);
    /* its exit is not in the store, so it is still kept there */
    assert_int_equal(world_count(&t.wasm), 2);
    limit_files(RLIM_INFINITY);
    ok(run_pod("b", "wasm", refused_pod, err));
    co_sleep(1500 * NSEC_PER_MSEC);
    assert_null(world_process(&t.wasm, c, ""));
    reopen();
    assert_int_equal(container(c)->state, CONTAINER_EXITED);
    assert_int_equal(container(c)->exit_code, 5);
    assert_int_equal(container(last)->state, CONTAINER_CREATED);
    ok(engine_pod_remove(t.engine, p, err));
    ok(engine_pod_remove(t.engine, stopped, err));
    ok(engine_pod_remove(t.engine, refused_pod, err));
}

static void a_full_disk_refuses_what_is_new_and_forgets_no_exit(void **state)
{
    (void)state;
    in_engine(full);
}

static void start_late(void *id)
{
    ok(engine_container_start(t.engine, id, err));
}

static void slow(void)
{
    char p[65], other[65], quick[65], late[65];
    ok(run_pod("a", "wasm", p, err));
    ok(run_pod("b", "wasm", other, err));
    ok(create(p, "quick", "x", quick, err));
    ok(create(p, "late", "x", late, err));
    ok(engine_container_start(t.engine, quick, err));
    t.wasm.hang_ms = 400;
    co_start(start_late, late);
    co_sleep(20 * NSEC_PER_MSEC);
    int64_t before = clock_mono_ns();
    ok(engine_container_stop(t.engine, quick, 5, err));
    assert_true(clock_mono_ns() - before < 200 * NSEC_PER_MSEC);
    ok(engine_pod_stop(t.engine, other, err));
    assert_true(clock_mono_ns() - before < 200 * NSEC_PER_MSEC);
    /* its own stop waits for the start, and then stops it */
    ok(engine_container_stop(t.engine, late, 5, err));
    assert_int_equal(container(late)->exit_code, 143);
    ok(engine_pod_remove(t.engine, p, err));
    ok(engine_pod_remove(t.engine, other, err));
}

static void a_stop_does_not_wait_for_another_containers_slow_start(void **state)
{
    (void)state;
    in_engine(slow);
}

struct rows {
    int pods, containers;
    size_t config_len;
};

static int see_pod(void *arg, const struct pod_row *row, struct error *err)
{
    struct rows *rows = arg;
    (void)row, (void)err;
    rows->pods++;
    return 0;
}

static int see_container(void *arg, const struct container_row *row, struct error *err)
{
    struct rows *rows = arg;
    (void)err;
    assert_int_equal(row->phase, CONTAINER_PHASE_CREATED);
    rows->containers++;
    rows->config_len += row->config_len;
    return 0;
}

/* What another engine would find if this one were killed now. */
static struct rows rows_now(void)
{
    char command[256], path[96];
    struct rows rows = {0};
    struct store *store;
    struct store_reader reader = {see_pod, see_container, &rows};
    snprintf(command, sizeof command, "mkdir %s/now && cp %s/state.* %s/now", t.dir, t.dir, t.dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/now/state.db", t.dir);
    ok(store_open(&store, path, &reader, err));
    store_abandon(store);
    return rows;
}

static void killed(void)
{
    char p[65], c[65];
    enum { LARGE = 300000 };
    autofree char *large = malloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = 0;
    ok(run_pod("a", "wasm", p, err));
    ok(create(p, "large", large, c, err));
    ok(create(p, "small", "x", c, err));
    struct rows rows = rows_now();
    assert_int_equal(rows.pods, 1);
    assert_int_equal(rows.containers, 2);
    assert_true(rows.config_len > LARGE);
    ok(engine_pod_remove(t.engine, p, err));
}

static void what_was_answered_survives_a_kill_at_once(void **state)
{
    (void)state;
    in_engine(killed);
}

static void newer(void)
{
    char path[128];
    sqlite3 *db;
    engine_close(t.engine);
    t.engine = NULL;
    snprintf(path, sizeof path, "%s/state.db", t.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    refused(open_engine(err), -ENOTSUP, "a newer Warren has written it (schema 99");
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    (void)state;
    in_engine(newer);
}

static void a_log_path_stays_below_its_directory(void **state)
{
    (void)state;
    char *path;
    struct error err = {0};
    assert_int_equal(files_log_path("/var/log", "a/../../b", &path, &err), -EINVAL);
    assert_int_equal(files_log_path("/var/log", "..", &path, &err), -EINVAL);
    assert_int_equal(files_log_path("log", "a", &path, &err), -EINVAL);
    assert_int_equal(files_log_path("/var/log", "", &path, &err), 0);
    assert_null(path);
    assert_int_equal(files_log_path("/var/log", "a..b/..c", &path, &err), 0);
    assert_string_equal(path, "/var/log/a..b/..c");
    free(path);
    auto(arena) struct arena arena = {0};
    assert_string_equal(files_log_address("/a?b%c", &arena), "log+cri:///a%3Fb%25c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_lives_and_goes_without_a_trace),
        cmocka_unit_test(names_are_taken_once_and_free_again),
        cmocka_unit_test(a_container_is_asked_to_stop_and_then_killed),
        cmocka_unit_test(a_program_that_is_not_there_is_127_and_a_start_error),
        cmocka_unit_test(a_restarted_engine_finds_what_happened_meanwhile),
        cmocka_unit_test(a_command_in_a_container_gives_its_output_and_code),
        cmocka_unit_test(a_full_disk_refuses_what_is_new_and_forgets_no_exit),
        cmocka_unit_test(a_stop_does_not_wait_for_another_containers_slow_start),
        cmocka_unit_test(what_was_answered_survives_a_kill_at_once),
        cmocka_unit_test(a_newer_schema_is_refused_and_left_alone),
        cmocka_unit_test(a_log_path_stays_below_its_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
