/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/base.h"
#include "linux/sys.h"
#include "wasm/confine/steps.h"

int step_unshare(int flags)
{
    return unshare(flags) < 0 ? -errno : 0;
}

static int write_to(int dir, const char *name, const char *text)
{
    autoclose int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int step_open_self(void)
{
    return open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int step_user_namespace(int self)
{
    char uid[64], gid[64];
    snprintf(uid, sizeof uid, "%u %u 1", geteuid(), geteuid());
    snprintf(gid, sizeof gid, "%u %u 1", getegid(), getegid());
    if (self < 0)
        return -ENOENT;
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    int r = write_to(self, "setgroups", "deny");
    if (!r)
        r = write_to(self, "uid_map", uid);
    return r ? r : write_to(self, "gid_map", gid);
}

int step_empty_root(void)
{
    static const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    /* nothing of ours may reach the host, not even the unmounting */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    /* over a directory that is there on any machine */
    if (mount("warren", "/proc", "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555") < 0)
        return -errno;
    if (chdir("/proc") < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return -errno;
    return 0;
}

int step_uid(uint32_t uid)
{
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    /* another uid is not dumpable, and /proc/self would be root's: the user namespace's maps are written there */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}
