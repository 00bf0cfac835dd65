/* SPDX-License-Identifier: Apache-2.0 */
/* What a confined process can do, tried in children that are confined as the wasm technique's are. */
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/confine/confine.h"
#include "wasm/confine/steps.h"

enum { UIDS = 1900000000 };
static int handed_in; /* a socket that the confined process was given, not connected */
static struct sockaddr_un abstract = {.sun_family = AF_UNIX};

/* 0, or errno */
static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int opens_a_file(void)
{
    return result(open("/etc/passwd", O_RDONLY));
}

static int opens_by_openat2(void)
{
    uint64_t how[3] = {0};
    return result(syscall(SYS_openat2, AT_FDCWD, "/", how, sizeof how));
}

static int makes_a_file(void)
{
    return result(mkdir("/directory", 0700));
}

static int makes_a_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int connects_to_an_abstract_socket(void)
{
    return result(connect(handed_in, (struct sockaddr *)&abstract, sizeof abstract));
}

static int runs_a_program(void)
{
    char *args[] = {(char *)(uintptr_t) "/bin/true", NULL};
    return result(execv(args[0], args));
}

static int debugs_another(void)
{
    return result(ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

static int mounts(void)
{
    return result(mount("none", "/", "tmpfs", 0, NULL));
}

static int makes_a_namespace(void)
{
    return result(unshare(CLONE_NEWUSER));
}

static int makes_a_process(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int signals_another(void)
{
    return result(kill(1, SIGCONT));
}

static int writes_code(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int gets_debuggers_back(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int changes_uid(void)
{
    return result(setuid(0));
}

static int makes_a_device(void)
{
    return result(mknod("/null", S_IFCHR | 0666, 0x103));
}

static const struct {
    const char *what;
    int (*fn)(void);
} attempts[] = {
    {"open a file", opens_a_file},
    {"open by openat2", opens_by_openat2},
    {"make a directory", makes_a_file},
    {"make a socket", makes_a_socket},
    {"connect to an abstract socket", connects_to_an_abstract_socket},
    {"run a program", runs_a_program},
    {"debug another process", debugs_another},
    {"mount", mounts},
    {"make a namespace", makes_a_namespace},
    {"make a process", makes_a_process},
    {"signal another process", signals_another},
    {"map memory to be written and run", writes_code},
    {"let itself be debugged", gets_debuggers_back},
    {"become root", changes_uid},
    {"make a device", makes_a_device},
};

typedef int confine_fn(const struct confine *c, struct error *err);

/* In a middle process, whose children are in a namespace of their own then. The wait status of the confined one. */
static int in_confined(confine_fn *confine, int (*fn)(void))
{
    static const struct confine c = {.uids = UIDS, .required = true};
    int status = 0;
    pid_t middle = fork();
    if (middle == 0) {
        struct error err = {0};
        pid_t pid = confine_fork(&c, &err);
        if (pid == 0) {
            if (confine(&c, &err) < 0) {
                print_error("%s\n", err.message);
                _exit(254);
            }
            _exit(fn());
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
            _exit(255);
        _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
    assert_true(middle > 0 && waitpid(middle, &status, 0) == middle && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool is_refusal(int status)
{
    return status == 128 + SIGSYS || status == EPERM || status == EACCES;
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void refuses_all(confine_fn *confine)
{
    need_root();
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        int status = in_confined(confine, attempts[i].fn);
        if (!is_refusal(status))
            print_error("to %s: %d\n", attempts[i].what, status);
        assert_true(is_refusal(status));
    }
}

static void a_worker_can_do_nothing_with_names_processes_and_rights(void **state)
{
    (void)state;
    refuses_all(confine_worker);
}

static void a_compiler_can_do_nothing_with_names_processes_and_rights(void **state)
{
    (void)state;
    refuses_all(confine_compiler);
}

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

/* What a worker lives from. */
static int works(void)
{
    int done = 0;
    pthread_t t;
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code[0] = 0xc3; /* ret */
    if (mprotect(code, 4096, PROT_READ | PROT_EXEC) < 0)
        return 1;
    ((void (*)(void))(uintptr_t)code)();
    if (pthread_create(&t, NULL, thread, &done) || pthread_join(t, NULL) || !done)
        return 2;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    return epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, handed_in, &e) < 0 ? 3 : 0;
}

static void a_worker_has_threads_code_and_what_it_was_handed(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(in_confined(confine_worker, works), 0);
}

/* The steps by themselves, since the filter hides the others. */

static int after(int (*step)(void), int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (step_no_new_privileges() < 0 || step() < 0)
            _exit(255);
        _exit(fn());
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int signals_the_parent(void)
{
    return result(kill(getppid(), 0));
}

static int binds_a_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return result(bind(fd, (struct sockaddr *)&a, sizeof a));
}

static long landlock_version(void)
{
    return syscall(444, NULL, 0, 1);
}

static void landlock_alone_denies_files_ports_signals_and_abstract_sockets(void **state)
{
    (void)state;
    long version = landlock_version();
    if (version < 1)
        skip();
    assert_int_equal(after(step_landlock, opens_a_file), EACCES);
    assert_int_equal(after(step_landlock, runs_a_program), EACCES);
    if (version >= 4)
        assert_int_equal(after(step_landlock, binds_a_port), EACCES);
    if (version >= 6) {
        assert_int_equal(after(step_landlock, signals_the_parent), EPERM);
        assert_int_equal(after(step_landlock, connects_to_an_abstract_socket), EPERM);
    }
}

static int new_root(void)
{
    return step_unshare(CLONE_NEWNS) < 0 ? -1 : step_empty_root();
}

static int root_is_empty(void)
{
    DIR *d = opendir("/");
    int entries = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        entries++;
    return d && entries == 2 ? 0 : 1; /* . and .. */
}

static int root_has_no_parent(void)
{
    struct stat root, parent;
    return stat("/", &root) == 0 && stat("/..", &parent) == 0 && root.st_ino == parent.st_ino &&
                   root.st_dev == parent.st_dev
               ? 0
               : 1;
}

static void the_root_is_empty_and_cannot_be_written(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(after(new_root, root_is_empty), 0);
    assert_int_equal(after(new_root, root_has_no_parent), 0);
    assert_int_equal(after(new_root, opens_a_file), ENOENT);
    assert_int_equal(after(new_root, makes_a_file), EROFS);
}

static int no_capabilities(void)
{
    return step_capabilities(0);
}

static int has_no_capability(void)
{
    if (prctl(PR_CAPBSET_READ, 0, 0, 0, 0) != 0 || mount("none", "/", "tmpfs", 0, NULL) == 0)
        return 1;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
}

static void no_capability_is_left_in_any_set(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(after(no_capabilities, has_no_capability), 0);
}

static int setup(void **state)
{
    (void)state;
    snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "warren-confine-%d", getpid());
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    handed_in = socket(AF_UNIX, SOCK_STREAM, 0);
    dup2(handed_in, STDIN_FILENO); /* a compiler keeps the first three */
    handed_in = STDIN_FILENO;
    return bind(listening, (struct sockaddr *)&abstract, sizeof abstract) < 0 ||
                   listen(listening, 1) < 0
               ? -1
               : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_can_do_nothing_with_names_processes_and_rights),
        cmocka_unit_test(a_compiler_can_do_nothing_with_names_processes_and_rights),
        cmocka_unit_test(a_worker_has_threads_code_and_what_it_was_handed),
        cmocka_unit_test(landlock_alone_denies_files_ports_signals_and_abstract_sockets),
        cmocka_unit_test(the_root_is_empty_and_cannot_be_written),
        cmocka_unit_test(no_capability_is_left_in_any_set),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
