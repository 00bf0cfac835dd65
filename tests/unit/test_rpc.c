/* SPDX-License-Identifier: Apache-2.0 */
/* Client against server in one process, each test over gRPC and over ttrpc. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "echo.h"
#include "loop/loop.h"
#include "rpc/conn.h"

static char dir[64], path[128];
static struct rpc_server *server;
static enum rpc_protocol protocol;

static void start_server(void)
{
    struct error err = {0};
    assert_int_equal(rpc_server_new(&server, &err), 0);
    assert_int_equal(rpc_server_add(server, &echo_service, &err), 0);
    assert_int_equal(rpc_server_listen(server, path, 0600, RPC_GRPC | RPC_TTRPC, &err), 0);
}

static void stop_server(void)
{
    rpc_server_free(server);
    server = NULL;
}

struct run {
    void (*body)(struct rpc_client *c);
    unsigned left;
};

static void run_body(void *arg)
{
    struct run *run = arg;
    struct rpc_client *c;
    assert_int_equal(rpc_client_new(&c, protocol, path, NULL), 0);
    run->body(c);
    rpc_client_free(c);
    stop_server();
    co_sleep(20 * NSEC_PER_MSEC);
    loop_stop();
}

static void over(enum rpc_protocol p, void (*body)(struct rpc_client *c))
{
    struct run run = {body, 1};
    protocol = p;
    echo_counts = (struct echo_counts){0};
    start_server();
    co_start(run_body, &run);
    loop_run();
}

#define BOTH(name)                                                                                 \
    static void name##_by_grpc(void **state)                                                       \
    {                                                                                              \
        (void)state;                                                                               \
        over(RPC_GRPC, name);                                                                      \
    }                                                                                              \
    static void name##_by_ttrpc(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        over(RPC_TTRPC, name);                                                                     \
    }                                                                                              \
    struct name##_end

static int call(struct rpc_client *c, const char *method, const char *text, int64_t number,
                int64_t deadline, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a = NULL;
    q.text = (char *)(uintptr_t)text;
    q.number = number;
    int r = rpc_client_call(c, &warren__test__echo__descriptor, NULL, method, &q, &arena,
                            (void **)&a, deadline, err);
    if (r == 0 && str_eq(method, "Say")) {
        assert_string_equal(a->text, text);
        assert_int_equal(a->number, number);
    }
    return r;
}

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ns() + ms * NSEC_PER_MSEC;
}

static void a_call_is_answered(struct rpc_client *c)
{
    struct error err = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(call(c, "Say", "hello", i, INT64_MAX, &err), 0);
}
BOTH(a_call_is_answered);

static void a_failure_arrives_with_its_code_and_sentence(struct rpc_client *c)
{
    struct error err = {0};
    assert_int_equal(call(c, "Fail", "pod 'ä' 100% gone\n", ENOENT, INT64_MAX, &err), -ENOENT);
    assert_string_equal(err.message, "pod 'ä' 100% gone\n");
    assert_false(rpc_is_transport_error(c));
    assert_int_equal(call(c, "Fail", "busy", EBUSY, in_ms(5000), &err), -EBUSY);
}
BOTH(a_failure_arrives_with_its_code_and_sentence);

static void what_is_not_there_is_unimplemented(struct rpc_client *c)
{
    struct error err = {0};
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT;
    void *a;
    assert_int_equal(call(c, "Missing", "", 0, INT64_MAX, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "Missing"));
    assert_int_equal(rpc_client_call(c, &warren__test__echo__descriptor, "no.Such", "Say", &q,
                                     &arena, &a, INT64_MAX, &err),
                     -EOPNOTSUPP);
    assert_string_equal(err.message, "unknown service no.Such");
}
BOTH(what_is_not_there_is_unimplemented);

static void a_call_ends_at_its_deadline(struct rpc_client *c)
{
    struct error err = {0};
    int64_t begin = clock_mono_ns();
    assert_int_equal(call(c, "Wait", "", 60000, in_ms(30), &err), -ETIMEDOUT);
    assert_true(clock_mono_ns() - begin < 5 * NSEC_PER_SEC);
    co_sleep(30 * NSEC_PER_MSEC);
    assert_int_equal(echo_counts.cancelled, 1);
    assert_int_equal(call(c, "Say", "still works", 1, in_ms(5000), &err), 0);
}
BOTH(a_call_ends_at_its_deadline);

static void nobody_there_is_told_from_not_found(struct rpc_client *c)
{
    struct error err = {0};
    stop_server();
    assert_int_equal(call(c, "Say", "x", 1, INT64_MAX, &err), -ENOENT);
    assert_true(rpc_is_transport_error(c));
    assert_non_null(strstr(err.message, path));
}
BOTH(nobody_there_is_told_from_not_found);

static void a_restarted_server_is_found_again(struct rpc_client *c)
{
    struct error err = {0};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call(c, "Say", "again", i, in_ms(5000), &err), 0);
        stop_server();
        start_server();
    }
    assert_int_equal(call(c, "Say", "last", 1, in_ms(5000), &err), 0);
}
BOTH(a_restarted_server_is_found_again);

static void kill_server(void *arg)
{
    (void)arg;
    co_sleep(20 * NSEC_PER_MSEC);
    stop_server();
}

static void a_connection_that_breaks_fails_its_calls(struct rpc_client *c)
{
    struct error err = {0};
    co_start(kill_server, NULL);
    int r = call(c, "Wait", "", 60000, in_ms(10000), &err);
    assert_int_equal(r, -ECONNRESET);
    assert_true(rpc_is_transport_error(c));
    co_sleep(20 * NSEC_PER_MSEC);
    assert_int_equal(echo_counts.cancelled, 1);
}
BOTH(a_connection_that_breaks_fails_its_calls);

struct many {
    struct rpc_client *c;
    unsigned left;
    struct co *waiter;
};

static void one_of_many(void *arg)
{
    struct many *m = arg;
    struct error err = {0};
    assert_int_equal(call(m->c, "Wait", "", 50, in_ms(20000), &err), 0);
    if (--m->left == 0)
        co_wake(m->waiter);
}

static void a_thousand_calls_at_once_are_all_answered(struct rpc_client *c)
{
    struct many m = {c, 1000, co_self()};
    int64_t begin = clock_mono_ns();
    for (int i = 0; i < 1000; i++)
        co_start(one_of_many, &m);
    while (m.left)
        co_park();
    assert_int_equal(echo_counts.calls, 1000);
    assert_true(clock_mono_ns() - begin < 10 * NSEC_PER_SEC);
}
BOTH(a_thousand_calls_at_once_are_all_answered);

static void an_answer_over_the_limit_says_so(struct rpc_client *c)
{
    struct error err = {0};
    int64_t limit = protocol == RPC_GRPC ? RPC_MESSAGE_MAX : TTRPC_MESSAGE_MAX;
    assert_int_equal(call(c, "Big", "", limit - 100, in_ms(20000), &err), 0);
    assert_int_equal(call(c, "Big", "", limit + 1, in_ms(20000), &err),
                     -rpc_errno_of(RPC_RESOURCE_EXHAUSTED));
    assert_non_null(strstr(err.message, "more than"));
}
BOTH(an_answer_over_the_limit_says_so);

static int say_big(struct rpc_client *c, size_t size, struct error *err)
{
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    q.data.len = size;
    q.data.data = arena_alloc(&arena, size);
    memset(q.data.data, 'x', size);
    int r = rpc_client_call(c, &warren__test__echo__descriptor, NULL, "Say", &q, &arena,
                            (void **)&a, in_ms(20000), err);
    if (r == 0) {
        assert_int_equal(a->data.len, size);
        assert_memory_equal(a->data.data, q.data.data, size);
    }
    return r;
}

static void a_request_over_the_limit_is_refused(struct rpc_client *c)
{
    struct error err = {0};
    size_t limit = protocol == RPC_GRPC ? RPC_MESSAGE_MAX : TTRPC_MESSAGE_MAX;
    assert_int_equal(say_big(c, limit - 100, &err), 0);
    int r = say_big(c, limit + 1, &err);
    assert_int_equal(rpc_status_of(r), RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(call(c, "Say", "after", 1, in_ms(5000), &err), 0);
}
BOTH(a_request_over_the_limit_is_refused);

static struct rpc_stream *count(struct rpc_client *c, const char *text, int64_t number, size_t size)
{
    struct error err = {0};
    struct rpc_stream *s;
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT;
    autofree uint8_t *data = calloc(1, size + 1);
    q.text = (char *)(uintptr_t)text;
    q.number = number;
    q.data.data = data;
    q.data.len = size;
    assert_int_equal(rpc_client_stream(c, &warren__test__echo__descriptor, NULL, "Count", &q, &s,
                                       in_ms(20000), &err),
                     0);
    return s;
}

static int receive_all(struct rpc_stream *s, int64_t *ret_count, struct error *err)
{
    int r;
    for (*ret_count = 0;; ++*ret_count) {
        auto(arena) struct arena arena = {0};
        Warren__Test__Words *a;
        r = rpc_stream_receive(s, &arena, (void **)&a, err);
        if (r <= 0)
            return r;
        assert_int_equal(a->number, *ret_count);
    }
}

static void a_stream_arrives_whole_and_ends_with_its_status(struct rpc_client *c)
{
    struct error err = {0};
    int64_t n;
    struct rpc_stream *s = count(c, "", 3000, 10);
    co_sleep(20 * NSEC_PER_MSEC); /* the end comes before it is read */
    assert_int_equal(receive_all(s, &n, &err), 0);
    assert_int_equal(n, 3000);
    rpc_stream_free(s);
    s = count(c, "", 0, 0);
    assert_int_equal(receive_all(s, &n, &err), 0);
    assert_int_equal(n, 0);
    rpc_stream_free(s);
    s = count(c, "fail", 2, 0);
    assert_int_equal(receive_all(s, &n, &err), -EBUSY);
    assert_int_equal(n, 2);
    assert_string_equal(err.message, "at the end");
    rpc_stream_free(s);
}
BOTH(a_stream_arrives_whole_and_ends_with_its_status);

static void a_long_stream_of_large_messages_arrives_whole(struct rpc_client *c)
{
    struct error err = {0};
    int64_t n;
    struct rpc_stream *s = count(c, "", 300, 100000);
    assert_int_equal(receive_all(s, &n, &err), 0);
    assert_int_equal(n, 300);
    rpc_stream_free(s);
}
BOTH(a_long_stream_of_large_messages_arrives_whole);

static void a_slow_reader_holds_its_stream_up(struct rpc_client *c)
{
    struct error err = {0};
    int64_t n;
    struct rpc_stream *s = count(c, "", 200, 100000);
    co_sleep(200 * NSEC_PER_MSEC);
    assert_true(echo_counts.sent < 100);
    assert_int_equal(call(c, "Say", "others go on", 1, in_ms(5000), &err), 0);
    assert_int_equal(receive_all(s, &n, &err), 0);
    assert_int_equal(n, 200);
    rpc_stream_free(s);
}

static void a_slow_reader_holds_its_stream_up_by_grpc(void **state)
{
    (void)state;
    over(RPC_GRPC, a_slow_reader_holds_its_stream_up);
}

static void a_stream_given_up_is_cancelled_at_the_server(struct rpc_client *c)
{
    struct error err = {0};
    auto(arena) struct arena arena = {0};
    void *a;
    struct rpc_stream *s = count(c, "", 1000000, 1000);
    assert_int_equal(rpc_stream_receive(s, &arena, &a, &err), 1);
    rpc_stream_free(s);
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(echo_counts.cancelled, 1);
    assert_int_equal(call(c, "Say", "after", 1, in_ms(5000), &err), 0);
}

static void a_stream_given_up_is_cancelled_at_the_server_by_grpc(void **state)
{
    (void)state;
    over(RPC_GRPC, a_stream_given_up_is_cancelled_at_the_server);
}

static void wait_long(void *arg)
{
    struct many *m = arg;
    struct error err = {0};
    assert_int_equal(call(m->c, "Wait", "", 60000, INT64_MAX, &err), -ECANCELED);
    co_wake(m->waiter);
    m->left = 0;
}

static void a_client_that_is_freed_cancels_its_calls(struct rpc_client *c)
{
    (void)c;
    struct many m = {.left = 1, .waiter = co_self()};
    assert_int_equal(rpc_client_new(&m.c, protocol, path, NULL), 0);
    co_start(wait_long, &m);
    co_sleep(20 * NSEC_PER_MSEC);
    rpc_client_free(m.c);
    while (m.left)
        co_park();
    co_sleep(20 * NSEC_PER_MSEC);
    assert_int_equal(echo_counts.cancelled, 1);
}
BOTH(a_client_that_is_freed_cancels_its_calls);

/* A connection whose owner has more than one turn takes. */
struct spring {
    struct conn conn;
    size_t left;
    bool released;
};

static int spring_fill(struct conn *c)
{
    static const uint8_t zeroes[16 << 10];
    struct spring *s = container_of(c, struct spring, conn);
    while (s->left && conn_pending(c) < CONN_OUT_HIGH) {
        assert_int_equal(buffer_append(&c->out, zeroes, sizeof zeroes), 0);
        s->left -= sizeof zeroes;
    }
    return 0;
}

static int spring_received(struct conn *c, const uint8_t *data, size_t len)
{
    (void)c, (void)data, (void)len;
    return 0;
}

static void spring_closed(struct conn *c, int code)
{
    (void)c, (void)code;
}

static void spring_released(struct conn *c)
{
    container_of(c, struct spring, conn)->released = true;
}

static void drink(void *arg)
{
    static const struct conn_ops ops = {spring_received, spring_fill, NULL, spring_closed,
                                        spring_released};
    enum { FIRST = CONN_OUT_HIGH, REST = 1 << 20, BUFFER = 2 << 20 };
    struct spring s = {.left = REST};
    int fds[2], room = BUFFER;
    size_t *got = arg;
    autofree uint8_t *data = calloc(1, FIRST);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    assert_int_equal(conn_init(&s.conn, fds[0], &ops), 0);
    /* so much is to be sent that fill() adds nothing, and the socket takes all of it at once */
    assert_int_equal(buffer_append(&s.conn.out, data, FIRST), 0);
    conn_dirty(&s.conn);
    co_sleep(NSEC_PER_MSEC);
    while (*got < FIRST + REST &&
           co_wait_fd(fds[1], UV_READABLE, clock_mono_ns() + NSEC_PER_SEC) > 0) {
        ssize_t n = recv(fds[1], data, FIRST, MSG_DONTWAIT);
        *got += n > 0 ? (size_t)n : 0;
    }
    conn_close(&s.conn, 0);
    while (!s.released)
        co_yield ();
    close(fds[1]);
    loop_stop();
}

static void all_that_an_owner_has_is_sent(void **state)
{
    size_t got = 0;
    (void)state;
    co_start(drink, &got);
    loop_run();
    assert_int_equal(got, CONN_OUT_HIGH + (1 << 20));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/warren-rpc.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/s.sock", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(AT_FDCWD, dir, NULL);
}

#define TEST_BOTH(name) cmocka_unit_test(name##_by_grpc), cmocka_unit_test(name##_by_ttrpc)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(a_call_is_answered),
        TEST_BOTH(a_failure_arrives_with_its_code_and_sentence),
        TEST_BOTH(what_is_not_there_is_unimplemented),
        TEST_BOTH(a_call_ends_at_its_deadline),
        TEST_BOTH(nobody_there_is_told_from_not_found),
        TEST_BOTH(a_restarted_server_is_found_again),
        TEST_BOTH(a_connection_that_breaks_fails_its_calls),
        TEST_BOTH(a_thousand_calls_at_once_are_all_answered),
        TEST_BOTH(an_answer_over_the_limit_says_so),
        TEST_BOTH(a_request_over_the_limit_is_refused),
        TEST_BOTH(a_stream_arrives_whole_and_ends_with_its_status),
        TEST_BOTH(a_long_stream_of_large_messages_arrives_whole),
        cmocka_unit_test(a_slow_reader_holds_its_stream_up_by_grpc),
        cmocka_unit_test(a_stream_given_up_is_cancelled_at_the_server_by_grpc),
        TEST_BOTH(a_client_that_is_freed_cancels_its_calls),
        cmocka_unit_test(all_that_an_owner_has_is_sent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
