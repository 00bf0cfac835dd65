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
    fputs("Usage: warren-wasm-worker --listen-fd FD --files-fd FD --key KEY [--threads N] [--dir "
          "DIR]\n"
          "       warren-wasm-worker --compile dense|busy <MODULE >COMPILED\n"
          "Holds WebAssembly pods for warren-wasm, which starts it.\n",
          status ? stderr : stdout);
    return status;
}

/* One module in, one compiled file out; bounded, since a module is anybody's. */
static int compile(enum wasm_profile profile)
{
    struct error err = {0};
    struct rlimit cpu = {COMPILE_CPU_S, COMPILE_CPU_S};
    setrlimit(RLIMIT_CPU, &cpu);
#if !defined(__SANITIZE_ADDRESS__) /* its shadow counts as data */
    struct rlimit data = {COMPILE_DATA, COMPILE_DATA};
    setrlimit(RLIMIT_DATA, &data);
#endif
    int r = runtime_compile(profile, 0, 1, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.message);
    return r == -ENOEXEC ? COMPILE_INVALID : r < 0;
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
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct worker_options worker = {.listen = -1, .key = ""};
    struct files_options files = {.listen = -1};
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
    if (worker_confine(&err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (compiles)
        return compile(profile);
    if (worker.listen < 0 || files.listen < 0)
        return usage(2);
    _exit(hold(&worker, &files, argv[0])); /* threads go on to the end */
}
