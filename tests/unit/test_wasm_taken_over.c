/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor beside a worker that was taken over: this test is that worker, and says what it should not. Real ones are there as
 * well, for the pods of others. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "sandbox/record.h"
#include "wasm/supervisor/link.h"

enum { TOLD = 200, ANSWER_MS = 50 };

/* What the false worker says after HELLO, before and behind the answer. */
static struct buffer before, behind;
static bool with_fds;
static pid_t worker;

static int listen_as(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/w/%s", pods.dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void say(int fd, const struct buffer *b)
{
    if (b->len && fd_write_all(fd, b->data, b->len) < 0)
        _exit(1);
}

/* Frames, each with two descriptors where there is room for one. */
static void say_with_fds(int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.align = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[2] = {null, null};
    memcpy(CMSG_DATA(&control.align), fds, sizeof fds);
    for (int i = 0; i < TOLD; i++) {
        auto(buffer) struct buffer frame = {0};
        struct wire_writer w = wire_begin(&frame, WIRE_EXITED, 0);
        wire_put_text(&w, "nobody");
        wire_end(&w);
        struct iovec v = {frame.data, frame.len};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        if (sendmsg(fd, &m, 0) < 0)
            _exit(1);
    }
}

/* Answers each request with 0. */
static void answer_all(int fd, const struct buffer *first, const struct buffer *last)
{
    auto(buffer) struct buffer in = {0};
    uint8_t zero;
    struct wire_reader r;
    size_t len;
    if (recv(fd, &zero, 1, MSG_WAITALL) != 1)
        return;
    for (;;) {
        buffer_reserve(&in, 65536);
        ssize_t n = recv(fd, in.data + in.len, 65536, 0);
        if (n <= 0)
            return;
        in.len += (size_t)n;
        while (wire_frame(in.data, in.len, &r, &len) > 0) {
            auto(buffer) struct buffer out = {0};
            if (r.type == WIRE_HELLO)
                say(fd, first);
            struct wire_writer w = wire_begin(&out, WIRE_REPLY, r.tag);
            wire_put_number(&w, 0);
            wire_put_text(&w, "");
            wire_put_text(&w, "namespace/other");
            wire_put_number(&w, 1);
            wire_end(&w);
            if (r.tag)
                say(fd, &out);
            if (r.type == WIRE_HELLO && last->len) {
                usleep(20000); /* its answer has been taken */
                say(fd, last);
            }
            if (r.type == WIRE_HELLO && with_fds)
                say_with_fds(fd);
            buffer_consume(&in, len);
        }
    }
}

static void *files_process(void *listening)
{
    static const struct buffer nothing;
    answer_all(accept(*(int *)listening, NULL, NULL), &nothing, &nothing);
    return NULL;
}

/* The supervisor comes again, and finds it beside the real ones. key: the tenant's, NULL: none was kept. */
static void begin(const char *key)
{
    int own = listen_as("0.1"), files = listen_as("0.1.f");
    autofree char *kept = str_format("%s/w/0.1.k", pods.dir);
    if (key)
        assert_int_equal(file_replace(AT_FDCWD, kept, key, strlen(key), 0600, false, NULL), 0);
    worker = fork();
    assert_true(worker >= 0);
    if (!worker) {
        pthread_t t;
        own = dup2(own, 500);
        files = dup2(files, 501);
        close_range(3, 499, 0); /* the supervisor's connections would not end with it */
        pthread_create(&t, NULL, files_process, &files);
        answer_all(accept(own, NULL, NULL), &before, &behind);
        _exit(0);
    }
    close(own);
    close(files);
    pods_restart();
}

static void end(void)
{
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    co_sleep(50 * NSEC_PER_MSEC);
    buffer_done(&before);
    buffer_done(&behind);
    with_fds = false;
}

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void put_exit(struct buffer *b, const char *id)
{
    struct wire_writer w = wire_begin(b, WIRE_EXITED, 0);
    wire_put_text(&w, id);
    wire_put_number(&w, 1);
    wire_put_number(&w, 7);
    wire_put_text(&w, "");
    assert_int_equal(wire_end(&w), 0);
}

/* A pod as a worker would tell it; record_id is what its record says. */
static void put_pod(struct buffer *b, const char *id, const char *record_id)
{
    struct sandbox_request request = {.id = record_id, .netns_path = ""};
    assert_int_equal(sandboxer_create(pods.sandboxer, &request, NULL), 0);
    auto(buffer) struct buffer record = {0};
    struct sandbox *sb = sandboxer_find_sandbox(pods.sandboxer, record_id);
    assert_int_equal(record_of_sandbox(sb, &record), 0);
    assert_int_equal(sandboxer_shutdown(pods.sandboxer, record_id, NULL), 0);
    struct wire_writer w = wire_begin(b, WIRE_SANDBOX, 1);
    wire_put_text(&w, id);
    wire_put_bytes(&w, record.data, record.len);
    assert_int_equal(wire_end(&w), 0);
}

static void holding_descriptors(void)
{
    size_t had = count_fds();
    with_fds = true;
    begin("namespace/evil");
    co_sleep(200 * NSEC_PER_MSEC);
    assert_true(count_fds() < had + TOLD / 4);
    end();
}

static void descriptors_that_a_worker_sends_are_not_kept(void **state)
{
    (void)state;
    pods_run(holding_descriptors);
}

static void telling_ends(void)
{
    struct error err = {0};
    struct container_spec c = {.pod = "pod", .id = "mine", .args = ARGS("/guest.wasm", "spin")};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start("mine");
    put_exit(&before, "mine");
    put_exit(&behind, "mine");
    begin("namespace/evil");
    co_sleep(100 * NSEC_PER_MSEC);
    struct process *p = sandboxer_find_process(pods.sandboxer, "mine", "");
    assert_non_null(p);
    assert_int_equal(p->exited_ns, 0);
    assert_int_equal(process_kill(pods.sandboxer, "mine", "", SIGKILL, false, &err), 0);
    assert_int_equal(container_wait("mine", NULL), 128 + SIGKILL);
    container_remove("mine");
    end();
}

static void a_worker_cannot_end_another_ones_container(void **state)
{
    (void)state;
    pods_run(telling_ends);
}

static void claiming(void)
{
    put_pod(&before, "own", "own");
    put_pod(&before, "one", "another");
    put_pod(&before, "pod", "pod-again");
    put_pod(&behind, "late", "late");
    begin("namespace/evil");
    co_sleep(100 * NSEC_PER_MSEC);
    assert_non_null(sandboxer_find_sandbox(pods.sandboxer, "own"));
    static const char *const none[] = {"one", "another", "pod-again", "late"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_null(sandboxer_find_sandbox(pods.sandboxer, none[i]));
    assert_non_null(sandboxer_find_sandbox(pods.sandboxer, "pod"));
    end();
    assert_int_equal(sandboxer_shutdown(pods.sandboxer, "own", NULL), 0);
}

static void a_worker_holds_pods_of_its_tenant_and_tells_them_when_it_is_asked(void **state)
{
    (void)state;
    pods_run(claiming);
}

/* Were the worker asked, it would say whose pods it wants. */
static void placing(void)
{
    begin("namespace/evil");
    pod_start("other", "other");
    struct error err = {0};
    struct container_spec c = {.pod = "other", .id = "c", .args = ARGS("/guest.wasm", "exit", "3")};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start("c");
    assert_int_equal(container_wait("c", NULL), 3);
    container_remove("c");
    pod_remove("other");
    end();
}

static void a_worker_gets_the_pods_of_the_tenant_that_it_was_started_for(void **state)
{
    (void)state;
    pods_run(placing);
}

static void forgetting(void)
{
    put_pod(&before, "own", "own");
    begin(NULL);
    assert_null(sandboxer_find_sandbox(pods.sandboxer, "own"));
    end();
}

static void a_worker_whose_tenant_is_not_known_is_not_taken_over(void **state)
{
    (void)state;
    pods_run(forgetting);
}

static void note_died(void *arg)
{
    *(bool *)arg = true;
}

static void told(void *arg, struct wire_reader *r)
{
    (void)arg;
    (void)r;
}

static void waiting(void)
{
    int fds[2];
    bool died = false;
    struct error err = {0};
    struct link *l;
    struct link_reply reply = {0};
    auto(buffer) struct buffer frame = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(link_new(&l, fds[0], &(struct link_handler){told, note_died, &died}, &err), 0);
    struct wire_writer w = wire_begin(&frame, WIRE_HELLO, link_tag(l));
    assert_int_equal(wire_end(&w), 0);
    int64_t until = clock_mono_ns() + ANSWER_MS * NSEC_PER_MSEC;
    int fd = dup(fds[1]);
    assert_int_equal(link_call_until(l, 1, &frame, &fd, 1, until, &reply, &err), -ETIMEDOUT);
    assert_true(died);
    assert_int_equal(link_call(l, 2, &frame, NULL, &err), -ENOTCONN);
    link_reply_done(&reply);
    link_free(l);
    close(fds[1]);
}

static void a_worker_that_does_not_answer_in_time_is_given_up(void **state)
{
    (void)state;
    pods_run(waiting);
}

/* A real worker that was found beside a false one may stay, and with it its files process: both are ours. */
static int end_workers(void **state)
{
    DIR *d = opendir("/proc");
    int r = pods_teardown(state);
    for (struct dirent *e; d && (e = readdir(d));) {
        auto(buffer) struct buffer line = {0};
        autofree char *path = str_format("/proc/%s/cmdline", e->d_name);
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 0 || file_read(AT_FDCWD, path, 1 << 16, &line, NULL) < 0)
            continue;
        if (memmem(line.data, line.len, pods.dir, strlen(pods.dir)))
            kill(pid, SIGKILL);
    }
    closedir(d);
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_that_a_worker_sends_are_not_kept),
        cmocka_unit_test(a_worker_cannot_end_another_ones_container),
        cmocka_unit_test(a_worker_holds_pods_of_its_tenant_and_tells_them_when_it_is_asked),
        cmocka_unit_test(a_worker_gets_the_pods_of_the_tenant_that_it_was_started_for),
        cmocka_unit_test(a_worker_whose_tenant_is_not_known_is_not_taken_over),
        cmocka_unit_test(a_worker_that_does_not_answer_in_time_is_given_up),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, end_workers);
}
