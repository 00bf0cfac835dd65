/* SPDX-License-Identifier: Apache-2.0 */
/* Real workers, seen from the host: what they are confined to, and whom their deaths take along. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/supervisor/supervisor.h"

enum { EXIT_KILLED = 128 + SIGKILL };

static pid_t worker_of(const char *pod)
{
    const struct pod *p = sandboxer_find_sandbox(pods.sandboxer, pod)->technique;
    return p->holder->pid;
}

/* What /proc/PID/status says behind key, without the blanks before. */
static char *status_of(pid_t pid, const char *key)
{
    auto(buffer) struct buffer text = {0};
    autofree char *path = str_format("/proc/%d/status", pid);
    autofree char *line = str_format("\n%s:", key);
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 16, &text, NULL), 0);
    char *at = strstr((char *)text.data, line);
    assert_non_null(at);
    at += strlen(line);
    at += strspn(at, "\t ");
    return strndup(at, strcspn(at, "\n"));
}

static void expect_status(pid_t pid, const char *key, const char *wanted)
{
    autofree char *found = status_of(pid, key);
    if (!str_eq(found, wanted))
        give_up("%s of %d: %s, where %s was expected", key, pid, found, wanted);
}

static unsigned uid_of(pid_t pid)
{
    autofree char *text = status_of(pid, "Uid");
    unsigned real = 0, effective = 1, saved = 2, files = 3;
    assert_int_equal(sscanf(text, "%u %u %u %u", &real, &effective, &saved, &files), 4);
    assert_true(real == effective && real == saved && real == files);
    return real;
}

static pid_t parent_of(pid_t pid)
{
    autofree char *text = status_of(pid, "PPid");
    return atoi(text);
}

static bool shares(pid_t pid, const char *namespace_)
{
    struct stat ours, theirs;
    autofree char *mine = str_format("/proc/self/ns/%s", namespace_);
    autofree char *its = str_format("/proc/%d/ns/%s", pid, namespace_);
    assert_int_equal(stat(mine, &ours), 0);
    assert_int_equal(stat(its, &theirs), 0);
    return ours.st_ino == theirs.st_ino;
}

static int entries_in_root_of(pid_t pid)
{
    autofree char *path = str_format("/proc/%d/root", pid);
    DIR *d = opendir(path);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Descriptors that are open files or directories of the host: the log of all workers is one. */
static int host_files_of(pid_t pid)
{
    autofree char *path = str_format("/proc/%d/fd", pid);
    DIR *d = opendir(path);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char target[256];
        ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = 0;
        n += target[0] == '/' && !strstr(target, "workers.log") && !str_eq(target, "/dev/null") &&
             !str_ends(target, "pagemap");
    }
    closedir(d);
    return n;
}

static void begin(const char *pod, const char *id)
{
    struct error err = {0};
    struct container_spec c = {.pod = pod, .id = id, .args = ARGS("/guest.wasm", "beat", "5")};
    pod_start(pod, pod);
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start(id);
    container_expect_log(id, "beat 1\n");
}

static void end(const char *pod)
{
    pod_remove(pod);
}

static void confined(void)
{
    static const char *const namespaces[] = {"user", "mnt", "net", "pid", "ipc", "uts", "cgroup"};
    static const char none[] = "0000000000000000";
    begin("a", "seen-a");
    begin("b", "seen-b");
    pid_t worker = worker_of("a");
    for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
        if (shares(worker, namespaces[i]))
            give_up("the worker is in the host's %s namespace", namespaces[i]);
    expect_status(worker, "CapEff", none);
    expect_status(worker, "CapPrm", none);
    expect_status(worker, "CapInh", none);
    expect_status(worker, "CapBnd", none);
    expect_status(worker, "CapAmb", none);
    expect_status(worker, "NoNewPrivs", "1");
    expect_status(worker, "Seccomp", "2");
    expect_status(worker, "CoreDumping", "0");
    expect_status(worker, "Groups", "");
    assert_true(uid_of(worker) > WASM_UIDS);
    assert_int_not_equal(uid_of(worker), uid_of(worker_of("b")));
    assert_int_equal(entries_in_root_of(worker), 0);
    assert_int_equal(host_files_of(worker), 0);
    end("a");
    end("b");
}

static void a_worker_has_no_right_and_no_name_of_the_hosts(void **state)
{
    (void)state;
    pods_run(confined);
}

static void files_process(void)
{
    static const char *const namespaces[] = {"net", "pid", "ipc", "uts", "cgroup"};
    begin("a", "files-a");
    pid_t files = parent_of(worker_of("a"));
    for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
        if (shares(files, namespaces[i]))
            give_up("the files process is in the host's %s namespace", namespaces[i]);
    expect_status(files, "CapEff",
                  "00000000000000db"); /* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID */
    expect_status(files, "CapPrm", "00000000000000db");
    expect_status(files, "CapBnd", "0000000000000000");
    expect_status(files, "NoNewPrivs", "1");
    expect_status(files, "Seccomp", "2");
    end("a");
}

static void a_files_process_has_six_capabilities_and_no_network(void **state)
{
    (void)state;
    pods_run(files_process);
}

/* signal to which(a's worker) ends a's container and pod; b's go on, and a can come again. */
static void dies(int signal, pid_t (*which)(pid_t worker), const char *victim,
                 const char *bystander)
{
    autofree char *again = str_format("%s-again", victim);
    begin("a", victim);
    begin("b", bystander);
    pid_t worker = worker_of("a"), target = which(worker);
    assert_int_equal(kill(target, signal), 0);
    /* Wasmtime's handler takes a SIGSEGV for a fault that comes again when it has put the default back */
    for (int i = 0; i < 1000 && kill(target, signal) == 0; i++)
        co_sleep(5 * NSEC_PER_MSEC);
    assert_int_equal(container_wait(victim, NULL), EXIT_KILLED);
    assert_int_equal(sandboxer_find_sandbox(pods.sandboxer, "a")->state, SANDBOX_STOPPED);
    for (int i = 0; i < 1000 && kill(worker, 0) == 0; i++)
        co_sleep(5 * NSEC_PER_MSEC);
    assert_true(kill(worker, 0) < 0 && errno == ESRCH);
    assert_int_equal(sandboxer_find_process(pods.sandboxer, bystander, "")->state, SANDBOX_RUNNING);
    autofree char *before = container_log(bystander);
    co_sleep(50 * NSEC_PER_MSEC);
    autofree char *after = container_log(bystander);
    assert_true(strlen(after) > strlen(before));
    end("a");
    begin("a", again);
    end("a");
    end("b");
}

static pid_t itself(pid_t worker)
{
    return worker;
}

static void segfault(void)
{
    dies(SIGSEGV, itself, "segv", "segv-other");
}

static void a_worker_that_crashes_takes_its_own_pods_only(void **state)
{
    (void)state;
    pods_run(segfault);
}

static void files_killed(void)
{
    dies(SIGKILL, parent_of, "files", "files-other");
}

static void a_files_process_that_is_killed_takes_its_worker_and_their_pods_only(void **state)
{
    (void)state;
    pods_run(files_killed);
}

static int setup(void **state)
{
    return geteuid() == 0 ? pods_setup(state) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_has_no_right_and_no_name_of_the_hosts),
        cmocka_unit_test(a_files_process_has_six_capabilities_and_no_network),
        cmocka_unit_test(a_worker_that_crashes_takes_its_own_pods_only),
        cmocka_unit_test(a_files_process_that_is_killed_takes_its_worker_and_their_pods_only),
    };
    return cmocka_run_group_tests(tests, setup, pods_teardown);
}
