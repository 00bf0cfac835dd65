/* SPDX-License-Identifier: Apache-2.0 */
/* What a wasm worker tells the kernel of who may wait, and who need not wait for others' logs. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/supervisor/supervisor.h"

enum { STEP_BACK = 5, TRIES = 500 };

static void begin(const char *id, const char *const *args, const char *profile)
{
    struct error err = {0};
    autofree char *more = str_format(",\"annotations\":{\"warren.wasm/profile\":\"%s\"}", profile);
    struct container_spec c = {.pod = "pod", .id = id, .args = args, .more = more};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
}

static void end(const char *id)
{
    assert_int_equal(process_kill(pods.sandboxer, id, "", SIGKILL, false, NULL), 0);
    assert_int_equal(container_wait(id, NULL), 137);
    container_remove(id);
}

static pid_t worker(void)
{
    struct holder *h = list_first(&pods.wasm->holders, struct holder, link);
    assert_non_null(h);
    return h->pid;
}

/* How many threads of the worker are of this name and so much nicer than the worker; NULL: of any name. */
static int threads(const char *name, int nicer)
{
    autofree char *path = str_format("/proc/%d/task", worker());
    int usual = getpriority(PRIO_PROCESS, (id_t)worker()), found = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        auto(buffer) struct buffer comm = {0};
        autofree char *file = str_format("%s/%s/comm", path, e->d_name);
        if (!atoi(e->d_name) || file_read(AT_FDCWD, file, 64, &comm, NULL) < 0)
            continue;
        comm.data[comm.len - 1] = 0;
        found += (!name || str_eq(buffer_text(&comm), name)) &&
                 getpriority(PRIO_PROCESS, (id_t)atoi(e->d_name)) == usual + nicer;
    }
    closedir(d);
    return found;
}

static void expect_threads(const char *name, int nicer, int least)
{
    for (int i = 0; i < TRIES && threads(name, nicer) < least; i++)
        co_sleep(10 * NSEC_PER_MSEC);
    assert_true(threads(name, nicer) >= least);
}

static void stepping_back(void)
{
    begin("computes", ARGS("/guest.wasm", "spin"), "dense");
    begin("wakes", ARGS("/guest.wasm", "late", "10", "100000"), "dense");
    expect_threads("compute", STEP_BACK, 1);
    expect_threads("compute-quick", 0, (int)sysconf(_SC_NPROCESSORS_ONLN));
    expect_threads("tick", 0, 1);
    assert_int_equal(threads("compute", 0), 0);
    int before = threads(NULL, STEP_BACK);
    begin("busy", ARGS("/compute.wasm", "registers"), "busy");
    expect_threads(NULL, STEP_BACK, before + 1);
    end("busy");
    end("computes");
    end("wakes");
}

static void threads_that_compute_for_long_are_behind_all_others(void **state)
{
    (void)state;
    pods_run(stepping_back);
}

static void competing(void)
{
    struct holder *h;
    int workers = 0;
    pod_start("other", "elsewhere");
    list_each(h, &pods.wasm->holders, link)
    {
        workers++;
        assert_int_equal(getsid(h->pid), getsid(0));
        assert_int_not_equal(getpgid(h->pid), getpgrp());
    }
    assert_int_equal(workers, 2);
    pod_remove("other");
}

static void workers_are_no_sessions_which_would_compete_as_wholes(void **state)
{
    (void)state;
    pods_run(competing);
}

/* The parent of the worker. */
static pid_t files_process(void)
{
    autofree char *path = str_format("/proc/%d/stat", worker());
    auto(buffer) struct buffer text = {0};
    int parent = 0;
    assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, NULL), 0);
    assert_int_equal(sscanf(strrchr(buffer_text(&text), ')') + 1, " %*c %d", &parent), 1);
    return parent;
}

static void ending(void)
{
    begin("spins", ARGS("/guest.wasm", "spin"), "dense");
    container_expect_log("spins", "spinning");
    autofree char *other =
        NULL; /* when its end is known, the worker knows that all before it is written */
    container_run(&(struct container_spec){.pod = "pod",
                                           .id = "ends",
                                           .args = ARGS("/guest.wasm", "lines", "1")},
                  &other);
    pid_t files = files_process();
    assert_int_equal(kill(files, SIGSTOP), 0);
    int64_t before = clock_mono_ns();
    int killed = process_kill(pods.sandboxer, "spins", "", SIGKILL, false, NULL);
    uint32_t status = container_wait("spins", NULL);
    int64_t took = clock_mono_ns() - before;
    assert_int_equal(kill(files, SIGCONT), 0);
    assert_int_equal(killed, 0);
    assert_int_equal(status, 137);
    assert_true(took < 4 * NSEC_PER_SEC); /* 5 s is what last words have */
    container_remove("spins");
}

static void an_end_is_known_at_once_where_all_lines_are_written(void **state)
{
    (void)state;
    pods_run(ending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_compute_for_long_are_behind_all_others),
        cmocka_unit_test(workers_are_no_sessions_which_would_compete_as_wholes),
        cmocka_unit_test(an_end_is_known_at_once_where_all_lines_are_written),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
