/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"

static char trace[64];

static void add(char c)
{
    size_t n = strlen(trace);
    trace[n] = c;
    trace[n + 1] = 0;
}

static struct co_mutex mutex;

static void one_at_a_time(void *arg)
{
    auto(co_locked) struct co_mutex *held = co_lock(&mutex);
    add(*(char *)arg);
    co_sleep(2 * NSEC_PER_MSEC);
    add(*(char *)arg);
    if (*(char *)arg == 'c')
        loop_stop();
}

static void a_mutex_serves_in_the_order_of_asking(void **state)
{
    (void)state;
    trace[0] = 0;
    co_mutex_init(&mutex);
    char names[] = "abc";
    for (int i = 0; i < 3; i++)
        co_start(one_at_a_time, &names[i]);
    loop_run();
    assert_string_equal(trace, "aabbcc");
}

static int work(void *arg, struct error *err)
{
    usleep(2000);
    *(int *)arg = 7;
    return fail_plain(err, EBUSY, "as asked");
}

static void use_pool(void *arg)
{
    (void)arg;
    int value = 0;
    struct error err = {0};
    assert_int_equal(co_pool(work, &value, &err), -EBUSY);
    assert_int_equal(value, 7);
    assert_string_equal(err.message, "as asked");
    loop_stop();
}

static void the_pool_returns_value_and_error(void **state)
{
    (void)state;
    co_start(use_pool, NULL);
    loop_run();
}

static void wait_for_pipe(void *arg)
{
    int *fds = arg;
    assert_int_equal(co_wait_fd(fds[0], UV_READABLE, clock_mono_ns() + 5 * NSEC_PER_MSEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(co_wait_fd(fds[0], UV_READABLE, INT64_MAX), UV_READABLE);
    loop_stop();
}

static void a_descriptor_is_waited_for_with_a_deadline(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    co_start(wait_for_pipe, fds);
    loop_run();
    close(fds[0]);
    close(fds[1]);
}

static int finished;

static void short_life(void *arg)
{
    (void)arg;
    co_yield ();
    co_sleep(NSEC_PER_MSEC);
    if (++finished == 2000)
        loop_stop();
}

static void wake_oneself(void *arg)
{
    (void)arg;
    co_wake(co_self());
}

static void stop_after(void *arg)
{
    (void)arg;
    co_sleep(NSEC_PER_MSEC);
    loop_stop();
}

static void a_coroutine_that_was_woken_may_end(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        co_start(wake_oneself, NULL);
        co_start(stop_after, NULL);
        loop_run();
    }
}

static void thousands_of_coroutines_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++)
        co_start(short_life, NULL);
    loop_run();
    assert_int_equal(finished, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_serves_in_the_order_of_asking),
        cmocka_unit_test(the_pool_returns_value_and_error),
        cmocka_unit_test(a_descriptor_is_waited_for_with_a_deadline),
        cmocka_unit_test(a_coroutine_that_was_woken_may_end),
        cmocka_unit_test(thousands_of_coroutines_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
