/* SPDX-License-Identifier: Apache-2.0 */
/* The pod's namespaces: the keeper is in its net, ipc and uts namespace, and stays in the host's pid namespace. A shared pid
 * namespace is held by an init of ours. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "linux/sys.h"
#include "namespace/keeper.h"

static pid_t init_pid;

pid_t pod_init(void)
{
    return init_pid;
}

void pod_privileges(bool raised)
{
    enum { CAP_DAC_OVERRIDE = 1, CAP_KILL = 5 };
    struct sys_caps caps;
    if (sys_capget(&caps) < 0)
        return;
    caps.effective = caps.permitted;
    if (!raised)
        caps.effective &= UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_KILL;
    sys_capset(&caps);
}

void pod_reaped(pid_t pid)
{
    if (pid == init_pid)
        init_pid = -1;
}

static int loopback_up(struct error *err)
{
    autoclose int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {.ifr_name = "lo"};
    if (s < 0 || ioctl(s, SIOCGIFFLAGS, &r) < 0)
        return fail(err, errno, "look at the loopback interface");
    r.ifr_flags |= IFF_UP;
    return ioctl(s, SIOCSIFFLAGS, &r) < 0 ? fail(err, errno, "bring the loopback interface up") : 0;
}

static int netns_enter(const char *path, struct error *err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        return fail(err, errno, "enter the pod's network namespace '%s'", path);
    return 0;
}

static int set_sysctl(const char *text, struct error *err)
{
    char path[512];
    const char *equals = strchr(text, '=');
    if (!equals || equals - text > 400 || strstr(text, ".."))
        return fail_plain(err, EINVAL, "sysctl '%s' is not NAME=VALUE", text);
    int n = snprintf(path, sizeof path, "/proc/sys/%.*s", (int)(equals - text), text);
    for (char *p = path + strlen("/proc/sys/"); p < path + n; p++)
        if (*p == '.')
            *p = '/';
    autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, equals + 1, strlen(equals + 1)) < 0)
        return fail(err, errno, "set sysctl '%s'", text);
    return 0;
}

/* The shared pid namespace's PID 1 */

static int drop_everything(void)
{
    /* an empty root, so that nothing of the host can be reached through /proc/1/root */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
              "nr_inodes=2,size=4k") < 0 ||
        chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        return -errno;
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    uint32_t none[2][3] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

__attribute__((noreturn)) static void init_main(int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "init");
    if (getppid() !=
        0) /* the keeper is outside of this namespace; its end before prctl() would show as 1 */
        _exit(1);
    int r = drop_everything();
    if (write(ready, &r, sizeof r) != sizeof r || r < 0)
        _exit(1);
    syscall(SYS_close_range, 0, ~0u, 0);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    for (int signal;; sigwait(&all, &signal))
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
}

static int init_start(struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail(err, errno, "make a pipe");
    autoclose int in = ends[0];
    long pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        init_main(ends[1]);
    int saved = errno;
    close(ends[1]);
    if (pid < 0)
        return fail(err, saved, "make the pod's pid namespace");
    init_pid = (pid_t)pid;
    int r = -ESRCH;
    if (read(in, &r, sizeof r) != sizeof r)
        r = -ESRCH;
    return r < 0 ? fail(err, r, "start the pod's init") : 0;
}

static int pid_switch(const char *path, struct error *err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWPID) < 0)
        return fail(err, errno, "enter the pod's pid namespace");
    return 0;
}

int pod_pid_enter(struct error *err)
{
    if (init_pid <= 0)
        return fail_plain(err, ESRCH, "the pod has no pid namespace, or its init has ended");
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/pid", init_pid);
    return pid_switch(path, err);
}

int pod_pid_return(struct error *err)
{
    return pid_switch("/proc/self/ns/pid", err);
}

int pod_enter(uint32_t flags, const char *hostname, struct wire_reader *sysctls, const char *netns,
              pid_t *ret_init, struct error *err)
{
    int new = (flags & WIRE_POD_NET ? CLONE_NEWNET : 0) |
              (flags & WIRE_POD_IPC ? CLONE_NEWIPC : 0) | (flags & WIRE_POD_UTS ? CLONE_NEWUTS : 0);
    if (new &&unshare(new) < 0)
        return fail(err, errno, "make the pod's namespaces");
    int r = flags & WIRE_POD_NET ? loopback_up(err) : 0;
    if (flags & WIRE_POD_NET_PATH)
        r = netns_enter(netns, err);
    if (r < 0)
        return r;
    if (flags & WIRE_POD_UTS && *hostname && sethostname(hostname, strlen(hostname)) < 0)
        return fail(err, errno, "set the hostname '%s'", hostname);
    while (sysctls->at < sysctls->end) {
        const char *text = wire_str(sysctls);
        if (sysctls->bad)
            return fail_plain(err, EPROTO, "a request that cannot be read");
        r = set_sysctl(text, err);
        if (r < 0)
            return r;
    }
    if (flags & WIRE_POD_PID) {
        r = init_start(err);
        if (r < 0)
            return r;
    }
    *ret_init = init_pid > 0 ? init_pid : 0;
    return 0;
}
