/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/slice.h"

#include <sys/syscall.h>
#include <unistd.h>

struct attributes { /* struct sched_attr, which glibc has from 2.41 on */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void linux_set_slice(pid_t thread, uint64_t ns)
{
    struct attributes a = {0};
    if (syscall(SYS_sched_getattr, thread, &a, sizeof a, 0) < 0)
        return;
    a.size = sizeof a;
    a.flags = 0;
    a.runtime = ns;
    syscall(SYS_sched_setattr, thread, &a, 0);
}
