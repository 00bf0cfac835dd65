/* SPDX-License-Identifier: Apache-2.0 */
/* Holds wasm pods for warren-wasm, or compiles one module. Not for users: started by the supervisor. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/compiled.h"
#include "wasm/confine/confine.h"
#include "wasm/files/files.h"
#include "wasm/worker/busy.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/worker.h"

enum { COMPILE_CPU_S = 240 };
#if !defined(__SANITIZE_ADDRESS__)
#define COMPILE_DATA (UINT64_C(4) << 30)
#endif

static int usage(int status)
{
    fputs(
        "Usage: warren-wasm-worker --listen-fd FD --files-fd FD --key KEY [--threads N] [--dir "
        "DIR] [CONFINEMENT]\n"
        "       warren-wasm-worker --compile dense|busy [CONFINEMENT] <MODULE >COMPILED\n"
        "CONFINEMENT: --uids FIRST (each process is of FIRST plus its pid), --isolation-required, "
        "--debug\n"
        "Holds WebAssembly pods for warren-wasm, which starts it.\n",
        status ? stderr : stdout);
    return status;
}

/* Of who reads what anybody has written. */
static void limit(int resource, uint64_t most)
{
    struct rlimit l = {most, most};
    setrlimit(resource, &l);
}

/* One module in, one compiled file out. */
static int compile(const struct confine *confine, enum wasm_profile profile)
{
    struct error err = {0};
    limit(RLIMIT_CPU, COMPILE_CPU_S);
    limit(RLIMIT_FSIZE, COMPILED_MAX);
#if !defined(__SANITIZE_ADDRESS__) /* its shadow counts as data */
    limit(RLIMIT_DATA, COMPILE_DATA);
#endif
    int r = confine_compiler(confine, &err);
    if (!r)
        r = runtime_compile(profile, 0, 1, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.message);
    return r == -ENOEXEC ? COMPILE_INVALID : r < 0;
}

/* Compiles in a child, which is in a pid namespace of its own, and ends as it does. */
static int compile_apart(const struct confine *confine, enum wasm_profile profile)
{
    struct error err = {0};
    int status = 0;
    pid_t pid = confine_fork(confine, &err);
    if (pid < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (!pid)
        _exit(compile(confine, profile));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    limit(RLIMIT_CORE, 0);
    if (WIFSIGNALED(status))
        raise(WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The files process has the worker's arguments, and a name of its own in front of them. */
static void rename_self(char *name)
{
    static const char worker[] = "warren-wasm-worker", files[] = "warren-wasm-files";
    char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    if (str_eq(base, worker))
        memcpy(base, files, sizeof files);
    prctl(PR_SET_NAME, files, 0, 0, 0);
}

/* The worker, which is killed with its parent. */
static int be_worker(struct worker_options *worker, pid_t parent)
{
    struct error err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) /* gone before the kernel knew */
        return 1;
    int r = worker_run(worker, &err);
    if (r < 0)
        diag_error("%s", err.message);
    return r < 0;
}

/* The files process: ends as its worker does. */
static int be_files(const struct files_options *files, pid_t worker)
{
    struct error err = {0};
    int status = 0;
    int r = files_run(files, &err);
    if (r < 0) {
        diag_error("%s", err.message);
        kill(worker, SIGKILL);
    }
    while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        diag_warning("the worker was ended by signal %d", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Becomes two processes, which the socketpairs join. */
static int hold(struct worker_options *worker, struct files_options *files, char *name)
{
    int requests[2], records[2];
    pid_t self = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, requests) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, records) < 0) {
        diag_error("join worker and files: %s", strerror(errno));
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        diag_error("start the worker: %s", strerror(errno));
        return 1;
    }
    int mine = pid ? 0 : 1;
    close(requests[!mine]);
    close(records[!mine]);
    if (!pid) {
        close(files->listen);
        worker->requests = requests[mine];
        worker->records = records[mine];
        hibernate_init();
        return be_worker(worker, self);
    }
    rename_self(name);
    close(worker->listen);
    files->requests = requests[mine];
    files->records = records[mine];
    return be_files(files, pid);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen-fd", required_argument, NULL, 'l'},
                                            {"files-fd", required_argument, NULL, 'f'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"compile", required_argument, NULL, 'c'},
                                            {"uids", required_argument, NULL, 'u'},
                                            {"isolation-required", no_argument, NULL, 'r'},
                                            {"debug", no_argument, NULL, 'D'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct worker_options worker = {.listen = -1, .key = ""};
    struct files_options files = {.listen = -1};
    struct confine confine = {0};
    bool compiles = false;
    enum wasm_profile profile = WASM_DENSE;
    int64_t n;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            if (str_parse_int(optarg, 0, INT32_MAX, &n) < 0)
                return usage(2);
            worker.listen = (int)n;
            break;
        case 'f':
            if (str_parse_int(optarg, 0, INT32_MAX, &n) < 0)
                return usage(2);
            files.listen = (int)n;
            break;
        case 'k':
            worker.key = optarg;
            break;
        case 't':
            if (str_parse_int(optarg, 0, 1024, &n) < 0)
                return usage(2);
            worker.threads = (unsigned)n;
            break;
        case 'd': /* for who reads the list of processes: whose worker it is */
            break;
        case 'c':
            compiles = true;
            if (!wasm_profile_parse(optarg, &profile))
                return usage(2);
            break;
        case 'u':
            if (str_parse_int(optarg, 0, UINT32_MAX - CONFINE_UIDS, &n) < 0)
                return usage(2);
            confine.uids = (uint32_t)n;
            break;
        case 'r':
            confine.required = true;
            break;
        case 'D':
            confine.debug = true;
            break;
        case 'v':
            puts("warren-wasm-worker " WARREN_VERSION);
            return 0;
        case 'h':
            return usage(0);
        default:
            return usage(2);
        }
    }
    struct error err = {0};
    diag_init("warren-wasm-worker", DIAG_INFO);
    busy_init();
    if (compiles)
        _exit(compile_apart(&confine, profile));
    if (worker_confine(&err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (worker.listen < 0 || files.listen < 0)
        return usage(2);
    _exit(hold(&worker, &files, argv[0])); /* threads go on to the end */
}
