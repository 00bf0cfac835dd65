/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/capability.h"

#include <errno.h>
#include <stdint.h>
#include <strings.h>

#include "base/base.h"

/* In the order of their numbers (capabilities(7)); the default: docker's documentation, "Runtime
 * privilege and Linux capabilities". */
static const struct {
    const char *name;
    bool by_default;
} all[] = {
    {"CAP_CHOWN", true},
    {"CAP_DAC_OVERRIDE", true},
    {"CAP_DAC_READ_SEARCH", false},
    {"CAP_FOWNER", true},
    {"CAP_FSETID", true},
    {"CAP_KILL", true},
    {"CAP_SETGID", true},
    {"CAP_SETUID", true},
    {"CAP_SETPCAP", true},
    {"CAP_LINUX_IMMUTABLE", false},
    {"CAP_NET_BIND_SERVICE", true},
    {"CAP_NET_BROADCAST", false},
    {"CAP_NET_ADMIN", false},
    {"CAP_NET_RAW", true},
    {"CAP_IPC_LOCK", false},
    {"CAP_IPC_OWNER", false},
    {"CAP_SYS_MODULE", false},
    {"CAP_SYS_RAWIO", false},
    {"CAP_SYS_CHROOT", true},
    {"CAP_SYS_PTRACE", false},
    {"CAP_SYS_PACCT", false},
    {"CAP_SYS_ADMIN", false},
    {"CAP_SYS_BOOT", false},
    {"CAP_SYS_NICE", false},
    {"CAP_SYS_RESOURCE", false},
    {"CAP_SYS_TIME", false},
    {"CAP_SYS_TTY_CONFIG", false},
    {"CAP_MKNOD", true},
    {"CAP_LEASE", false},
    {"CAP_AUDIT_WRITE", true},
    {"CAP_AUDIT_CONTROL", false},
    {"CAP_SETFCAP", true},
    {"CAP_MAC_OVERRIDE", false},
    {"CAP_MAC_ADMIN", false},
    {"CAP_SYSLOG", false},
    {"CAP_WAKE_ALARM", false},
    {"CAP_BLOCK_SUSPEND", false},
    {"CAP_AUDIT_READ", false},
    {"CAP_PERFMON", false},
    {"CAP_BPF", false},
    {"CAP_CHECKPOINT_RESTORE", false},
};

static int apply(uint64_t *set, char *const *names, size_t n, bool on, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = strncasecmp(names[i], "CAP_", 4) ? names[i] : names[i] + 4;
        uint64_t bits = 0;
        for (size_t k = 0; k < ARRAY_SIZE(all); k++)
            if (!strcasecmp(name, "ALL") || !strcasecmp(name, all[k].name + 4))
                bits |= UINT64_C(1) << k;
        if (!bits)
            return fail_plain(err, EINVAL,
                              "linux.security_context.capabilities: '%s' is no capability",
                              names[i]);
        *set = on ? *set | bits : *set & ~bits;
    }
    return 0;
}

static bool has_all(char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcasecmp(names[i], "ALL"))
            return true;
    return false;
}

int capability_list(struct arena *a, bool privileged, char *const *add, size_t n_add,
                    char *const *drop, size_t n_drop, char ***ret, struct error *err)
{
    uint64_t set = 0;
    for (size_t k = 0; k < ARRAY_SIZE(all); k++)
        if (privileged || all[k].by_default)
            set |= UINT64_C(1) << k;
    /* "drop ALL, add X" leaves X; "add ALL, drop X" leaves all but X (kubernetes' reading of both
     * lists) */
    int r = 0;
    if (has_all(drop, n_drop)) {
        r = apply(&set, drop, n_drop, false, err);
        r = r < 0 ? r : apply(&set, add, n_add, true, err);
    } else {
        r = apply(&set, add, n_add, true, err);
        r = r < 0 ? r : apply(&set, drop, n_drop, false, err);
    }
    if (r < 0)
        return r;
    char **list = arena_array(a, char *, ARRAY_SIZE(all) + 1);
    size_t n = 0;
    for (size_t k = 0; k < ARRAY_SIZE(all); k++)
        if (set >> k & 1)
            list[n++] = (char *)all[k].name;
    *ret = list;
    return 0;
}
