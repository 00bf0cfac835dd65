/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests as a client writes them, against a server in the same process. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "echo.h"
#include "loop/loop.h"
#include "rpc/conn.h"
#include "rpc/http.h"
#include "rpc/rpc.h"

static char dir[64], path[128];
static unsigned left_early;

static void echo_body(struct http_request *r)
{
    auto(buffer) struct buffer body = {0};
    struct error err = {0};
    char piece[1000];
    ssize_t n;
    while ((n = http_read(r, piece, sizeof piece, &err)) > 0)
        buffer_append(&body, piece, (size_t)n);
    if (n < 0) {
        left_early++;
        return;
    }
    http_answer(r, 200, "application/octet-stream", body.data, body.len, &err);
}

static void pieces(struct http_request *r)
{
    char piece[10000];
    memset(piece, 'p', sizeof piece);
    http_stream(r, 200, "text/plain", NULL);
    for (int i = 0; i < atoi(http_query(r, "n")); i++)
        if (http_write(r, piece, sizeof piece, NULL) < 0) {
            left_early++;
            return;
        }
}

static void serve(struct http_request *r, void *context)
{
    char text[256];
    (void)context;
    if (str_eq(http_path(r), "/echo")) {
        echo_body(r);
    } else if (str_eq(http_path(r), "/pieces")) {
        pieces(r);
    } else if (str_eq(http_path(r), "/wait")) {
        while (http_wait(r, INT64_MAX))
            ;
        left_early++;
    } else if (str_eq(http_path(r), "/early")) {
        http_answer(r, 400, "text/plain", "no", 2, NULL);
    } else if (!str_eq(http_path(r), "/silent")) {
        co_sleep(5 * NSEC_PER_MSEC);
        const char *second = http_query_at(r, "t", 1);
        snprintf(text, sizeof text, "%s %s q=%s t=%s h=%s", http_method(r), http_path(r),
                 http_query(r, "q") ? http_query(r, "q") : "-", second ? second : "-",
                 http_header(r, "X-Thing") ? http_header(r, "X-Thing") : "-");
        http_set_header(r, "Api-Version", "1.47");
        http_answer(r, 200, "text/plain", text, strlen(text), NULL);
    }
}

static void send_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            co_wait_fd(fd, UV_WRITABLE, clock_mono_ns() + NSEC_PER_SEC);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

/* Reads until end is at the end, or the connection is. */
static void receive(int fd, struct buffer *b, const char *end)
{
    char piece[65536];
    int64_t deadline = clock_mono_ns() + 10 * NSEC_PER_SEC;
    buffer_clear(b);
    while (clock_mono_ns() < deadline) {
        ssize_t n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n == 0)
            return;
        if (n < 0) {
            co_wait_fd(fd, UV_READABLE, deadline);
            continue;
        }
        buffer_append(b, piece, (size_t)n);
        if (end && str_ends(buffer_text(b), end))
            return;
    }
    assert_true(false);
}

static int ask(const char *request)
{
    int fd = unix_connect(path);
    assert_true(fd >= 0);
    send_all(fd, request, strlen(request));
    return fd;
}

static struct rpc_server *server;

static void run_body(void *arg)
{
    void (*body)(void) = *(void (**)(void))arg;
    struct error err = {0};
    left_early = 0;
    assert_int_equal(rpc_server_new(&server, &err), 0);
    assert_int_equal(rpc_server_add(server, &echo_service, &err), 0);
    assert_int_equal(rpc_server_set_http(server, serve, NULL, &err), 0);
    assert_int_equal(rpc_server_listen(server, path, 0600, RPC_GRPC | RPC_HTTP, &err), 0);
    body();
    rpc_server_free(server);
    co_sleep(20 * NSEC_PER_MSEC);
    loop_stop();
}

static void with_server(void (*body)(void))
{
    co_start(run_body, &body);
    loop_run();
}

#define TEST(name)                                                                                 \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        with_server(name##_body);                                                                  \
    }                                                                                              \
    static void name##_body(void)

TEST(a_request_is_answered_and_the_connection_kept)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("GET /x%20y?q=a%26b&t=1&t=2 HTTP/1.1\r\nHost: x\r\nX-Thing: 5\r\n\r\n");
    receive(fd, &b, "GET /x y q=a&b t=2 h=5");
    assert_non_null(strstr(buffer_text(&b), "HTTP/1.1 200"));
    assert_non_null(strstr(buffer_text(&b), "Api-Version: 1.47"));
    const char *again = "DELETE /z HTTP/1.1\r\nHost: x\r\n\r\n";
    send_all(fd, again, strlen(again));
    receive(fd, &b, "DELETE /z q=- t=- h=-");
    close(fd);
}

TEST(both_protocols_are_served_at_one_socket)
{
    auto(buffer) struct buffer b = {0};
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    struct rpc_client *c;
    int fd = ask("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(rpc_client_new(&c, RPC_GRPC, path, NULL), 0);
    assert_int_equal(rpc_client_call(c, &warren__test__echo__descriptor, NULL, "Say", &q, &arena,
                                     (void **)&a, clock_mono_ns() + 5 * NSEC_PER_SEC, NULL),
                     0);
    receive(fd, &b, "POST /a q=- t=- h=-");
    rpc_client_free(c);
    close(fd);
}

TEST(a_body_of_megabytes_arrives_whole)
{
    enum { SIZE = 5 << 20 };
    auto(buffer) struct buffer b = {0};
    autofree char *body = malloc(SIZE + 1);
    memset(body, 'x', SIZE);
    memcpy(body + SIZE - 3, "END", 4);
    char head[100];
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
             SIZE);
    int fd = ask(head);
    send_all(fd, body, SIZE);
    receive(fd, &b, "END");
    const char *start = strstr(buffer_text(&b), "\r\n\r\n");
    assert_non_null(start);
    assert_int_equal(strlen(start + 4), SIZE);
    close(fd);
}

TEST(a_chunked_body_is_read)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    receive(fd, &b, "abcde");
    close(fd);
}

TEST(an_answer_before_the_body_is_read_is_sent)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde");
    receive(fd, &b, "no");
    assert_non_null(strstr(buffer_text(&b), "HTTP/1.1 400"));
    close(fd);
}

TEST(a_handler_without_an_answer_is_a_500)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(fd, &b, "}");
    assert_non_null(strstr(buffer_text(&b), "HTTP/1.1 500"));
    close(fd);
}

TEST(a_stream_arrives_whole_though_its_reader_is_slow)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("GET /pieces?n=500 HTTP/1.1\r\nHost: x\r\n\r\n");
    co_sleep(100 * NSEC_PER_MSEC);
    receive(fd, &b, "\r\n0\r\n\r\n");
    size_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n += b.data[i] == 'p';
    assert_true(n >= 500 * 10000 && n < 500 * 10000 + 100); /* and those of the headers */
    close(fd);
}

TEST(a_client_that_leaves_is_noticed)
{
    int fds[3] = {ask("GET /pieces?n=100000 HTTP/1.1\r\nHost: x\r\n\r\n"),
                  ask("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"),
                  ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc")};
    co_sleep(50 * NSEC_PER_MSEC);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 100 && left_early < 3; i++)
        co_sleep(10 * NSEC_PER_MSEC);
    assert_int_equal(left_early, 3);
}

TEST(requests_under_way_end_with_the_server)
{
    int a = ask("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    int b = ask("GET /pieces?n=100000 HTTP/1.1\r\nHost: x\r\n\r\n");
    co_sleep(50 * NSEC_PER_MSEC);
    rpc_server_free(server);
    server = NULL;
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(left_early, 2);
    close(a);
    close(b);
}

TEST(what_is_no_http_is_refused)
{
    auto(buffer) struct buffer b = {0};
    int fd = ask("\x16\x03\x01 nonsense\r\n\r\n");
    receive(fd, &b, NULL);
    close(fd);
    fd = ask("GET");
    co_sleep(30 * NSEC_PER_MSEC);
    close(fd);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_and_the_connection_kept),
        cmocka_unit_test(both_protocols_are_served_at_one_socket),
        cmocka_unit_test(a_body_of_megabytes_arrives_whole),
        cmocka_unit_test(a_chunked_body_is_read),
        cmocka_unit_test(an_answer_before_the_body_is_read_is_sent),
        cmocka_unit_test(a_handler_without_an_answer_is_a_500),
        cmocka_unit_test(a_stream_arrives_whole_though_its_reader_is_slow),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(requests_under_way_end_with_the_server),
        cmocka_unit_test(what_is_no_http_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
