/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that call the host with hostile arguments, several at once, with peers on their files and sockets; they are killed, paused and
 * hibernated meanwhile. For longer: WARREN_CALLS_S=600 WARREN_CALLS_SEED=7 test-wasm-calls (with the environment that meson gives the wasm
 * tests). */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/supervisor/supervisor.h"

enum { DEFAULT_S = 4, LANES = 6, EVENTS = 40, HIBERNATES_MS = 1300 };

static uint64_t state;
static int64_t end;
static unsigned made, lanes, killed;
static struct co *waiting;

/* splitmix64 */
static uint64_t any(uint64_t below)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return below ? (z ^ z >> 31) % below : 0;
}

struct peers {
    char *volume, *input;
    int fds[4];
    unsigned next;
};

static void peers_make(struct peers *p, const char *id)
{
    *p = (struct peers){.fds = {-1, -1, -1, -1}};
    p->volume = str_format("%s/v-%s", pods.dir, id);
    p->input = str_format("%s/input", p->volume);
    autofree char *fifo = str_format("%s/fifo", p->volume);
    autofree char *way_out = str_format("%s/way-out", p->volume);
    assert_int_equal(dir_make(AT_FDCWD, p->volume, 0755, NULL), 0);
    assert_int_equal(mkfifo(p->input, 0600), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("../../../../etc/shadow", way_out), 0);
}

static void peers_done(struct peers *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(p->fds); i++)
        close_fd(&p->fds[i]);
    dir_remove(AT_FDCWD, p->volume, NULL);
    free(p->volume);
    free(p->input);
}

static int connect_to(const struct peers *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/sock", p->volume);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        close_fd(&fd);
    return fd;
}

static int open_fifo(const struct peers *p)
{
    autofree char *path = any(2) ? strdup(p->input) : str_format("%s/fifo", p->volume);
    return open(path, (any(2) ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
}

/* Comes, says something, listens, or goes. */
static void peers_act(struct peers *p)
{
    static uint8_t bytes[8192];
    int *fd = &p->fds[any(ARRAY_SIZE(p->fds))];
    if (*fd < 0)
        *fd = any(2) ? connect_to(p) : open_fifo(p);
    else if (!any(6))
        close_fd(fd);
    else if (any(2))
        (void)!write(*fd, bytes, any(sizeof bytes));
    else
        (void)!read(*fd, bytes, any(sizeof bytes));
}

/* A guest of its own in the container; it is killed with that at the latest. */
static void exec(const char *id, unsigned number)
{
    struct error err = {0};
    pid_t pid;
    char exec_id[16], spec[128];
    snprintf(exec_id, sizeof exec_id, "x%u", number);
    snprintf(spec, sizeof spec, "{\"cwd\":\"/\",\"env\":[],\"args\":[\"/calls.wasm\",\"%u\"]}",
             number);
    struct process_request request = {.id = id,
                                      .exec_id = exec_id,
                                      .sandbox_id = "pod",
                                      .stdin_ = "",
                                      .stdout_ = "",
                                      .stderr_ = "",
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec)};
    if (process_create(pods.sandboxer, &request, &pid, &err) == 0)
        process_start(pods.sandboxer, id, exec_id, &pid, &err);
}

static void event(const char *id, struct peers *p, unsigned number)
{
    struct process_stats stats;
    switch (any(16)) {
    case 0:
        process_pause(pods.sandboxer, id, NULL);
        co_sleep((int64_t)any(3) * NSEC_PER_MSEC);
        process_resume(pods.sandboxer, id, NULL);
        return;
    case 1:
        process_kill(pods.sandboxer, id, "", any(2) ? SIGSTOP : SIGCONT, false, NULL);
        return;
    case 2:
        process_get_stats(pods.sandboxer, id, &stats, NULL);
        return;
    case 3:
        if (!any(3))
            exec(id, number);
        return;
    case 4:
        if (!any(12))
            co_sleep(HIBERNATES_MS * NSEC_PER_MSEC);
        return;
    case 5:
        process_close_stdin(pods.sandboxer, id, "", NULL);
        return;
    default:
        peers_act(p);
        co_sleep((int64_t)any(4) * NSEC_PER_MSEC);
    }
}

static const struct pod *pod_now(void)
{
    const struct sandbox *sb = sandboxer_find_sandbox(pods.sandboxer, "pod");
    return sb ? sb->technique : NULL;
}

static void run_one(unsigned number, uint64_t seed)
{
    struct error err = {0};
    struct peers p;
    char id[16], text[24];
    snprintf(id, sizeof id, "c%u", number);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    peers_make(&p, id);
    autofree char *more = str_format(
        ",\"annotations\":{\"warren.wasm/listen\":\"unix:///data/sock\",\"warren.wasm/profile\":"
        "\"%s\"},\"mounts\":[{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s\"}]",
        any(3) ? "dense" : "busy", p.volume);
    struct container_spec c = {
        .pod = "pod", .id = id, .args = ARGS("/calls.wasm", text), .more = more, .input = p.input};
    pid_t pid;
    if (container_create(&c, &err) < 0 || process_start(pods.sandboxer, id, "", &pid, &err) < 0) {
        if (pod_now()->holder)
            give_up("seed %s: %s", text, err.message);
        peers_done(&p);
        return;
    }
    const struct process *process = sandboxer_find_process(pods.sandboxer, id, "");
    for (uint64_t i = any(EVENTS); i && !process->exited_ns; i--)
        event(id, &p, number);
    if (!process->exited_ns) {
        killed++;
        process_kill(pods.sandboxer, id, "", SIGKILL, false, NULL);
    }
    container_wait(id, NULL);
    container_remove(id);
    autofree char *upper = str_format("%s/up-%s", pods.dir, id);
    autofree char *log = str_format("%s/logs/%s", pods.dir, id);
    dir_remove(AT_FDCWD, upper, NULL);
    unlink(log);
    peers_done(&p);
}

static void lane(void *arg)
{
    (void)arg;
    while (clock_mono_ns() < end && pod_now()->holder) {
        unsigned number = made++;
        run_one(number, any(UINT32_MAX));
    }
    lanes--;
    co_wake(waiting);
}

static int64_t number_of(const char *variable, int64_t otherwise)
{
    const char *text = getenv(variable);
    int64_t n;
    return text && str_parse_int(text, 0, INT64_MAX, &n) == 0 ? n : otherwise;
}

static void show_log(void)
{
    auto(buffer) struct buffer log = {0};
    autofree char *path = str_format("%s/workers.log", pods.dir);
    if (file_read(AT_FDCWD, path, 1 << 20, &log, NULL) == 0)
        print_error("%s\n", buffer_text(&log));
}

static void calls(void)
{
    state = (uint64_t)number_of("WARREN_CALLS_SEED", 1);
    end = clock_mono_ns() + number_of("WARREN_CALLS_S", DEFAULT_S) * NSEC_PER_SEC;
    const struct holder *worker = pod_now()->holder;
    waiting = co_self();
    for (lanes = 0; lanes < LANES; lanes++)
        co_start(lane, NULL);
    while (lanes)
        co_park();
    printf("# %u guests, of which %u were killed\n", made, killed);
    if (pod_now()->holder != worker) {
        show_log();
        give_up("the worker has ended");
    }
    autofree char *out = NULL;
    struct container_spec c = {
        .pod = "pod", .id = "after", .args = ARGS("/guest.wasm", "echo", "still here")};
    assert_int_equal(container_run(&c, &out), 0);
    assert_string_equal(out, "stdout F [still here]\n");
}

static void hostile_calls_do_not_end_the_worker(void **test)
{
    (void)test;
    signal(SIGPIPE, SIG_IGN);
    pods_run(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_calls_do_not_end_the_worker),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
