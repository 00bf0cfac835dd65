/* SPDX-License-Identifier: Apache-2.0 */
/* The technique with real keepers and containers, below the servers: root and Debian's busybox-static are needed. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "namespace/namespace.h"
#include "namespace/pod.h"
#include "sandbox/server.h"

static struct world {
    char dir[40];
    char root[64];
    char log[64];
    struct namespaces *t;
    struct sandboxer *s;
    unsigned pods, keeper_count;
    pid_t keepers[64];
} w;

/* ---- */

static void begin_sandboxer(void)
{
    struct error err = {0};
    char parent[40]; /* tests of other checkouts may run at the same time */
    snprintf(parent, sizeof parent, "warren-unit-%d", (int)getpid());
    const struct namespace_options options = {
        .dir = w.dir, .keeper = KEEPER, .cgroup_parent = parent};
    if (namespaces_new(&options, &w.t, &err) < 0 ||
        sandboxer_new(&w.s, &namespace_technique, w.t, "unix:///none", &err) < 0)
        assert_string_equal(err.message, "");
}

/* As a crash would: keepers learn of it by their sockets alone. */
static void forget_sandboxer(void)
{
    struct sandbox *sb;
    list_each(sb, &w.s->all, table)
    {
        struct process *p;
        list_each(p, &sb->processes, link)
        {
            unit_free(p->technique);
            p->technique = NULL;
        }
        pod_free(sb->technique);
        sb->technique = NULL;
    }
    sandboxer_free(take_ptr(&w.s));
    namespaces_free(take_ptr(&w.t));
}

static int make_root(void)
{
    static const char *const dirs[] = {"bin", "proc", "dev", "sys", "tmp"};
    char path[128];
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        snprintf(path, sizeof path, "%s/%s", w.root, dirs[i]);
        if (dir_make(AT_FDCWD, path, 0755, NULL) < 0)
            return -1;
    }
    snprintf(path, sizeof path, "%s/bin/busybox", w.root);
    auto(buffer) struct buffer b = {0};
    if (file_read(AT_FDCWD, "/bin/busybox", 8 << 20, &b, NULL) < 0 ||
        file_replace(AT_FDCWD, path, b.data, b.len, 0755, false, NULL) < 0)
        return -1;
    static const char *const applets[] = {"sh", "sleep", "ls", "ps", "yes", "tail", "hostname"};
    for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
        snprintf(path, sizeof path, "%s/bin/%s", w.root, applets[i]);
        if (symlink("busybox", path) < 0)
            return -1;
    }
    return 0;
}

static int enter(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return 0;
    strcpy(w.dir, "/tmp/warren-ns.XXXXXX");
    if (!mkdtemp(w.dir))
        return -1;
    snprintf(w.root, sizeof w.root, "%s/root", w.dir);
    snprintf(w.log, sizeof w.log, "%s/log", w.dir);
    if (make_root() < 0)
        return -1;
    begin_sandboxer();
    return 0;
}

static void leave_in_loop(void *arg)
{
    (void)arg;
    for (struct sandbox *sb; (sb = list_first(&w.s->all, struct sandbox, table));) {
        struct error err = {0};
        autofree char *id = strdup(sb->id);
        if (sandboxer_shutdown(w.s, id, &err) < 0)
            assert_string_equal(err.message, "");
    }
    loop_stop();
}

static int leave(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return 0;
    if (co_self()) { /* an assertion jumped out of the loop, which is of no use any more */
        for (unsigned i = 0; i < w.keeper_count; i++)
            kill(w.keepers[i], SIGKILL);
        dir_remove(AT_FDCWD, w.dir, NULL);
        exit(1);
    }
    co_start(leave_in_loop, NULL);
    loop_run();
    forget_sandboxer();
    return dir_remove(AT_FDCWD, w.dir, NULL);
}

/* A test's body runs as a coroutine */

struct body {
    void (*fn)(void);
};

static void body_run(void *arg)
{
    ((struct body *)arg)->fn();
    loop_stop();
}

static void in_loop(void (*fn)(void))
{
    if (geteuid() != 0)
        skip();
    struct body b = {fn};
    co_start(body_run, &b);
    loop_run();
}

static void ok(int r, const struct error *err)
{
    if (r < 0)
        print_error("%s\n", err->message);
    assert_true(r >= 0);
}

/* Pods and containers */

struct pod_want {
    int network, pid;
    const char *hostname;
};

static char *pod_run_with(const struct pod_want *want)
{
    static char id[32];
    struct error err = {0};
    Runtime__V1__NamespaceOption ns = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__LinuxSandboxSecurityContext security =
        RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    Runtime__V1__LinuxPodSandboxConfig linux_ = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    uint8_t packed[512];
    ns.network = (Runtime__V1__NamespaceMode)want->network;
    ns.pid = (Runtime__V1__NamespaceMode)want->pid;
    security.namespace_options = &ns;
    linux_.security_context = &security;
    config.linux = &linux_;
    config.hostname = (char *)(uintptr_t)str_or_empty(want->hostname);
    size_t len = runtime__v1__pod_sandbox_config__pack(&config, packed);
    snprintf(id, sizeof id, "pod-%d-%u", (int)getpid(), ++w.pods);
    struct sandbox_request request = {
        .id = id, .config = packed, .config_len = len, .netns_path = ""};
    ok(sandboxer_create(w.s, &request, &err), &err);
    ok(sandboxer_start(w.s, id, NULL, &err), &err);
    w.keepers[w.keeper_count++ % ARRAY_SIZE(w.keepers)] = sandboxer_find_sandbox(w.s, id)->pid;
    return id;
}

static char *pod_run(void)
{
    return pod_run_with(&(struct pod_want){.network = 2, .pid = 1});
}

struct container_want {
    const char *pod, *id, *script;
    const char *stdin_, *stdout_, *stderr_;
    const char *namespaces; /* more than mount and cgroup, JSON; NULL: a pid namespace */
    const char *resources;
};

static int container_create(const struct container_want *c, struct error *err)
{
    autofree char *spec = str_format(
        "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"/bin/sh\",\"-c\",\"%s\"],\"cwd\":\"/\","
        "\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}},\"root\":{\"path\":\"%s\"},"
        "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
        "\"linux\":{\"resources\":%s,\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"cgroup\"}%s]}"
        "}",
        c->script, w.root, c->resources ? c->resources : "{}",
        c->namespaces ? c->namespaces : ",{\"type\":\"pid\"}");
    struct process_request request = {.id = c->id,
                                      .exec_id = "",
                                      .sandbox_id = c->pod,
                                      .stdin_ = str_or_empty(c->stdin_),
                                      .stdout_ = str_or_empty(c->stdout_),
                                      .stderr_ = str_or_empty(c->stderr_),
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec)};
    pid_t pid;
    return process_create(w.s, &request, &pid, err);
}

static void container_run(const struct container_want *c)
{
    struct error err = {0};
    pid_t pid;
    ok(container_create(c, &err), &err);
    ok(process_start(w.s, c->id, "", &pid, &err), &err);
    assert_true(pid > 0);
}

static struct process *wait_for(const char *id, const char *exec_id)
{
    struct error err = {0};
    struct process *p = NULL;
    ok(process_wait(w.s, id, exec_id, NULL, &p, &err), &err);
    process_unref(p); /* the table holds it */
    return p;
}

static char *read_log(void)
{
    struct buffer b = {0};
    struct error err = {0};
    ok(file_read(AT_FDCWD, w.log, 1 << 20, &b, &err), &err);
    return buffer_take_text(&b);
}

static char *log_address(void)
{
    static char address[100];
    snprintf(address, sizeof address, "log+cri://%s", w.log);
    return address;
}

/* The tests */

static void exit_3(void)
{
    container_run(&(struct container_want){.pod = pod_run(), .id = "c3", .script = "exit 3"});
    assert_int_equal(wait_for("c3", "")->exit_status, 3);
}
static void a_container_that_exits_with_3_reports_3(void **state)
{
    (void)state;
    in_loop(exit_3);
}

static void log_lines(void)
{
    char *address = log_address();
    container_run(&(struct container_want){.pod = pod_run(),
                                           .id = "cl",
                                           .script = "echo out; echo err >&2; echo -n rest",
                                           .stdout_ = address,
                                           .stderr_ = address});
    wait_for("cl", "");
    autofree char *log = read_log();
    assert_non_null(strstr(log, " stdout F out\n"));
    assert_non_null(strstr(log, " stderr F err\n"));
    assert_non_null(strstr(log, " stdout F rest\n"));
}
static void what_a_container_writes_is_in_its_log_when_its_end_is_told(void **state)
{
    (void)state;
    in_loop(log_lines);
}

static void missing(void)
{
    struct error err = {0};
    char *pod = pod_run();
    char path[128];
    snprintf(path, sizeof path, "%s/bin/sh", w.root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(
        container_create(&(struct container_want){.pod = pod, .id = "cm", .script = ""}, &err),
        -ENOENT);
    assert_non_null(strstr(err.message, "/bin/sh"));
    assert_int_equal(symlink("busybox", path), 0);
    container_run(&(struct container_want){
        .pod = pod, .id = "cm", .script = "exit 0"}); /* nothing half-made is in its way */
    assert_int_equal(wait_for("cm", "")->exit_status, 0);
}
static void a_program_that_is_not_there_is_told_at_create_and_leaves_nothing(void **state)
{
    (void)state;
    in_loop(missing);
}

static void stubborn(void)
{
    char *pod = pod_run();
    struct error err = {0};
    container_run(&(struct container_want){
        .pod = pod, .id = "cs", .script = "trap '' TERM; while :; do sleep 1; done"});
    int64_t before = clock_mono_ns();
    ok(sandboxer_stop(w.s, pod, 1, &err), &err);
    int64_t took = clock_mono_ns() - before;
    assert_true(took >= NSEC_PER_SEC && took < 8 * NSEC_PER_SEC);
    assert_int_equal(wait_for("cs", "")->exit_status, 137);
}
static void a_container_that_ignores_sigterm_is_killed_at_the_deadline(void **state)
{
    (void)state;
    in_loop(stubborn);
}

static void restart(void)
{
    struct error err = {0};
    autofree char *pod = strdup(pod_run()), *stopped = strdup(pod_run());
    char *address = log_address();
    container_run(&(struct container_want){.pod = pod,
                                           .id = "cr1",
                                           .stdout_ = address,
                                           .stderr_ = address,
                                           .script = "while :; do echo tick; sleep 0.05; done"});
    container_run(&(struct container_want){.pod = pod, .id = "cr2", .script = "sleep 0.3; exit 4"});
    ok(sandboxer_stop(w.s, stopped, 0, &err), &err);
    pid_t first = sandboxer_find_process(w.s, "cr1", "")->pid,
          keeper = sandboxer_find_sandbox(w.s, pod)->pid;
    forget_sandboxer();
    co_sleep(500 * NSEC_PER_MSEC);
    autofree char *meanwhile = read_log();
    begin_sandboxer();
    ok(namespace_recover(w.t, w.s, &err), &err);
    assert_int_equal(sandboxer_find_sandbox(w.s, pod)->state, SANDBOX_RUNNING);
    assert_int_equal(sandboxer_find_sandbox(w.s, stopped)->state, SANDBOX_STOPPED);
    assert_int_equal(sandboxer_find_sandbox(w.s, pod)->pid, keeper);
    assert_int_equal(sandboxer_find_process(w.s, "cr1", "")->state, SANDBOX_RUNNING);
    assert_int_equal(sandboxer_find_process(w.s, "cr1", "")->pid, first);
    assert_int_equal(sandboxer_find_process(w.s, "cr2", "")->exit_status, 4);
    assert_true(sandboxer_find_process(w.s, "cr2", "")->exited_ns > 0);
    co_sleep(200 * NSEC_PER_MSEC);
    autofree char *after = read_log();
    assert_true(strlen(after) > strlen(meanwhile) && strlen(meanwhile) > 0);
}
static void a_new_sandboxer_finds_pods_that_ran_on_and_exits_that_happened_meanwhile(void **state)
{
    (void)state;
    in_loop(restart);
}

static void murder(void)
{
    autofree char *pod = strdup(pod_run()), *other = strdup(pod_run());
    container_run(&(struct container_want){.pod = pod, .id = "ck", .script = "sleep 1000"});
    container_run(&(struct container_want){.pod = other, .id = "co", .script = "sleep 1000"});
    pid_t container = sandboxer_find_process(w.s, "ck", "")->pid;
    kill(sandboxer_find_sandbox(w.s, pod)->pid, SIGKILL);
    assert_int_equal(wait_for("ck", "")->exit_status, 137);
    assert_int_equal(sandboxer_find_sandbox(w.s, pod)->state, SANDBOX_STOPPED);
    for (int i = 0; i < 200 && kill(container, 0) == 0; i++)
        co_sleep(10 * NSEC_PER_MSEC);
    assert_int_equal(kill(container, 0), -1);
    assert_int_equal(sandboxer_find_process(w.s, "co", "")->state, SANDBOX_RUNNING);
}
static void a_keeper_that_is_killed_ends_its_containers_and_no_others(void **state)
{
    (void)state;
    in_loop(murder);
}

static void murder_unseen(void)
{
    struct error err = {0};
    autofree char *pod = strdup(pod_run());
    container_run(&(struct container_want){.pod = pod, .id = "cu", .script = "sleep 1000"});
    pid_t keeper = sandboxer_find_sandbox(w.s, pod)->pid;
    forget_sandboxer();
    kill(keeper, SIGKILL);
    co_sleep(100 * NSEC_PER_MSEC);
    begin_sandboxer();
    ok(namespace_recover(w.t, w.s, &err), &err);
    assert_null(sandboxer_find_sandbox(w.s, pod));
    autofree char *socket = str_format("%s/+%s", w.dir, pod);
    assert_int_equal(access(socket, F_OK), -1);
    struct cgroup g;
    struct cgroup_stats stats;
    autofree char *group = str_format("%s+cu", pod);
    ok(cgroup_name_path(w.t->cgroups, group, &g, &err), &err);
    assert_int_equal(cgroup_stats_read(&g, &stats, NULL), -ENOENT);
}
static void what_a_keeper_left_that_died_while_nobody_looked_is_removed(void **state)
{
    (void)state;
    in_loop(murder_unseen);
}

static int open_fifo(const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", w.dir, name);
    assert_int_equal(mkfifo(path, 0600), 0);
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static char *read_for(int fd, const char *until)
{
    struct buffer b = {0};
    int64_t deadline = clock_mono_ns() + 5 * NSEC_PER_SEC;
    while (!strstr(buffer_text(&b), until) && co_wait_fd(fd, UV_READABLE, deadline) > 0) {
        assert_int_equal(buffer_reserve(&b, 4096), 0);
        ssize_t n = read(fd, b.data + b.len, 4096);
        if (n <= 0)
            break;
        b.len += (size_t)n;
        b.data[b.len] = 0;
    }
    return buffer_take_text(&b);
}

static void exec(void)
{
    struct error err = {0};
    char in_path[80], out_path[80];
    pid_t pid;
    container_run(&(struct container_want){
        .pod = pod_run_with(&(struct pod_want){.network = 0, .pid = 1, .hostname = "rabbit"}),
        .id = "ce",
        .script = "sleep 1000"});
    autoclose int in = open_fifo("in", in_path, sizeof in_path),
                  out = open_fifo("out", out_path, sizeof out_path);
    const char *spec = "{\"args\":[\"/bin/busybox\",\"sh\",\"-c\",\"hostname; read x; echo got $x; "
                       "exit 7\"],\"cwd\":\"/\","
                       "\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}}";
    struct process_request request = {.id = "ce",
                                      .exec_id = "e1",
                                      .stdin_ = in_path,
                                      .stdout_ = out_path,
                                      .stderr_ = "",
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec)};
    ok(process_create(w.s, &request, &pid, &err), &err);
    ok(process_start(w.s, "ce", "e1", &pid, &err), &err);
    assert_int_equal(write(in, "word\n", 5), 5);
    autofree char *text = read_for(out, "word");
    assert_string_equal(text, "rabbit\ngot word\n");
    assert_int_equal(wait_for("ce", "e1")->exit_status, 7);
    assert_int_equal(sandboxer_find_process(w.s, "ce", "")->state, SANDBOX_RUNNING);
}
static void an_exec_runs_in_its_container_reads_writes_and_reports_its_status(void **state)
{
    (void)state;
    in_loop(exec);
}

static int attach_to(const char *id, bool in)
{
    struct error err = {0};
    autofree char *address = NULL, *token = NULL;
    ok(process_attach(w.s, id, "", in, true, true, &address, &token, &err), &err);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", address + strlen("unix://"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    autofree char *line = str_format("%s\n", token);
    assert_int_equal(write(fd, line, strlen(line)), strlen(line));
    return fd;
}

static void attach(void)
{
    container_run(&(struct container_want){
        .pod = pod_run(),
        .id = "ca",
        .stdin_ = "attach:",
        .script = "while read x; do echo got $x; test $x != end || exit 5; done"});
    autoclose int fd = attach_to("ca", true), second = attach_to("ca", false);
    co_sleep(50 * NSEC_PER_MSEC);
    assert_int_equal(write(fd, "one\n", 4), 4);
    char frame[64] = {0};
    int64_t deadline = clock_mono_ns() + 5 * NSEC_PER_SEC;
    size_t len = 0;
    while (len < 16 && co_wait_fd(fd, UV_READABLE, deadline) > 0)
        len += (size_t)read(fd, frame + len, sizeof frame - len);
    assert_memory_equal(frame, "\1\0\0\0\0\0\0\10got one\n", 16);
    shutdown(fd, SHUT_WR); /* stdin stays open for the next */
    len = 0;
    while (len < 16 && co_wait_fd(second, UV_READABLE, deadline) > 0)
        len += (size_t)read(second, frame + len, sizeof frame - len);
    assert_memory_equal(frame, "\1\0\0\0\0\0\0\10got one\n", 16);
    autoclose int third = attach_to("ca", true);
    assert_int_equal(write(third, "end\n", 4), 4);
    assert_int_equal(wait_for("ca", "")->exit_status, 5);
    while (co_wait_fd(second, UV_READABLE, deadline) > 0 && read(second, frame, sizeof frame) > 0)
        ;
    assert_true(clock_mono_ns() < deadline); /* it saw the end */
}
static void attached_clients_see_what_is_written_and_one_that_leaves_ends_nothing(void **state)
{
    (void)state;
    in_loop(attach);
}

static void slow(void)
{
    char path[80];
    char *pod = pod_run();
    autoclose int fifo = open_fifo("slow", path, sizeof path);
    container_run(
        &(struct container_want){.pod = pod, .id = "cw1", .stdout_ = path, .script = "yes"});
    autoclose int reader = -1;
    container_run(&(struct container_want){.pod = pod, .id = "cw2", .script = "yes"});
    reader = attach_to("cw2", false); /* never reads */
    co_sleep(300 * NSEC_PER_MSEC);
    container_run(&(struct container_want){.pod = pod, .id = "cw3", .script = "exit 9"});
    assert_int_equal(wait_for("cw3", "")->exit_status, 9);
    struct process_stats before, after;
    co_sleep(100 * NSEC_PER_MSEC);
    assert_int_equal(process_get_stats(w.s, "cw1", &before, NULL), 0);
    co_sleep(200 * NSEC_PER_MSEC);
    assert_int_equal(process_get_stats(w.s, "cw1", &after, NULL), 0);
    assert_true(after.cpu_ns - before.cpu_ns <
                50 * (uint64_t)NSEC_PER_MSEC); /* it waits, it does not lose */
}
static void a_reader_that_is_slow_holds_up_its_own_container_alone(void **state)
{
    (void)state;
    in_loop(slow);
}

static void shared_pid(void)
{
    char *address = log_address();
    char *pod = pod_run_with(&(struct pod_want){.network = 2, .pid = 0});
    container_run(&(struct container_want){
        .pod = pod, .id = "cp1", .script = "exec busybox sleep 1000", .namespaces = ""});
    container_run(&(struct container_want){.pod = pod,
                                           .id = "cp2",
                                           .script = "busybox ps; ls /proc/1/root/",
                                           .stdout_ = address,
                                           .stderr_ = address,
                                           .namespaces = ""});
    wait_for("cp2", "");
    autofree char *log = read_log();
    assert_non_null(strstr(log, " 1 "));
    assert_non_null(strstr(log, "sleep 1000"));
    assert_null(strstr(log, "etc")); /* nothing of the host behind PID 1 */
}
static void containers_of_a_pod_that_shares_its_pid_namespace_see_each_other(void **state)
{
    (void)state;
    in_loop(shared_pid);
}

static void host_pid(void)
{
    char *pod = pod_run_with(&(struct pod_want){.network = 2, .pid = 2});
    char path[80];
    container_run(&(struct container_want){.pod = pod,
                                           .id = "ch",
                                           .namespaces = "",
                                           .script = "sleep 1001 & echo $! > /tmp/child; exit 2"});
    assert_int_equal(wait_for("ch", "")->exit_status, 2);
    snprintf(path, sizeof path, "%s/tmp/child", w.root);
    auto(buffer) struct buffer b = {0};
    struct error err = {0};
    ok(file_read(AT_FDCWD, path, 100, &b, &err), &err);
    pid_t child = atoi(buffer_text(&b));
    assert_true(child > 1);
    for (int i = 0; i < 200 && kill(child, 0) == 0; i++)
        co_sleep(10 * NSEC_PER_MSEC);
    assert_int_equal(kill(child, 0), -1);
}
static void what_a_container_leaves_running_in_the_hosts_pid_namespace_ends_with_it(void **state)
{
    (void)state;
    in_loop(host_pid);
}

static void oom(void)
{
    container_run(&(struct container_want){.pod = pod_run(),
                                           .id = "coom",
                                           .script = "exec busybox tail /dev/zero",
                                           .resources = "{\"memory\":{\"limit\":16777216}}"});
    struct process *p = wait_for("coom", "");
    assert_int_equal(p->exit_status, 137);
    assert_true(p->oom_killed);
}
static void a_container_that_takes_too_much_memory_is_told_to_have_been_oom_killed(void **state)
{
    (void)state;
    in_loop(oom);
}

static void pause_it(void)
{
    struct error err = {0};
    char *pod = pod_run();
    container_run(
        &(struct container_want){.pod = pod, .id = "cz", .script = "while :; do :; done"});
    ok(process_pause(w.s, "cz", &err), &err);
    struct process_stats before, after;
    ok(process_get_stats(w.s, "cz", &before, &err), &err);
    co_sleep(200 * NSEC_PER_MSEC);
    ok(process_get_stats(w.s, "cz", &after, &err), &err);
    assert_true(after.cpu_ns - before.cpu_ns < 20 * (uint64_t)NSEC_PER_MSEC);
    ok(sandboxer_stop(w.s, pod, 0, &err), &err); /* a paused one can be stopped */
    assert_int_equal(wait_for("cz", "")->exit_status, 137);
}
static void a_paused_container_uses_no_time_and_can_be_stopped(void **state)
{
    (void)state;
    in_loop(pause_it);
}

static void modest(void)
{
    struct error err = {0};
    char path[64];
    auto(buffer) struct buffer b = {0};
    char *pod = pod_run();
    container_run(&(struct container_want){.pod = pod, .id = "cc", .script = "sleep 1000"});
    snprintf(path, sizeof path, "/proc/%d/status", (int)sandboxer_find_sandbox(w.s, pod)->pid);
    ok(file_read(AT_FDCWD, path, 1 << 16, &b, &err), &err);
    assert_non_null(strstr(buffer_text(&b), "CapEff:\t0000000000000022\n"));
}
static void a_keeper_at_rest_acts_with_two_capabilities_alone(void **state)
{
    (void)state;
    in_loop(modest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
int main(void)
{
    diag_init("test-namespace", DIAG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(a_container_that_exits_with_3_reports_3),
        TEST(what_a_container_writes_is_in_its_log_when_its_end_is_told),
        TEST(a_program_that_is_not_there_is_told_at_create_and_leaves_nothing),
        TEST(a_container_that_ignores_sigterm_is_killed_at_the_deadline),
        TEST(a_new_sandboxer_finds_pods_that_ran_on_and_exits_that_happened_meanwhile),
        TEST(a_keeper_that_is_killed_ends_its_containers_and_no_others),
        TEST(what_a_keeper_left_that_died_while_nobody_looked_is_removed),
        TEST(an_exec_runs_in_its_container_reads_writes_and_reports_its_status),
        TEST(attached_clients_see_what_is_written_and_one_that_leaves_ends_nothing),
        TEST(a_reader_that_is_slow_holds_up_its_own_container_alone),
        TEST(containers_of_a_pod_that_shares_its_pid_namespace_see_each_other),
        TEST(what_a_container_leaves_running_in_the_hosts_pid_namespace_ends_with_it),
        TEST(a_container_that_takes_too_much_memory_is_told_to_have_been_oom_killed),
        TEST(a_keeper_at_rest_acts_with_two_capabilities_alone),
        TEST(a_paused_container_uses_no_time_and_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
