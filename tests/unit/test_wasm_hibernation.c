/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that wait for long: their memory goes, and they do not notice. */
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

enum { GUESTS = 24, WAIT_S = 20 };

static char *input_of(unsigned i)
{
    return str_format("%s/input%u", pods.dir, i);
}

static void begin(unsigned i)
{
    autofree char *input = input_of(i), *id = str_format("h%u", i), *seed = str_format("%u", i);
    struct error err = {0};
    autofree char *log = str_format("%s/logs/%s", pods.dir, id);
    unlink(log);
    if (mkfifo(input, 0600) < 0)
        assert_int_equal(errno, EEXIST);
    struct container_spec c = {
        .pod = "pod", .id = id, .args = ARGS("/hibernate.wasm", seed), .input = input};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
    container_expect_log(id, "stdout F waiting\n");
}

static uint64_t memory_of(const char *id)
{
    struct error err = {0};
    struct process_stats stats = {0};
    struct process *p = sandboxer_find_process(pods.sandboxer, id, "");
    assert_int_equal(wasm_technique.stats(pods.wasm, p, &stats, &err), 0);
    return stats.memory_usage;
}

/* Until then it takes whole pages. */
static void wait_hibernated(const char *id)
{
    int64_t until = clock_mono_ns() + WAIT_S * NSEC_PER_SEC;
    while (memory_of(id) % 4096 == 0) {
        if (clock_mono_ns() > until)
            give_up("%s still takes %llu bytes", id, (unsigned long long)memory_of(id));
        co_sleep(20 * NSEC_PER_MSEC);
    }
}

static void begin_all(void)
{
    for (unsigned i = 0; i < GUESTS; i++)
        begin(i);
    for (unsigned i = 0; i < GUESTS; i++) {
        autofree char *id = str_format("h%u", i);
        wait_hibernated(id);
    }
}

static void wake(unsigned i)
{
    autofree char *input = input_of(i);
    autoclose int fd = open(input, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "go\n", 3), 3);
}

static void waking(void)
{
    begin_all();
    /* the first is the reference of others: not the first to wake, nor the last */
    for (unsigned i = 0; i < GUESTS; i++)
        wake((i + 7) % GUESTS);
    for (unsigned i = 0; i < GUESTS; i++) {
        autofree char *id = str_format("h%u", i);
        assert_int_equal(container_wait(id, NULL), 0);
        container_expect_log(id, "stdout F as it was\n");
        container_remove(id);
    }
}

static void a_guest_that_waits_for_long_is_hibernated_and_goes_on_as_it_was(void **state)
{
    (void)state;
    pods_run(waking);
}

static void killing(void)
{
    struct error err = {0};
    begin_all();
    for (unsigned i = 0; i < GUESTS / 2; i++) {
        autofree char *id = str_format("h%u", i);
        struct process *p = sandboxer_find_process(pods.sandboxer, id, "");
        assert_int_equal(wasm_technique.signal(pods.wasm, p, SIGKILL, false, &err), 0);
        assert_int_equal(container_wait(id, NULL), 128 + SIGKILL);
        container_remove(id);
    }
    pod_remove("pod"); /* with the other half */
    pod_start("pod", "default");
}

static void a_hibernated_guest_is_killed_and_removed(void **state)
{
    (void)state;
    pods_run(killing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_waits_for_long_is_hibernated_and_goes_on_as_it_was),
        cmocka_unit_test(a_hibernated_guest_is_killed_and_removed),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
