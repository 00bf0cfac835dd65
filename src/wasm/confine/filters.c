/* SPDX-License-Identifier: Apache-2.0 */
/* Run when Warren is built: prints the seccomp programs of the worker, the files process and the compiler as C, so that none of
 * them has libseccomp in it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "wasm/confine/filter.h"

enum {
    WORKER = 1,
    FILES = 2,
    COMPILER = 4,
    ALL = WORKER | FILES | COMPILER,
    HOLD = WORKER | FILES
};
enum { CONDITIONS_MAX = 2 };

/* pthread_create()'s: no process, no namespace. */
#define THREAD                                                                                     \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

struct rule {
    unsigned who;
    const char *name;
    unsigned count;
    struct scmp_arg_cmp args[CONDITIONS_MAX]; /* all of them */
};
#define EQ(arg, value) SCMP_CMP64(arg, SCMP_CMP_EQ, (uint64_t)(value))
#define BITS(arg, mask, value)                                                                     \
    SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, (uint64_t)(mask), (uint64_t)(value))
#define IF1(a)                                                                                     \
    1,                                                                                             \
    {                                                                                              \
        a                                                                                          \
    }
#define IF2(a, b)                                                                                  \
    2,                                                                                             \
    {                                                                                              \
        a, b                                                                                       \
    }
#define ALWAYS                                                                                     \
    0,                                                                                             \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* One call with several rules is allowed by any of them. */
static const struct rule allowed[] = {
    /* memory; never writable and executable at once */
    {ALL, "mmap", IF1(BITS(2, PROT_EXEC, 0))},
    {ALL, "mmap", IF1(BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC))},
    {ALL, "mprotect", IF1(BITS(2, PROT_EXEC, 0))},
    {ALL, "mprotect", IF1(BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC))},
    {ALL, "munmap", ALWAYS},
    {ALL, "mremap", ALWAYS},
    {ALL, "madvise", ALWAYS},
    {ALL, "mincore", ALWAYS},
    {ALL, "brk", ALWAYS},
    {HOLD, "memfd_create", ALWAYS}, /* images of memories, copied on write */

    /* threads and time */
    {ALL, "futex", ALWAYS},
    {HOLD, "clone", IF1(EQ(0, THREAD))},
    {ALL, "set_robust_list", ALWAYS},
    {ALL, "rseq", ALWAYS},
    {ALL, "sched_yield", ALWAYS},
    {ALL, "sched_getaffinity", ALWAYS},
    {HOLD, "setpriority", IF1(EQ(0, 0))}, /* of processes it can see: its own threads */
    {HOLD, "getpriority", IF1(EQ(0, 0))},
    {HOLD, "sched_setscheduler", ALWAYS},
    {HOLD, "sched_getscheduler", ALWAYS},
    {HOLD, "prctl", IF1(EQ(0, PR_SET_NAME))},
    {ALL, "gettid", ALWAYS},
    {ALL, "getpid", ALWAYS},
    {ALL, "clock_gettime", ALWAYS},
    {ALL, "clock_getres", ALWAYS},
    {ALL, "clock_nanosleep", ALWAYS},
    {ALL, "nanosleep", ALWAYS},
    {ALL, "gettimeofday", ALWAYS},
    {ALL, "time", ALWAYS},
    {ALL, "getrandom", ALWAYS},
    {ALL, "sysinfo", ALWAYS},
    {ALL, "getrusage", ALWAYS},
    {ALL, "prlimit64", IF2(EQ(0, 0), EQ(2, 0))}, /* asks */

    /* signals */
    {ALL, "rt_sigaction", ALWAYS},
    {ALL, "rt_sigprocmask", ALWAYS},
    {ALL, "rt_sigreturn", ALWAYS},
    {ALL, "sigaltstack", ALWAYS},
    {ALL, "tgkill", IF1(EQ(0, FILTER_OWN_PID))},
    {ALL, "restart_syscall", ALWAYS},
    {ALL, "exit", ALWAYS},
    {ALL, "exit_group", ALWAYS},

    /* open descriptors */
    {ALL, "read", ALWAYS},
    {ALL, "write", ALWAYS},
    {ALL, "close", ALWAYS},
    {ALL, "fstat", ALWAYS},
    {ALL, "lseek", ALWAYS},
    {ALL, "pread64", ALWAYS},
    {ALL, "newfstatat", IF1(BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH))},
    {ALL, "ftruncate", ALWAYS},
    {ALL, "fcntl", IF1(EQ(1, F_GETFL))},
    {ALL, "fcntl", IF1(EQ(1, F_ADD_SEALS))},
    {ALL, "fcntl", IF1(EQ(1, F_GET_SEALS))},
    {HOLD, "fcntl", IF1(EQ(1, F_SETFL))},
    {HOLD, "fcntl", IF1(EQ(1, F_GETFD))},
    {HOLD, "fcntl", IF1(EQ(1, F_SETFD))},
    {HOLD, "fcntl", IF1(EQ(1, F_DUPFD_CLOEXEC))},
    {HOLD, "dup", ALWAYS},
    {HOLD, "dup3", ALWAYS},
    {HOLD, "readv", ALWAYS},
    {ALL, "writev", ALWAYS},
    {HOLD, "pwrite64", ALWAYS},
    {HOLD, "preadv", ALWAYS},
    {HOLD, "pwritev", ALWAYS},
    {HOLD, "preadv2", ALWAYS},
    {HOLD, "pwritev2", ALWAYS},
    {HOLD, "fallocate", ALWAYS},
    {HOLD, "fadvise64", ALWAYS},
    {HOLD, "fsync", ALWAYS},
    {HOLD, "fdatasync", ALWAYS},
    {HOLD, "getdents64", ALWAYS},
    {HOLD, "utimensat", IF1(EQ(1, 0))},
    {HOLD, "ioctl", IF1(EQ(1, FIONREAD))},

    /* waiting, and the sockets that were handed in */
    {HOLD, "poll", ALWAYS},
    {HOLD, "ppoll", ALWAYS},
    {HOLD, "epoll_create1", ALWAYS},
    {HOLD, "epoll_ctl", ALWAYS},
    {HOLD, "epoll_wait", ALWAYS},
    {HOLD, "epoll_pwait", ALWAYS},
    {HOLD, "epoll_pwait2", ALWAYS},
    {HOLD, "eventfd2", ALWAYS},
    {HOLD, "accept4", ALWAYS},
    {HOLD, "recvfrom", ALWAYS},
    {HOLD, "recvmsg", ALWAYS},
    {HOLD, "sendto", IF1(EQ(4, 0))}, /* to whom it is connected */
    {HOLD, "sendmsg", ALWAYS},
    {HOLD, "shutdown", ALWAYS},
    {HOLD, "getsockname", ALWAYS},
    {HOLD, "getsockopt", ALWAYS},

    /* the files process: names */
    {FILES, "openat2", ALWAYS},
    {FILES, "openat", ALWAYS},
    {FILES, "newfstatat", ALWAYS},
    {FILES, "statx", ALWAYS},
    {FILES, "readlinkat", ALWAYS},
    {FILES, "readlink", ALWAYS},
    {FILES, "access", ALWAYS},
    {FILES, "faccessat", ALWAYS},
    {FILES, "faccessat2", ALWAYS},
    {FILES, "statfs", ALWAYS},
    {FILES, "fstatfs", ALWAYS},
    {FILES, "mkdirat", ALWAYS},
    {FILES, "mkdir", ALWAYS},
    {FILES, "unlinkat", ALWAYS},
    {FILES, "unlink", ALWAYS},
    {FILES, "rename", ALWAYS},
    {FILES, "renameat", ALWAYS},
    {FILES, "renameat2", ALWAYS},
    {FILES, "linkat", ALWAYS},
    {FILES, "symlinkat", ALWAYS},
    {FILES, "mknodat", ALWAYS}, /* a whiteout; without CAP_MKNOD no other device */
    {FILES, "fchmod", ALWAYS},
    {FILES, "fchmodat", ALWAYS},
    {FILES, "chmod", ALWAYS},
    {FILES, "fchown", ALWAYS},
    {FILES, "fchownat", ALWAYS},
    {FILES, "utimensat", ALWAYS},
    {FILES, "getxattr", ALWAYS},
    {FILES, "lgetxattr", ALWAYS},
    {FILES, "fgetxattr", ALWAYS},
    {FILES, "listxattr", ALWAYS},
    {FILES, "llistxattr", ALWAYS},
    {FILES, "flistxattr", ALWAYS},
    {FILES, "setxattr", ALWAYS},
    {FILES, "lsetxattr", ALWAYS},
    {FILES, "fsetxattr", ALWAYS},
    {FILES, "setfsuid", ALWAYS}, /* a container's user */
    {FILES, "setfsgid", ALWAYS},
    {FILES, "setgroups", ALWAYS},
    {FILES, "copy_file_range", ALWAYS},
    {FILES, "sendfile", ALWAYS},
    {FILES, "flock", ALWAYS},
    {FILES, "wait4", ALWAYS},
    {FILES, "kill", ALWAYS}, /* its pid namespace has its worker alone */
    {FILES, "getppid", ALWAYS},
    {FILES, "geteuid", ALWAYS},
    {FILES, "getuid", ALWAYS},
    {FILES, "getegid", ALWAYS},
    {FILES, "getgid", ALWAYS},
    {FILES, "umask", ALWAYS},
};

/* What libraries try by themselves and can do without: a path looked up, clone3() where clone() is as good, whether a descriptor is a
 * terminal. It fails, where all else that is not allowed ends the process. */
static const struct {
    struct rule rule;
    uint32_t code;
} refused[] = {
    {{ALL, "clone3", ALWAYS}, ENOSYS},
    {{ALL, "ioctl", IF1(EQ(1, TCGETS))}, ENOTTY},
    {{WORKER | COMPILER, "open", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "openat", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "stat", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "statx", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "access", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "readlink", ALWAYS}, EPERM},
    {{WORKER | COMPILER, "getcwd", ALWAYS}, EPERM},
};

static void die(const char *what, const char *name, int e)
{
    fprintf(stderr, "seccomp: %s %s: %s\n", what, name, strerror(e < 0 ? -e : e));
    exit(1);
}

static int number(const char *name)
{
    int n = seccomp_syscall_resolve_name(name);
    if (n < 0)
        die("no such call:", name, 0);
    return n;
}

static void print(scmp_filter_ctx filter, const char *name)
{
    int fd = memfd_create("filter", 0);
    int e = fd < 0 ? -1 : seccomp_export_bpf(filter, fd);
    if (e < 0)
        die("make", name, e);
    lseek(fd, 0, SEEK_SET);
    printf("static const struct filter_instruction %s_filter[] = {\n", name);
    for (struct filter_instruction i; read(fd, &i, sizeof i) == sizeof i;)
        printf("    {0x%x, %u, %u, 0x%x},\n", i.code, i.if_true, i.if_false, i.value);
    printf("};\n");
    close(fd);
}

static void add(scmp_filter_ctx filter, unsigned who, uint32_t action, const struct rule *r)
{
    if (!(r->who & who))
        return;
    int e = seccomp_rule_add_array(filter, action, number(r->name), r->count, r->args);
    if (e < 0)
        die("add", r->name, e);
}

static void make(unsigned who, const char *name)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        die("make", name, 0);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        add(filter, who, SCMP_ACT_ALLOW, &allowed[i]);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        add(filter, who, SCMP_ACT_ERRNO(refused[i].code), &refused[i].rule);
    print(filter, name);
    seccomp_release(filter);
}

int main(void)
{
    puts("/* Made by filters.c. */");
    make(WORKER, "worker");
    make(FILES, "files");
    make(COMPILER, "compiler");
    return 0;
}
