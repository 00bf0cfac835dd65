/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

struct identity {
    struct list link;
    unsigned references;
    uint32_t uid, gid;
    size_t group_count;
    uint32_t groups[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list known = LIST_INIT(known);

static struct identity *find(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count)
{
    struct identity *i;
    list_each(i, &known, link)
    {
        if (i->uid == uid && i->gid == gid && i->group_count == count &&
            (!count || memcmp(i->groups, groups, count * sizeof *groups) == 0))
            return i;
    }
    return NULL;
}

static struct identity *make(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count)
{
    struct identity *i = calloc(1, sizeof *i + count * sizeof *groups);
    if (!i)
        return NULL;
    i->uid = uid;
    i->gid = gid;
    i->group_count = count;
    if (count)
        memcpy(i->groups, groups, count * sizeof *groups);
    list_append(&known, &i->link);
    return i;
}

int identity_get(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count,
                 struct identity **ret)
{
    *ret = NULL;
    if (!uid && !gid)
        return 0;
    pthread_mutex_lock(&lock);
    struct identity *i = find(uid, gid, groups, count);
    if (!i)
        i = make(uid, gid, groups, count);
    if (i)
        i->references++;
    pthread_mutex_unlock(&lock);
    *ret = i;
    return i ? 0 : -ENOMEM;
}

void identity_put(struct identity *who)
{
    if (!who)
        return;
    pthread_mutex_lock(&lock);
    if (--who->references == 0) {
        list_remove(&who->link);
        free(who);
    }
    pthread_mutex_unlock(&lock);
}

/* The raw call: libc's goes round all threads. */
static int set_groups(const uint32_t *groups, size_t count)
{
    return syscall(SYS_setgroups, count, groups) < 0 ? -errno : 0;
}

int identity_enter(const struct identity *who)
{
    if (!who)
        return 0;
    int r = set_groups(who->groups, who->group_count);
    if (r < 0)
        return r;
    setfsgid(who->gid);
    setfsuid(who->uid);
    /* they return what was before, and no error */
    if ((uint32_t)setfsgid(UINT32_MAX) == who->gid && (uint32_t)setfsuid(UINT32_MAX) == who->uid)
        return 0;
    identity_leave(who);
    return -EPERM;
}

/* The groups stay: root's rights do not come from them. */
void identity_leave(const struct identity *who)
{
    int e = errno;
    if (who) {
        setfsuid(0);
        setfsgid(0);
    }
    errno = e;
}

int identity_check(const struct identity *who, int fd, int mode)
{
    if (!who)
        return 0;
    int r = identity_enter(who);
    if (r < 0)
        return r;
    if (syscall(SYS_faccessat2, fd, "", mode, AT_EACCESS | AT_EMPTY_PATH) < 0)
        r = -errno;
    identity_leave(who);
    return r;
}

bool identity_owns(const struct identity *who, uint32_t uid)
{
    return !who || !who->uid || who->uid == uid;
}
