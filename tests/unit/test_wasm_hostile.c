/* SPDX-License-Identifier: Apache-2.0 */
/* The files process beside a worker that was taken over: this test is its supervisor and its worker, and asks for what it should not. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/files.h"
#include "wasm/files/record.h"
#include "wasm/files/request.h"
#include "wasm/wire_files.h"

enum { ENTRIES = 3000 };

static struct {
    char dir[64];
    pid_t pid;
    int requests, records, supervisor;
    struct arena arena;
} lab;

/* The last answer. */
static struct {
    struct files_answer head;
    uint8_t data[FILES_PACKET_MAX + 1];
    size_t len;
    int fd;
} answer = {.fd = -1};

static char *path_of(const char *name)
{
    return arena_printf(&lab.arena, "%s/%s", lab.dir, name);
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_replace(AT_FDCWD, path_of(name), text, strlen(text), 0644, false, NULL),
                     0);
}

static void start_files(void)
{
    int requests[2], records[2];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/f", lab.dir);
    unlink(a.sun_path);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, requests), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, records), 0);
    lab.pid = fork();
    assert_true(lab.pid >= 0);
    if (!lab.pid) {
        struct files_options options = {
            .listen = listening, .requests = requests[0], .records = records[0]};
        struct error err = {0};
        close(requests[1]);
        close(records[1]);
        _exit(files_run(&options, &err) < 0 ? 9 : 0);
    }
    close(listening);
    close(requests[0]);
    close(records[0]);
    lab.requests = requests[1];
    lab.records = records[1];
    lab.supervisor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(lab.supervisor, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(lab.supervisor, "", 1), 1);
}

/* Its exit status; the worker's ends are closed. */
static int end_files(void)
{
    int status;
    close(lab.supervisor);
    close_fd(&lab.requests);
    close_fd(&lab.records);
    assert_int_equal(waitpid(lab.pid, &status, 0), lab.pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* As the supervisor */

static int tell(const struct buffer *frame, int64_t *ret)
{
    uint8_t data[4096];
    size_t len = 0, whole;
    struct wire_reader r;
    assert_int_equal(write(lab.supervisor, frame->data, frame->len), frame->len);
    while (wire_frame(data, len, &r, &whole) == 0) {
        ssize_t n = read(lab.supervisor, data + len, sizeof data - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    int code = (int)wire_number(&r);
    wire_text(&r);
    *ret = wire_number(&r);
    return code;
}

static int add(const char *log, struct wire_mount *mounts, size_t count, uint64_t *ret)
{
    auto(buffer) struct buffer frame = {0};
    int64_t number;
    struct wire_files f = {
        .in = "", .out = log, .err = log, .mounts = mounts, .mount_count = count};
    assert_int_equal(wire_put_files(&frame, 1, &f), 0);
    int r = tell(&frame, &number);
    *ret = (uint64_t)number;
    return r;
}

static void drop(uint64_t number)
{
    auto(buffer) struct buffer frame = {0};
    int64_t ignored;
    struct wire_writer w = wire_begin(&frame, WIRE_FILES_REMOVE, 1);
    wire_put_number(&w, (int64_t)number);
    assert_int_equal(wire_end(&w), 0);
    assert_int_equal(tell(&frame, &ignored), 0);
}

/* The usual container: an upper directory over one layer, a volume, and the same read-only. */
static uint64_t add_usual(void)
{
    char *base[] = {path_of("base"), NULL}, *volume[] = {path_of("volume"), NULL};
    struct wire_mount mounts[] = {
        {"/", base, path_of("up/upper"), path_of("up/work"), NULL, false},
        {"/data", volume, "", "", NULL, false},
        {"/ro", volume, "", "", NULL, true},
    };
    uint64_t number = 0;
    autofree char *log = str_format("log+cri://%s/log", lab.dir);
    assert_int_equal(add(log, mounts, ARRAY_SIZE(mounts), &number), 0);
    return number;
}

/* As the worker */

static void receive(void)
{
    struct iovec v = {answer.data, sizeof answer.data};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(lab.requests, &m, MSG_CMSG_CLOEXEC);
    assert_true(n >= (ssize_t)sizeof answer.head);
    memcpy(&answer.head, answer.data, sizeof answer.head);
    answer.len = (size_t)n - sizeof answer.head;
    assert_int_equal(answer.head.len, answer.len);
    close_fd(&answer.fd);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c)
        memcpy(&answer.fd, CMSG_DATA(c), sizeof answer.fd);
}

static int ask(const struct files_request *r)
{
    auto(buffer) struct buffer packet = {0};
    close_fd(&answer.fd);
    assert_int_equal(files_put_request(&packet, r), 0);
    assert_int_equal(send(lab.requests, packet.data, packet.len, 0), packet.len);
    receive();
    return answer.head.code;
}

static int open_as(uint64_t container, const char *base, const char *path, uint32_t flags)
{
    struct files_request r = {.tag = 7,
                              .container = container,
                              .op = FILES_OPEN,
                              .flags = flags,
                              .base = base,
                              .path = path};
    int code = ask(&r);
    assert_int_equal(answer.head.tag, 7);
    return code;
}

static void paths_do_not_lead_out(void **state)
{
    (void)state;
    uint64_t c = add_usual();
    static const char *const outside[] = {"../../../../../../etc/shadow", "etc/../../../etc/shadow",
                                          "data/../../etc/shadow"};
    assert_int_equal(open_as(c, "", "motd", FILES_READ) & FILES_IS_FILE, FILES_IS_FILE);
    assert_true(answer.fd >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        assert_int_equal(open_as(c, "", outside[i], FILES_READ | FILES_FOLLOW), -ENOENT);
    assert_int_equal(open_as(c, "", "/etc/shadow", FILES_READ), -EPERM);
    assert_int_equal(open_as(c, "/data", "../motd", FILES_READ), -EPERM);
    assert_int_equal(open_as(c, "/data", "way-out", FILES_READ | FILES_FOLLOW), -EPERM);
    assert_int_equal(open_as(c, "", "data/host", FILES_READ | FILES_FOLLOW), -ENOENT);
    /* a directory that a guest never had */
    static const char *const bases[] = {"..", "/..",     "/data/..", "/data/../..",
                                        "//", "/data/.", "data",     "/data/"};
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        assert_int_equal(open_as(c, bases[i], "motd", FILES_READ), -EINVAL);
        assert_int_equal(answer.fd, -1);
    }
    drop(c);
}

static void a_path_that_goes_up_and_down_without_end_is_given_up(void **state)
{
    (void)state;
    enum { DEPTH = 60 };
    char path[FILES_PATH_MAX] = "data";
    uint64_t c = add_usual();
    for (int i = 0; i < DEPTH; i++) {
        strcat(path, "/a");
        struct files_request r = {.container = c, .op = FILES_MKDIR, .base = "", .path = path};
        assert_int_equal(ask(&r), 0);
    }
    for (int i = 0; i < 20; i++)
        strcat(path, "/../a");
    struct files_request r = {.container = c, .op = FILES_STAT, .base = "", .path = path};
    assert_int_equal(ask(&r), 0);
    while (strlen(path) + 6 < sizeof path)
        strcat(path, "/../a");
    assert_int_equal(ask(&r), -ELOOP);
    drop(c);
}

static void what_is_read_only_stays_so(void **state)
{
    (void)state;
    uint64_t c = add_usual();
    assert_int_equal(open_as(c, "", "ro/file", FILES_READ) & FILES_IS_FILE, FILES_IS_FILE);
    assert_int_equal(fcntl(answer.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(open_as(c, "", "ro/file", FILES_WRITE), -EROFS);
    assert_int_equal(open_as(c, "", "ro/file", FILES_READ | FILES_TRUNCATE), -EROFS);
    assert_int_equal(open_as(c, "", "ro/new", FILES_WRITE | FILES_CREATE), -EROFS);
    static const enum files_op ops[] = {FILES_MKDIR, FILES_SYMLINK};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct files_request r = {
            .container = c, .op = ops[i], .base = "", .path = "ro/new", .to_path = "x"};
        assert_int_equal(ask(&r), -EROFS);
    }
    struct files_request gone = {.container = c, .op = FILES_UNLINK, .base = "", .path = "ro/file"};
    assert_int_equal(ask(&gone), -EROFS);
    struct files_request times = {.container = c,
                                  .op = FILES_UTIMES,
                                  .base = "",
                                  .path = "ro/file",
                                  .times = {{1, 0}, {1, 0}}};
    assert_int_equal(ask(&times), -EROFS);
    struct files_request move = {.container = c,
                                 .op = FILES_RENAME,
                                 .base = "",
                                 .path = "ro/file",
                                 .to_base = "",
                                 .to_path = "taken"};
    assert_int_equal(ask(&move), -EXDEV);
    drop(c);
}

static void devices_are_the_harmless_ones(void **state)
{
    (void)state;
    uint64_t c = add_usual();
    assert_int_equal(open_as(c, "", "data/disk", FILES_READ), -EACCES);
    assert_int_equal(open_as(c, "", "data/mem", FILES_READ), -EACCES);
    assert_int_equal(open_as(c, "", "data/socket", FILES_READ), -EACCES);
    assert_int_equal(open_as(c, "", "data/null", FILES_READ | FILES_WRITE),
                     FILES_IS_FILE | FILES_IS_PROMPT);
    assert_int_equal(open_as(c, "", "data/fifo", FILES_READ),
                     FILES_IS_FILE); /* and is not waited for */
    assert_true(fcntl(answer.fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(open_as(c, "", "data/unread", FILES_WRITE), -ENXIO);
    drop(c);
}

static void a_container_is_known_or_not(void **state)
{
    (void)state;
    uint64_t c = add_usual(), again;
    static const uint64_t wild[] = {0, 1, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63};
    for (size_t i = 0; i < ARRAY_SIZE(wild); i++)
        assert_int_equal(open_as(wild[i], "", "motd", FILES_READ), -ESRCH);
    assert_int_equal(open_as(c + 1, "", "motd", FILES_READ), -ESRCH);
    drop(c);
    assert_int_equal(open_as(c, "", "motd", FILES_READ), -ESRCH);
    again = add_usual(); /* in the same place of the table */
    assert_true(again != c);
    assert_int_equal(open_as(c, "", "motd", FILES_READ), -ESRCH);
    struct files_request stdio = {.container = again, .op = FILES_STDIO, .stage = 1};
    assert_int_equal(ask(&stdio), -EINVAL); /* its output is a log, no FIFO */
    stdio.stage = 77;
    assert_int_equal(ask(&stdio), -EINVAL);
    drop(again);
}

static void packets_that_are_none_are_refused(void **state)
{
    (void)state;
    static uint8_t noise[FILES_PACKET_MAX + 4096];
    uint64_t c = add_usual();
    srandom(1);
    for (size_t i = 0; i < 2000; i++) {
        size_t len = 1 + (size_t)random() % (i % 10 ? 200 : sizeof noise);
        for (size_t k = 0; k < len; k++)
            noise[k] = (uint8_t)(i % 3 ? random() : 0);
        assert_int_equal(send(lab.requests, noise, len, 0), len);
        receive();
        assert_true(answer.head.code < 0);
    }
    assert_int_equal(open_as(c, "", "motd", FILES_READ) & FILES_IS_FILE, FILES_IS_FILE);
    drop(c);
}

static size_t fds_of_files(void)
{
    autofree char *path = str_format("/proc/%d/fd", lab.pid);
    size_t n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The room for one descriptor has room for two. */
static void descriptors_that_are_not_asked_for_are_closed(void **state)
{
    (void)state;
    auto(buffer) struct buffer packet = {0};
    uint64_t c = add_usual();
    struct files_request r = {.container = c, .op = FILES_STAT, .base = "", .path = "motd"};
    assert_int_equal(files_put_request(&packet, &r), 0);
    int fds[3] = {lab.records, lab.records, lab.records};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control;
    struct iovec v = {packet.data, packet.len};
    size_t had = fds_of_files();
    for (unsigned i = 0; i < 300; i++) {
        size_t len = (1 + i % ARRAY_SIZE(fds)) * sizeof *fds;
        control.align = (struct cmsghdr){CMSG_LEN(len), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), fds, len);
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(len)};
        assert_int_equal(sendmsg(lab.requests, &m, 0), packet.len);
        receive();
        assert_int_equal(answer.head.code, 0);
    }
    assert_true(fds_of_files() < had + 50);
    drop(c);
}

static void a_large_directory_comes_in_pieces_and_each_name_once(void **state)
{
    (void)state;
    static bool seen[ENTRIES];
    uint64_t c = add_usual();
    struct files_request r = {.container = c, .op = FILES_LIST, .base = "/many", .path = "."};
    size_t count = 0, pieces = 0;
    int more;
    do {
        more = ask(&r);
        assert_true(more == 0 || more == 1);
        pieces++;
        for (size_t at = sizeof answer.head; at < sizeof answer.head + answer.len; count++) {
            struct files_entry e;
            memcpy(&e, answer.data + at, sizeof e);
            autofree char *name = strndup((char *)answer.data + at + sizeof e, e.len);
            int n = e.type == DT_REG ? atoi(name + 1) : -1;
            at += sizeof e + e.len;
            r.stage = e.stage;
            r.offset = e.offset;
            assert_true(n < ENTRIES && (n < 0 || !seen[n]));
            if (n >= 0)
                seen[n] = true;
        }
    } while (more);
    assert_int_equal(count, ENTRIES + 2);
    assert_true(pieces > 2);
    r.stage = UINT32_MAX;
    r.offset = UINT64_MAX;
    assert_int_equal(ask(&r), 0);
    assert_int_equal(answer.len, 0);
    drop(c);
}

static void put_record(uint64_t container, uint32_t kind, const char *text)
{
    struct record r = {.container = container, .len = (uint32_t)strlen(text), .kind = kind};
    assert_int_equal(send(lab.records, &r, sizeof r, 0), sizeof r);
    assert_int_equal(send(lab.records, text, r.len, 0), r.len);
}

static void what_was_taken_is_in_the_log_though_the_worker_is_gone(void **state)
{
    (void)state;
    uint64_t c = add_usual(), position = 0;
    put_record(c, RECORD_OUT, "one\n");
    put_record(c + 1, RECORD_OUT, "nobody's\n");
    put_record(c + 1, RECORD_END, "");
    while (position < 3 * sizeof(struct record) + 4 + 9)
        assert_int_equal(recv(lab.records, &position, sizeof position, 0), sizeof position);
    assert_int_equal(position, 3 * sizeof(struct record) + 4 + 9);
    put_record(c, RECORD_ERR, "without a newline");
    put_record(c, RECORD_END, "");
    for (int i = 0; i < 1000; i++)
        put_record(c, RECORD_OUT, "more\n");
    assert_int_equal(end_files(), 0);
    auto(buffer) struct buffer log = {0};
    assert_int_equal(file_read(AT_FDCWD, path_of("log"), 1 << 20, &log, NULL), 0);
    const char *text = buffer_text(&log);
    assert_non_null(strstr(text, "stdout F one\n"));
    assert_non_null(strstr(text, "stderr F without a newline\n"));
    assert_null(strstr(text, "nobody"));
    size_t lines = 0;
    for (const char *p = text; (p = strstr(p, "stdout F more\n")); p++)
        lines++;
    assert_int_equal(lines, 1000);
    start_files();
}

static void a_log_is_rotated_and_loses_nothing(void **state)
{
    (void)state;
    char *base[] = {path_of("base"), NULL};
    struct wire_mount mount = {"/", base, "", "", NULL, false};
    uint64_t c, position = 0, sent = 0;
    autofree char *log = str_format("log+cri://%s/turned?max-size=4000&max-files=2", lab.dir);
    assert_int_equal(add(log, &mount, 1, &c), 0);
    for (int i = 0; i < 200; i++) {
        autofree char *line = str_format("line %d\n", i);
        put_record(c, RECORD_OUT, line);
        sent += sizeof(struct record) + strlen(line);
    }
    put_record(c, RECORD_END, "");
    sent += sizeof(struct record);
    while (position < sent)
        assert_int_equal(recv(lab.records, &position, sizeof position, 0), sizeof position);
    static const char *const files[] = {"turned.2", "turned.1", "turned"};
    auto(buffer) struct buffer all = {0};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto(buffer) struct buffer one = {0};
        assert_int_equal(file_read(AT_FDCWD, path_of(files[i]), 4000, &one, NULL), 0);
        assert_int_equal(buffer_append(&all, one.data, one.len), 0);
    }
    const char *at = buffer_text(&all);
    for (int i = 0; i < 200; i++) {
        autofree char *line = str_format("stdout F line %d\n", i);
        at = strstr(at, line);
        assert_non_null(at);
    }
    drop(c);
}

/* Waking the worker for each line would cost more than writing it. */
static void who_writes_is_told_of_many_lines_at_once(void **state)
{
    (void)state;
    uint64_t c = add_usual(), position = 0, sent, from;
    unsigned told = 0;
    put_record(c, RECORD_END, "");
    assert_int_equal(recv(lab.records, &from, sizeof from, 0), sizeof from);
    for (sent = from; sent < from + 16ul * RECORD_STEP;) {
        put_record(c, RECORD_OUT, "a line\n");
        sent += sizeof(struct record) + 7;
    }
    while (position + RECORD_STEP <= sent) {
        assert_int_equal(recv(lab.records, &position, sizeof position, 0), sizeof position);
        told++;
    }
    assert_in_range(told, 1, 16);
    assert_true(position <= sent);
    drop(c);
}

static void records_that_are_none_end_it(void **state)
{
    (void)state;
    struct record bad = {.kind = RECORD_OUT, .len = RECORD_MAX + 1};
    assert_int_equal(send(lab.records, &bad, sizeof bad, 0), sizeof bad);
    int status;
    assert_int_equal(waitpid(lab.pid, &status, 0), lab.pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    close(lab.supervisor);
    close_fd(&lab.requests);
    close_fd(&lab.records);
    start_files();
}

static void a_log_is_a_regular_file(void **state)
{
    (void)state;
    char *base[] = {path_of("base"), NULL};
    struct wire_mount mount = {"/", base, "", "", NULL, false};
    uint64_t number;
    static const char *const bad[] = {"volume/fifo", "volume/null", "volume"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        autofree char *log = str_format("log+cri://%s/%s", lab.dir, bad[i]);
        assert_true(add(log, &mount, 1, &number) < 0);
    }
    char *missing[] = {path_of("nothing"), NULL};
    mount.layers = missing;
    assert_int_equal(add("", &mount, 1, &number), -ENOENT);
}

static void make_tree(void)
{
    static const char *const dirs[] = {"base/etc", "base/many", "volume", "up"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        assert_int_equal(dir_make(AT_FDCWD, path_of(dirs[i]), 0755, NULL), 0);
    put("base/motd", "hello\n");
    put("volume/file", "of the host\n");
    for (int i = 0; i < ENTRIES; i++) {
        int fd = open(arena_printf(&lab.arena, "%s/base/many/f%d", lab.dir, i),
                      O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(symlink("../../../../../etc/shadow", path_of("volume/way-out")), 0);
    assert_int_equal(symlink("/etc/shadow", path_of("volume/host")), 0);
    assert_int_equal(mkfifo(path_of("volume/fifo"), 0600), 0);
    assert_int_equal(mkfifo(path_of("volume/unread"), 0600), 0);
    assert_int_equal(mknod(path_of("volume/disk"), S_IFBLK | 0600, makedev(8, 0)), 0);
    assert_int_equal(mknod(path_of("volume/mem"), S_IFCHR | 0600, makedev(1, 1)), 0);
    assert_int_equal(mknod(path_of("volume/null"), S_IFCHR | 0600, makedev(1, 3)), 0);
    assert_int_equal(mknod(path_of("volume/socket"), S_IFSOCK | 0600, 0), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(lab.dir, "/tmp/warren-hostile.XXXXXX");
    if (!mkdtemp(lab.dir))
        return -1;
    make_tree();
    start_files();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    int status = end_files();
    close_fd(&answer.fd);
    arena_done(&lab.arena);
    return status ? -1 : dir_remove(AT_FDCWD, lab.dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_do_not_lead_out),
        cmocka_unit_test(a_path_that_goes_up_and_down_without_end_is_given_up),
        cmocka_unit_test(what_is_read_only_stays_so),
        cmocka_unit_test(devices_are_the_harmless_ones),
        cmocka_unit_test(a_container_is_known_or_not),
        cmocka_unit_test(packets_that_are_none_are_refused),
        cmocka_unit_test(descriptors_that_are_not_asked_for_are_closed),
        cmocka_unit_test(a_large_directory_comes_in_pieces_and_each_name_once),
        cmocka_unit_test(what_was_taken_is_in_the_log_though_the_worker_is_gone),
        cmocka_unit_test(a_log_is_rotated_and_loses_nothing),
        cmocka_unit_test(who_writes_is_told_of_many_lines_at_once),
        cmocka_unit_test(records_that_are_none_end_it),
        cmocka_unit_test(a_log_is_a_regular_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
