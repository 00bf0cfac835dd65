/* SPDX-License-Identifier: Apache-2.0 */
/* The profile for containers that bring none: what programs need is allowed, all else is EPERM; what a capability guards is
 * allowed to who has that capability. docs: docker's "Seccomp security profiles for Docker" says what is refused and why. */
#include <stdlib.h>

#include "base/str.h"
#include "container/profile.h"
#include "linux/sys.h"
#include "oci/spec.h"

static const char files[] =
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
    "fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
    "fdatasync fgetxattr file_getattr file_setattr flistxattr flock fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents "
    "getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch "
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl "
    "lchown lchown32 lgetxattr link linkat listxattr listxattrat llistxattr _llseek lremovexattr "
    "lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat "
    "_newselect open openat openat2 pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 "
    "pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv "
    "removexattr removexattrat rename renameat renameat2 rmdir select sendfile sendfile64 setxattr "
    "setxattrat splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range "
    "syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes "
    "vmsplice write writev";

static const char processes[] =
    "alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue "
    "futex_time64 futex_wait futex_waitv futex_wake get_robust_list getcpu getegid getegid32 "
    "geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid "
    "getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid "
    "gettid get_thread_area getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self membarrier modify_ldt nanosleep pause "
    "pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam "
    "sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid "
    "setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid "
    "setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid "
    "set_thread_area set_tid_address setuid setuid32 sigaltstack signalfd signalfd4 sigprocmask "
    "sigreturn sysinfo tgkill time times tkill ugetrlimit uname vfork wait4 waitid waitpid "
    "uretprobe process_mrelease";

static const char memory_and_time[] =
    "brk cachestat clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 getrandom "
    "gettimeofday adjtimex madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 "
    "mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget "
    "msgrcv msgsnd msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "remap_file_pages semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime "
    "timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64 ipc";

static const char network[] =
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall "
    "socketpair";

/* Since Linux 4.8 ptrace cannot be used to get past a filter; the same access check guards these. */
static const char tracing[] = "ptrace process_vm_readv process_vm_writev";

static const struct {
    int capability;
    const char *names;
} guarded[] = {
    {2 /* CAP_DAC_READ_SEARCH */, "open_by_handle_at"},
    {SYS_CAP_SYS_ADMIN,
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
     "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
     "sethostname setns syslog umount umount2 unshare listmount statmount"},
    {22 /* CAP_SYS_BOOT */, "reboot"},
    {18 /* CAP_SYS_CHROOT */, "chroot"},
    {16 /* CAP_SYS_MODULE */, "delete_module init_module finit_module"},
    {20 /* CAP_SYS_PACCT */, "acct"},
    {19 /* CAP_SYS_PTRACE */, "kcmp pidfd_getfd process_madvise"},
    {17 /* CAP_SYS_RAWIO */, "iopl ioperm"},
    {25 /* CAP_SYS_TIME */, "settimeofday stime clock_settime clock_settime64"},
    {26 /* CAP_SYS_TTY_CONFIG */, "vhangup"},
    {23 /* CAP_SYS_NICE */, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node move_pages "
                            "migrate_pages"},
    {34 /* CAP_SYSLOG */, "syslog"},
    {39 /* CAP_BPF */, "bpf"},
    {38 /* CAP_PERFMON */, "perf_event_open"},
};

enum { ENOSYS_NUMBER = 38, EPERM_NUMBER = 1, AF_VSOCK_NUMBER = 40 };

static char **words(struct arena *a, const char *text)
{
    size_t n = 1;
    char *copy = arena_strdup(a, text);
    for (const char *p = text; *p; p++)
        n += *p == ' ';
    char **v = arena_array(a, char *, n + 1);
    n = 0;
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        v[n++] = w;
    return v;
}

static struct oci_seccomp_syscall *add(struct oci_seccomp *p, struct arena *a, const char *names)
{
    struct oci_seccomp_syscall *s = &p->syscalls[p->syscalls_count++];
    s->names = words(a, names);
    s->action = (char *)"SCMP_ACT_ALLOW";
    return s;
}

static void add_with(struct oci_seccomp *p, struct arena *a, const char *name, const char *op,
                     uint64_t value, uint64_t second)
{
    struct oci_seccomp_syscall *s = add(p, a, name);
    s->args = arena_new(a, struct oci_seccomp_arg);
    s->args_count = 1;
    s->args[0] = (struct oci_seccomp_arg){0, value, second, (char *)op};
}

static void add_conditions(struct oci_seccomp *p, struct arena *a, uint64_t capabilities)
{
    static const uint64_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
        add_with(p, a, "personality", "SCMP_CMP_EQ", personalities[i], 0);
    /* AF_VSOCK would reach the hypervisor past every network namespace */
    add_with(p, a, "socket", "SCMP_CMP_NE", AF_VSOCK_NUMBER, 0);
    if (capabilities >> SYS_CAP_SYS_ADMIN & 1)
        return;
    uint64_t namespaces = (uint64_t)SYS_CLONE_NEWNS | SYS_CLONE_NEWCGROUP | SYS_CLONE_NEWUTS |
                          SYS_CLONE_NEWIPC | SYS_CLONE_NEWUSER | SYS_CLONE_NEWPID |
                          SYS_CLONE_NEWNET;
    add_with(p, a, "clone", "SCMP_CMP_MASKED_EQ", namespaces, 0);
    /* its flags are in memory, where a filter cannot look: libcs fall back to clone */
    struct oci_seccomp_syscall *s = add(p, a, "clone3");
    s->action = (char *)"SCMP_ACT_ERRNO";
    s->errno_ret = arena_new(a, uint32_t);
    *s->errno_ret = ENOSYS_NUMBER;
}

struct oci_seccomp *seccomp_default_profile(uint64_t capabilities, struct arena *a)
{
    enum { CONDITIONS = 16 };
    struct oci_seccomp *p = arena_new(a, struct oci_seccomp);
    p->default_action = (char *)"SCMP_ACT_ERRNO";
    p->default_errno_ret = arena_new(a, uint32_t);
    *p->default_errno_ret = EPERM_NUMBER;
#if defined(__x86_64__)
    p->architectures = words(a, "SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32");
#elif defined(__aarch64__)
    p->architectures = words(a, "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM");
#endif
    p->syscalls = arena_array(a, struct oci_seccomp_syscall, ARRAY_SIZE(guarded) + CONDITIONS);
    add(p, a, files);
    add(p, a, processes);
    add(p, a, memory_and_time);
    add(p, a, network);
    add(p, a, tracing);
    for (size_t i = 0; i < ARRAY_SIZE(guarded); i++)
        if (capabilities >> guarded[i].capability & 1)
            add(p, a, guarded[i].names);
    add_conditions(p, a, capabilities);
    return p;
}
