/* SPDX-License-Identifier: Apache-2.0 */
/* Echoes what comes over the sockets that it finds listening: echo.wasm one (connection after connection) or many (all at once, by
 * poll). A connection's "quit" ends it; "all" answers when 8 bytes have come; "look" looks at what comes before it takes it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

enum { FIRST = 3, CONNECTIONS_MAX = 64 };

static void give_up(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, 0);
        if (n < 0)
            give_up("send");
        data += n;
        len -= (size_t)n;
    }
}

/* False at its end. */
static int echo(int fd)
{
    char b[4096];
    ssize_t n = recv(fd, b, sizeof b, 0);
    if (n < 0 && errno == EAGAIN)
        return 1;
    if (n <= 0)
        return 0;
    if (n >= 4 && memcmp(b, "quit", 4) == 0)
        exit(0);
    if (n >= 3 && memcmp(b, "all", 3) == 0) {
        n = recv(fd, b, 8, MSG_WAITALL);
        printf("all %zd\n", n);
    } else if (n >= 4 && memcmp(b, "look", 4) == 0) {
        ssize_t peeked = recv(fd, b, 2, MSG_PEEK);
        n = read(fd, b, sizeof b);
        printf("peeked %zd, read %zd\n", peeked, n);
    }
    send_all(fd, b, (size_t)n);
    return 1;
}

static void one(void)
{
    for (;;) {
        int fd = accept(FIRST, NULL, NULL);
        if (fd < 0)
            give_up("accept");
        while (echo(fd))
            ;
        write(fd, "bye\n", 4);
        if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN) /* the client may have gone */
            give_up("shutdown");
        close(fd);
    }
}

static void many(int listeners)
{
    struct pollfd p[CONNECTIONS_MAX];
    nfds_t n = (nfds_t)listeners;
    for (int i = 0; i < listeners; i++)
        p[i] = (struct pollfd){.fd = FIRST + i, .events = POLLIN};
    for (;;) {
        if (poll(p, n, -1) < 0)
            give_up("poll");
        for (nfds_t i = n; i-- > (nfds_t)listeners;)
            if (p[i].revents && !echo(p[i].fd)) {
                close(p[i].fd);
                p[i] = p[--n];
            }
        for (int i = 0; i < listeners; i++)
            if (p[i].revents && n < CONNECTIONS_MAX) {
                int fd = accept4(p[i].fd, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                    give_up("accept4");
                p[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
            }
    }
}

static void check(int listeners)
{
    __wasi_fdstat_t st;
    __wasi_size_t n;
    char b[4];
    struct stat file;
    __wasi_iovec_t in = {(uint8_t *)b, sizeof b};
    __wasi_roflags_t flags;
    for (int i = FIRST; i < FIRST + listeners; i++)
        if (__wasi_fd_fdstat_get((unsigned)i, &st) ||
            st.fs_filetype != __WASI_FILETYPE_SOCKET_STREAM ||
            !(st.fs_rights_base & __WASI_RIGHTS_SOCK_ACCEPT) ||
            __wasi_sock_recv((unsigned)i, &in, 1, 0, &n, &flags) != __WASI_ERRNO_NOTCONN)
            give_up("fdstat");
    if (stat("/etc/motd", &file) < 0) /* directories come behind the sockets */
        give_up("stat");
}

int main(int argc, char **argv)
{
    const char *fds = getenv("LISTEN_FDS");
    int listeners = fds ? atoi(fds) : 0;
    check(listeners);
    printf("listening on %d\n", listeners);
    if (argc > 1 && strcmp(argv[1], "many") == 0)
        many(listeners);
    one();
}
