/* SPDX-License-Identifier: Apache-2.0 */
/* The sock_ functions on a real socket: descriptor 3 listens, the client (wasi.bats) says "hello world\n", reads to the end and
 * closes; a second one connects and says nothing. */
#include "wasi.h"

enum { LISTENER = 3, PEEK = 1, WAITALL = 2, RD = 1, WR = 2 };

static uint32_t wait_ready(uint32_t fd, uint8_t tag, uint64_t ms)
{
    __wasi_subscription_t s[2] = {{.userdata = 1, .u = {.tag = tag}},
                                  {.userdata = 2, .u = {.tag = __WASI_EVENTTYPE_CLOCK}}};
    __wasi_event_t e[2];
    uint32_t n = 0;
    s[0].u.u.fd_read.file_descriptor = fd;
    s[1].u.u.clock = (__wasi_subscription_clock_t){.id = 1, .timeout = ms * 1000000};
    OK(wasi_poll_oneoff(s, e, 2, &n));
    return n ? (uint32_t)e[0].userdata : 0;
}

static void listener(void)
{
    uint32_t fd, n;
    uint16_t flags;
    char text[4];
    __wasi_fdstat_t st;
    OK(wasi_fd_fdstat_get(LISTENER, &st));
    CHECK(st.fs_filetype == __WASI_FILETYPE_SOCKET_STREAM);
    CHECK(st.fs_rights_base & __WASI_RIGHTS_SOCK_ACCEPT);
    OK(wasi_fd_fdstat_set_flags(LISTENER, __WASI_FDFLAGS_NONBLOCK));
    IS(wasi_sock_accept(LISTENER, 0, &fd), E(AGAIN));
    OK(wasi_fd_fdstat_set_flags(LISTENER, 0));
    IS(wasi_sock_accept(LISTENER, 32, &fd), E(INVAL));
    IS(wasi_sock_accept(LISTENER, 0, (void *)UINT32_MAX), E(FAULT));
    EITHER(wasi_sock_recv(LISTENER, IOV(text, 4), 0, &n, &flags), E(NOTCONN), E(INVAL));
    EITHER(wasi_sock_send(LISTENER, IOV(text, 4), 0, &n), E(NOTCONN), E(INVAL));
    EITHER(wasi_fd_read(LISTENER, IOV(text, 4), &n), E(NOTCONN), E(BADF));
    EITHER(wasi_fd_write(LISTENER, IOV(text, 4), &n), E(NOTCONN), E(BADF));
    CHECK(wasi_fd_seek(LISTENER, 0, __WASI_WHENCE_CUR, &(uint64_t){0}) != 0);
    CHECK(wasi_path_create_directory(LISTENER, P("d")) != 0);
    IS(wait_ready(LISTENER, __WASI_EVENTTYPE_FD_READ, 1), 2);
}

static void faults(uint32_t fd)
{
    uint32_t n;
    uint16_t flags;
    char text[16];
    __wasi_iovec_t bad = {(uint8_t *)UINT32_MAX, 4};
    IS(wasi_sock_recv(fd, (void *)UINT32_MAX, 1, 0, &n, &flags), E(FAULT));
    IS(wasi_sock_recv(fd, &bad, 1, 0, &n, &flags), E(FAULT));
    IS(wasi_sock_recv(fd, IOV(text, 4), 0, &n, (void *)UINT32_MAX), E(FAULT));
    IS(wasi_sock_send(fd, (void *)UINT32_MAX, 1, 0, &n), E(FAULT));
    IS(wasi_sock_send(fd, &bad, 1, 0, &n), E(FAULT));
    IS(wasi_sock_recv(fd, IOV(text, 4), 4, &n, &flags), E(INVAL));
    IS(wasi_sock_send(fd, IOV("x", 1), 1, &n), E(INVAL)); /* there are no flags for sending */
    IS(wasi_sock_shutdown(fd, 0), E(INVAL));
    IS(wasi_sock_shutdown(fd, 4), E(INVAL));
    IS(wasi_sock_accept(fd, 0, &n), E(INVAL));
}

static void conversation(uint32_t fd)
{
    uint32_t n = 0;
    uint16_t flags = 9;
    char a[16] = "", b[16] = "";
    __wasi_iovec_t v[] = {{(uint8_t *)a, 6}, {(uint8_t *)b, 6}};
    __wasi_ciovec_t answer[] = {
        {(uint8_t *)"good", 4}, {(uint8_t *)"", 0}, {(uint8_t *)"bye\n", 4}};
    IS(wait_ready(fd, __WASI_EVENTTYPE_FD_READ, 5000), 1);
    OK(wasi_sock_recv(fd, IOV(a, 5), PEEK, &n, &flags));
    CHECK(n == 5 && flags == 0 && !strcmp(a, "hello"));
    OK(wasi_sock_recv(fd, v, 2, WAITALL, &n, &flags)); /* what was looked at is still there */
    CHECK(n == 12 && !memcmp(a, "hello ", 6) && !memcmp(b, "world\n", 6));
    IS(wait_ready(fd, __WASI_EVENTTYPE_FD_READ, 1), 2); /* nothing more */
    OK(wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK));
    IS(wasi_sock_recv(fd, IOV(a, 5), 0, &n, &flags), E(AGAIN));
    IS(wasi_fd_read(fd, IOV(a, 5), &n), E(AGAIN));
    OK(wasi_fd_fdstat_set_flags(fd, 0));
    IS(wait_ready(fd, __WASI_EVENTTYPE_FD_WRITE, 5000), 1);
    OK(wasi_sock_send(fd, answer, 3, 0, &n));
    CHECK(n == 8);
    OK(wasi_sock_shutdown(fd, WR));
    IS(wasi_sock_send(fd, IOV("x", 1), 0, &n), E(PIPE));
    OK(wasi_sock_recv(fd, IOV(a, 5), 0, &n, &flags)); /* waits until the client has closed */
    CHECK(n == 0);
}

void check_sockets(void)
{
    uint32_t first, second = 0, again;
    name = "sockets";
    listener();
    puts("ready");
    OK(wasi_sock_accept(LISTENER, 0, &first));
    faults(first);
    conversation(first);
    OK(wasi_fd_close(first));
    IS(wait_ready(LISTENER, __WASI_EVENTTYPE_FD_READ, 5000), 1);
    OK(wasi_sock_accept(LISTENER, __WASI_FDFLAGS_NONBLOCK, &second));
    CHECK(second == first);
    IS(wasi_fd_read(second, IOV(&again, 4), &again), E(AGAIN));
    OK(wasi_sock_shutdown(second, RD | WR));
    OK(wasi_fd_close(second));
    IS(wasi_fd_close(second), E(BADF));
}
