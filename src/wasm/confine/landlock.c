/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock's system calls, which libc has not. Source: linux/landlock.h and Documentation/userspace-api/landlock.rst; the header of this
 * build may be older than the kernel. */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/confine/steps.h"

enum { CREATE_RULESET_VERSION = 1, NR_CREATE_RULESET = 444, NR_RESTRICT_SELF = 446 };

struct ruleset {
    uint64_t files, net, scoped;
};

/* What each version of the interface has added. */
static const struct {
    long version;
    struct ruleset adds;
    size_t size; /* of the structure */
} versions[] = {
    {1, {.files = 0x1fff}, 8},  /* execute, read, write, make and remove of each kind */
    {2, {.files = 0x2000}, 8},  /* refer */
    {3, {.files = 0x4000}, 8},  /* truncate */
    {4, {.net = 0x3}, 16},      /* bind and connect of TCP */
    {5, {.files = 0x8000}, 16}, /* ioctl of devices */
    {6, {.scoped = 0x3}, 24},   /* abstract Unix sockets and signals of others */
};

int step_landlock(void)
{
    struct ruleset all = {0};
    size_t size = 0;
    long version = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(versions) && versions[i].version <= version; i++) {
        all.files |= versions[i].adds.files;
        all.net |= versions[i].adds.net;
        all.scoped |= versions[i].adds.scoped;
        size = versions[i].size;
    }
    autoclose int fd = (int)syscall(NR_CREATE_RULESET, &all, size, 0);
    if (fd < 0)
        return -errno;
    return syscall(NR_RESTRICT_SELF, fd, 0) < 0 ? -errno : 0;
}
