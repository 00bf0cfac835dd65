/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "linux/sys.h"
#include "wasm/confine/steps.h"

int step_capabilities(uint64_t kept)
{
    struct sys_caps caps;
    if (sys_capget(&caps) < 0)
        return -errno;
    /* who has not CAP_SETPCAP may not, and has nothing to lose: no_new_privs */
    if (caps.effective & UINT64_C(1) << SYS_CAP_SETPCAP)
        for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
            if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                return -errno;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    caps.permitted &= kept;
    caps.effective = caps.permitted;
    caps.inheritable = 0;
    return sys_capset(&caps) < 0 ? -errno : 0;
}

int step_no_new_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int step_not_dumpable(void)
{
    static const struct rlimit none = {0};
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}
