/* SPDX-License-Identifier: Apache-2.0 */
#include "processes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
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
int compile_apart(const struct confine *confine, enum wasm_profile profile)
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

/* The worker, which is killed with its parent: by the kernel, since that is the first process of the pid namespace, and by the signal
 * where there is none. */
static int be_worker(struct worker_options *worker, const struct confine *confine, pid_t parent)
{
    struct error err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) /* gone before the kernel knew */
        return 1;
    /* what takes the host's files to find out */
    worker->pid = confine_pid();
    if (!worker->threads)
        worker->threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    hibernate_init();
    busy_init();
    int r = confine_worker(confine, &err);
    if (!r)
        r = worker_run(worker, &err);
    if (r < 0)
        diag_error("%s", err.message);
    return r < 0;
}

/* The files process: ends as its worker does. */
static int be_files(const struct files_options *files, const struct confine *confine, pid_t worker)
{
    struct error err = {0};
    int status = 0;
    int r = confine_files(confine, &err);
    if (!r)
        r = files_run(files, &err);
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
static int hold(struct worker_options *worker, struct files_options *files,
                const struct confine *confine, char *name)
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
        return be_worker(worker, confine, self);
    }
    rename_self(name);
    close(worker->listen);
    files->requests = requests[mine];
    files->records = records[mine];
    return be_files(files, confine, pid);
}

int hold_apart(struct worker_options *worker, struct files_options *files,
               const struct confine *confine, char *name)
{
    struct error err = {0};
    struct rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    setpgid(0, 0); /* the terminal's signals are the supervisor's */
    pid_t pid = confine_fork(confine, &err);
    if (pid < 0)
        diag_error("%s", err.message);
    /* the child is init's from here on, as it would be after the supervisor's end; it says by its socket that it has ended */
    return pid ? pid < 0 : hold(worker, files, confine, name);
}
