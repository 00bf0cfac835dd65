/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/sys.h"

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int e = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return e;
}

/* Below our own only with CAP_SYS_RESOURCE: then ours stays. */
static int set_oom_score(int score, struct error *err)
{
    char text[16];
    snprintf(text, sizeof text, "%d", score);
    int e = write_text("/proc/self/oom_score_adj", text);
    if (e == -EACCES || e == -EPERM) {
        child_warn("oom_score_adj %d is lower than this user may set: left as it is", score);
        return 0;
    }
    return e < 0 ? fail(err, e, "set oom_score_adj to %d", score) : 0;
}

static int set_label(const char *file, const char *label, const char *value, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/attr/%s", file);
    int e = write_text(path, value);
    if (e == -ENOENT || e == -EINVAL)
        return fail_plain(err, ENOTSUP, "%s: not enabled on this machine, or not known", label);
    return e < 0 ? fail(err, e, "%s", label) : 0;
}

static int set_labels(const struct recipe *r, struct error *err)
{
    char text[512];
    const char *profile = recipe_text(r, r->apparmor);
    if (profile) {
        snprintf(text, sizeof text, "exec %s", profile);
        int e = set_label("apparmor/exec", "AppArmor profile", text, err);
        if (e == -ENOTSUP)
            e = set_label("exec", "AppArmor profile", text, err);
        if (e < 0)
            return fail_in(err, e, "process.apparmorProfile '%s'", profile);
    }
    const char *label = recipe_text(r, r->selinux);
    int e = label ? set_label("exec", "SELinux", label, err) : 0;
    return e < 0 ? fail_in(err, e, "process.selinuxLabel '%s'", label) : 0;
}

static int set_scheduling(const struct recipe *r, struct error *err)
{
    if (r->flags & RECIPE_HAS_SCHEDULER) {
        const struct recipe_scheduler *s = &r->scheduler;
        struct sys_sched_attr attr = {.size = sizeof attr,
                                      .policy = s->policy,
                                      .flags = s->flags,
                                      .nice = s->nice,
                                      .priority = s->priority,
                                      .runtime = s->runtime,
                                      .deadline = s->deadline,
                                      .period = s->period};
        if (sys_sched_setattr(&attr) < 0)
            return fail(err, errno, "set the scheduler");
    }
    if (r->io_priority >= 0 && sys_ioprio_set(r->io_priority) < 0)
        return fail(err, errno, "set the I/O priority");
    if (r->flags & RECIPE_HAS_PERSONALITY && personality(r->personality) < 0)
        return fail(err, errno, "set the personality");
    return 0;
}

int child_set_up_process(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    int e = r->flags & RECIPE_HAS_OOM_SCORE ? set_oom_score(r->oom_score_adj, err) : 0;
    if (!e)
        e = set_labels(r, err);
    if (!e)
        e = set_scheduling(r, err);
    const char *host = recipe_text(r, r->hostname), *domain = recipe_text(r, r->domainname);
    if (!e && host && sethostname(host, strlen(host)) < 0)
        e = fail(err, errno, "set the host name to '%s'", host);
    if (!e && domain && setdomainname(domain, strlen(domain)) < 0)
        e = fail(err, errno, "set the domain name to '%s'", domain);
    return e;
}

/* Through the host's /proc/sys: which namespace's value it is goes by who opens it. */
int child_write_sysctls(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct recipe_pair *p = recipe_items(r, r->sysctls);
    for (uint32_t i = 0; i < r->sysctls.count; i++) {
        const char *path = recipe_text(r, p[i].key), *value = recipe_text(r, p[i].value);
        int e = write_text(path, value ? value : "");
        if (e < 0)
            return fail(err, e, "set '%s' to '%s'", path, value ? value : "");
    }
    return 0;
}

int child_set_rlimits(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct recipe_rlimit *l = recipe_items(r, r->rlimits);
    for (uint32_t i = 0; i < r->rlimits.count; i++) {
        const char *name = recipe_text(r, l[i].name);
        struct rlimit limit = {l[i].soft, l[i].hard}, ours;
        if (setrlimit((int)l[i].resource, &limit) == 0)
            continue;
        if (errno != EPERM || getrlimit((int)l[i].resource, &ours) < 0)
            return fail(err, errno, "set %s to %llu:%llu", name, (unsigned long long)l[i].soft,
                        (unsigned long long)l[i].hard);
        /* a raised hard limit wants CAP_SYS_RESOURCE: as much as we have, then (RLIM_INFINITY is the
         * largest number) */
        if (limit.rlim_max > ours.rlim_max)
            limit.rlim_max = ours.rlim_max;
        if (limit.rlim_cur > limit.rlim_max)
            limit.rlim_cur = limit.rlim_max;
        if (setrlimit((int)l[i].resource, &limit) < 0)
            return fail(err, errno, "set %s to %llu:%llu", name, (unsigned long long)l[i].soft,
                        (unsigned long long)l[i].hard);
        child_warn("%s: %llu is more than this user may give, it is %llu", name,
                   (unsigned long long)l[i].hard, (unsigned long long)limit.rlim_max);
    }
    return 0;
}
