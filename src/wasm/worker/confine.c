/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/worker.h"

/* linux/capability.h, whose name a header of ours has */
enum { CAP_CHOWN = 0, CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3, CAP_FSETID = 4 };
enum { CAPABILITY_VERSION_3 = 0x20080522 };
struct capability_head {
    uint32_t version;
    int pid;
};
struct capability_data {
    uint32_t effective, permitted, inheritable;
};

/* The rootfs' files belong to whom the image says. */
static const unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID};

int worker_confine(struct error *err)
{
    struct capability_head head = {.version = CAPABILITY_VERSION_3};
    struct capability_data data[2] = {{0}, {0}};
    uint32_t wanted = 0;
    struct rlimit limit;
    umask(022);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    /* no network and no IPC of the host's; who may not unshare has no capability to lose either */
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0 && errno != EPERM && errno != EINVAL &&
        errno != ENOSPC)
        return fail(err, errno, "leave the host's network");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(err, errno, "give up new privileges");
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* huge pages would make small instances large */
    for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EPERM)
            return fail(err, errno, "give up capability %u", c);
    if (syscall(SYS_capget, &head, data) < 0)
        return fail(err, errno, "read the capabilities");
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        wanted |= 1u << kept[i];
    data[0].permitted &= wanted;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    data[1] = (struct capability_data){0};
    if (syscall(SYS_capset, &head, data) < 0)
        return fail(err, errno, "give up capabilities");
    return 0;
}
