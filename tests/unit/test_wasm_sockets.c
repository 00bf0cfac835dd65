/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that listen, and clients of the host's. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"

enum { PORT = 18431 };

static int create(const char *id, const char *mode, const char *listen, const char *more,
                  struct error *err)
{
    autofree char *members =
        str_format(",\"annotations\":{\"warren.wasm/listen\":\"%s\"}%s", listen, more);
    struct container_spec c = {
        .pod = "pod", .id = id, .args = ARGS("/echo.wasm", mode), .more = members};
    return container_create(&c, err);
}

static void start(const char *id, const char *mode, const char *listen, const char *more)
{
    struct error err = {0};
    if (create(id, mode, listen, more, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
    container_expect_log(id, "listening on");
}

static void end(const char *id)
{
    struct error err = {0};
    if (process_kill(pods.sandboxer, id, "", SIGKILL, false, &err) < 0)
        give_up("%s", err.message);
    assert_int_equal(container_wait(id, NULL), 128 + SIGKILL);
    container_remove(id);
}

static int connect_any(const struct sockaddr *a, socklen_t len)
{
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 10};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, a, len) < 0)
        give_up("connect: %s", strerror(errno));
    return fd;
}

static int connect_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_any((struct sockaddr *)&a, sizeof a);
}

static void expect(int fd, const char *text)
{
    char b[256] = "";
    size_t len = strlen(text), got = 0;
    while (got < len) {
        ssize_t n = recv(fd, b + got, len - got, 0);
        if (n <= 0)
            give_up("'%s' came, not '%s'", b, text);
        got += (size_t)n;
    }
    assert_string_equal(b, text);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* The loop goes on meanwhile: supervisor and worker are not the client's. */
static void tcp(void)
{
    char c;
    start("one", "one", "tcp://127.0.0.1:18431", "");
    int fd = connect_tcp();
    say(fd, "hello");
    expect(fd, "hello");
    say(fd, "all");
    co_sleep(20 * NSEC_PER_MSEC);
    say(fd, "1234");
    co_sleep(20 * NSEC_PER_MSEC);
    say(fd, "5678");
    expect(fd, "12345678");
    say(fd, "look");
    co_sleep(20 * NSEC_PER_MSEC);
    say(fd, "xyz");
    expect(fd, "xyz");
    container_expect_log("one", "peeked 2, read 3");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect(fd, "bye\n");
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
    fd = connect_tcp();
    say(fd, "again");
    expect(fd, "again");
    end("one"); /* with a connection open */
    assert_true(recv(fd, &c, 1, 0) <= 0);
    close(fd);
}

static void a_guest_accepts_reads_and_answers(void **state)
{
    (void)state;
    pods_run(tcp);
}

enum { CLIENTS = 40 };

static void many_clients(void)
{
    int fds[CLIENTS];
    char text[16];
    start("many", "many", "tcp://127.0.0.1:18431,tcp://[::1]:18431", "");
    container_expect_log("many", "listening on 2");
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_tcp();
    for (int round = 0; round < 3; round++)
        for (int i = CLIENTS; i-- > 0;) {
            snprintf(text, sizeof text, "%d-%d", round, i);
            say(fds[i], text);
            expect(fds[i], text);
        }
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int v6 = connect_any((struct sockaddr *)&six, sizeof six);
    say(v6, "six");
    expect(v6, "six");
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    say(v6, "quit");
    assert_int_equal(container_wait("many", NULL), 0);
    close(v6);
    start("next", "one", "tcp://127.0.0.1:18431",
          ""); /* the ended one is still there, its port is free */
    end("next");
    container_remove("many");
}

static void many_connections_are_served_at_once(void **state)
{
    (void)state;
    pods_run(many_clients);
}

static void large(void)
{
    enum { SIZE = 8 << 20, PIECE = 4096 };
    start("large", "one", "tcp://127.0.0.1:18431", "");
    int fd = connect_tcp();
    size_t sent = 0, got = 0;
    autofree char *piece = calloc(1, PIECE), *back = malloc(1 << 20);
    /* what comes back is left until nothing more goes in: the guest waits to send, and goes on */
    while (sent < SIZE) {
        ssize_t n = send(fd, piece, SIZE - sent < PIECE ? SIZE - sent : PIECE, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        if (n > 0)
            continue;
        ssize_t m = recv(fd, back, 1 << 20, 0);
        assert_true(m > 0);
        got += (size_t)m;
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    for (ssize_t m; (m = recv(fd, back, 1 << 20, 0)) > 0;)
        got += (size_t)m;
    assert_int_equal(got, SIZE + strlen("bye\n"));
    close(fd);
    end("large");
}

static void what_the_other_side_does_not_take_parks_the_guest(void **state)
{
    (void)state;
    pods_run(large);
}

static void unix_socket(void)
{
    autofree char *mounts = str_format(
        ",\"mounts\":[{\"destination\":\"/run\",\"type\":\"bind\",\"source\":\"%s/volume\","
        "\"options\":[\"rbind\",\"rw\"]}]",
        pods.dir);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct error err = {0};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/volume/x.sock", pods.dir);
    start("unix", "one", "unix:///run/x.sock", mounts);
    int fd = connect_any((struct sockaddr *)&a, sizeof a);
    say(fd, "local");
    expect(fd, "local");
    close(fd);
    assert_int_equal(create("second", "one", "unix:///run/x.sock", mounts, &err), -EADDRINUSE);
    end("unix");
    start("third", "one", "unix:///run/x.sock",
          mounts); /* the first one's file is in nobody's way */
    end("third");
    assert_int_equal(create("rootfs", "one", "unix:///x.sock", mounts, &err), -EINVAL);
    assert_non_null(strstr(err.message, "on no volume"));
    assert_int_equal(create("outside", "one", "unix:///run/way-out/x.sock", mounts, &err), -ELOOP);
    assert_int_equal(create("outside", "one", "unix:///run/../x.sock", mounts, &err), -EXDEV);
}

static void a_unix_socket_is_made_on_a_volume_and_nowhere_else(void **state)
{
    (void)state;
    pods_run(unix_socket);
}

static void refuse(const char *listen, int code, const char *text)
{
    struct error err = {0};
    assert_int_equal(create("refused", "one", listen, "", &err), code);
    if (!strstr(err.message, text))
        give_up("no '%s' in: %s", text, err.message);
}

static void refusals(void)
{
    start("first", "one", "tcp://127.0.0.1:18431", "");
    refuse("tcp://127.0.0.1:18431", -EADDRINUSE, "'tcp://127.0.0.1:18431': Address already in use");
    refuse("tcp://:18432,tcp://127.0.0.1:18431", -EADDRINUSE, "'tcp://127.0.0.1:18431'");
    end("first");
    refuse("udp://127.0.0.1:1", -EINVAL, "'udp://127.0.0.1:1' is no address");
    refuse("tcp://localhost:1", -EINVAL, "'tcp://localhost:1' is no address");
    refuse("tcp://127.0.0.1", -EINVAL, "has no port");
    refuse("tcp://127.0.0.1:0", -EINVAL, "has no port");
    refuse("tcp://[::1:80", -EINVAL, "is no address");
    refuse("", -EINVAL, "expected 1 to 8 addresses, found 0");
    struct error err = {0};
    assert_int_equal(create("network", "one", "tcp://:18431",
                            ",\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}", &err),
                     -ENONET);
    start("last", "one", "tcp://:18432", ""); /* nothing of the refused ones is left */
    end("last");
}

static void an_address_that_cannot_be_listened_on_is_named(void **state)
{
    (void)state;
    pods_run(refusals);
}

/* A network namespace with loopback up, bound to a file. */
static void *make_netns(void *path)
{
    if (unshare(CLONE_NEWNET) < 0 ||
        mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        return NULL;
    return system("ip link set lo up") == 0 ? path : NULL;
}

static void *connect_inside(void *path)
{
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    int r = setns(ns, CLONE_NEWNET);
    close(ns);
    return (void *)(intptr_t)(r < 0 ? -1 : connect_tcp());
}

static void *on_a_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t t;
    void *result;
    assert_int_equal(pthread_create(&t, NULL, fn, arg), 0);
    pthread_join(t, &result);
    return result;
}

static void own_network(void)
{
    autofree char *path = str_format("%s/netns", pods.dir);
    autofree char *namespaces =
        str_format(",\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"%s\"}]}", path);
    assert_int_equal(file_replace(AT_FDCWD, path, "", 0, 0600, false, NULL), 0);
    assert_non_null(on_a_thread(make_netns, path));
    start("host", "one", "tcp://127.0.0.1:18431", "");
    start("inside", "one", "tcp://127.0.0.1:18431", namespaces);
    int fd = (int)(intptr_t)on_a_thread(connect_inside, path);
    assert_true(fd >= 0);
    say(fd, "inside");
    expect(fd, "inside");
    close(fd);
    end("inside");
    end("host");
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void a_pod_with_a_network_listens_there(void **state)
{
    (void)state;
    pods_run(own_network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_accepts_reads_and_answers),
        cmocka_unit_test(many_connections_are_served_at_once),
        cmocka_unit_test(what_the_other_side_does_not_take_parks_the_guest),
        cmocka_unit_test(a_unix_socket_is_made_on_a_volume_and_nowhere_else),
        cmocka_unit_test(an_address_that_cannot_be_listened_on_is_named),
        cmocka_unit_test(a_pod_with_a_network_listens_there),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
