/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#include "base/str.h"
#include "container/build.h"
#include "linux/capability.h"
#include "linux/sys.h"

static const struct name_value rlimit_names[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static int build_rlimits(struct builder *b, const struct oci_process *p, struct error *err)
{
    struct recipe_rlimit *list = arena_array(&b->arena, struct recipe_rlimit, p->rlimits_count);
    for (size_t i = 0; i < p->rlimits_count; i++) {
        const struct oci_rlimit *l = &p->rlimits[i];
        int64_t n = l->type ? name_find(rlimit_names, ARRAY_SIZE(rlimit_names), l->type) : -1;
        if (n < 0)
            return fail_plain(err, EINVAL, "process.rlimits[%zu].type: '%s' is no resource", i,
                              str_or_empty(l->type));
        for (size_t k = 0; k < i; k++)
            if (str_eq(p->rlimits[k].type, l->type))
                return fail_plain(err, EINVAL, "process.rlimits[%zu].type: %s is there twice", i,
                                  l->type);
        if (l->soft > l->hard)
            return fail_plain(err, EINVAL, "process.rlimits[%zu]: soft is more than hard", i);
        list[i] = (struct recipe_rlimit){.resource = (uint32_t)n, .soft = l->soft, .hard = l->hard};
        int e = builder_string(b, l->type, &list[i].name);
        if (e)
            return fail(err, e, "build a recipe");
    }
    return builder_items(b, list, p->rlimits_count, sizeof *list, &b->recipe.rlimits);
}

static uint64_t capability_set(struct builder *b, char *const *names)
{
    uint64_t set = 0;
    for (; names && *names; names++) {
        int cap = capability_find(*names);
        if (cap <
            0) /* runtime-spec, config.md: unknown to the runtime or the kernel is a warning */
            builder_warn(b, "process.capabilities: '%s' is not known", *names);
        else
            set |= UINT64_C(1) << cap;
    }
    return set;
}

static void build_capabilities(struct builder *b, const struct oci_process *p)
{
    b->recipe.flags |= RECIPE_HAS_CAPS;
    const struct oci_capabilities *c = p->capabilities;
    if (!c)
        return; /* none at all */
    struct recipe_capabilities *to = &b->recipe.caps;
    to->bounding = capability_set(b, c->bounding);
    to->effective = capability_set(b, c->effective);
    to->permitted = capability_set(b, c->permitted);
    to->inheritable = capability_set(b, c->inheritable);
    to->ambient = capability_set(b, c->ambient);
    struct sys_caps ours;
    uint64_t lacking = sys_capget(&ours) == 0 ? to->permitted & ~ours.permitted : 0;
    for (int cap = 0; lacking >> cap; cap++)
        if (lacking >> cap & 1)
            builder_warn(b, "process.capabilities: this user has no %s to give",
                         capability_name(cap));
    to->effective &= to->permitted;
}

static int build_scheduling(struct builder *b, const struct oci_process *p, struct error *err)
{
    static const struct name_value policies[] = {
        {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},       {"SCHED_BATCH", 3},
        {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
    };
    static const struct name_value flags[] = {
        {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
        {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
        {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
        {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
    };
    static const struct name_value classes[] = {
        {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
    b->recipe.io_priority = -1;
    if (p->io_priority) {
        const char *name = str_or_empty(p->io_priority->class_);
        int64_t class_ = name_find(classes, ARRAY_SIZE(classes), name);
        if (class_ < 0 || p->io_priority->priority < 0 || p->io_priority->priority > 7)
            return fail_plain(err, EINVAL,
                              "process.ioPriority: no class '%s' with a priority of %d", name,
                              p->io_priority->priority);
        b->recipe.io_priority = (int32_t)(class_ << 13 | p->io_priority->priority);
    }
    const struct oci_scheduler *s = p->scheduler;
    if (!s)
        return 0;
    int64_t policy = name_find(policies, ARRAY_SIZE(policies), str_or_empty(s->policy));
    if (policy < 0)
        return fail_plain(err, EINVAL, "process.scheduler.policy: '%s' is none",
                          str_or_empty(s->policy));
    b->recipe.scheduler = (struct recipe_scheduler){.policy = (uint32_t)policy,
                                                    .nice = s->nice,
                                                    .priority = (uint32_t)s->priority,
                                                    .runtime = s->runtime,
                                                    .deadline = s->deadline,
                                                    .period = s->period};
    for (char **f = s->flags; f && *f; f++) {
        int64_t bit = name_find(flags, ARRAY_SIZE(flags), *f);
        if (bit < 0)
            return fail_plain(err, EINVAL, "process.scheduler.flags: '%s' is none", *f);
        b->recipe.scheduler.flags |= (uint64_t)bit;
    }
    b->recipe.flags |= RECIPE_HAS_SCHEDULER;
    return 0;
}

static int check_env(const struct oci_process *p, struct error *err)
{
    for (size_t i = 0; p->env && p->env[i]; i++)
        if (!strchr(p->env[i], '=') || *p->env[i] == '=')
            return fail_plain(err, EINVAL, "process.env[%zu]: '%.64s' is not NAME=VALUE", i,
                              p->env[i]);
    return 0;
}

static int build_user(struct builder *b, const struct oci_process *p)
{
    struct recipe *r = &b->recipe;
    r->uid = p->user.uid;
    r->gid = p->user.gid;
    r->umask = p->user.umask ? *p->user.umask & 0777 : 0022;
    int e = builder_string(b, str_empty(p->user.username) ? NULL : p->user.username, &r->user);
    return e ? e
             : builder_items(b, p->user.additional_gids, p->user.additional_gids_count,
                             sizeof(uint32_t), &r->groups);
}

static const char *label(const char *profile)
{
    return str_empty(profile) || str_eq(profile, "unconfined") ? NULL : profile;
}

int build_process(struct builder *b, const struct oci_process *p, struct error *err)
{
    struct recipe *r = &b->recipe;
    if (!p->args || !p->args[0])
        return fail_plain(err, EINVAL, "process.args: a process needs a command");
    if (str_empty(p->cwd) || *p->cwd != '/')
        return fail_plain(err, EINVAL, "process.cwd: '%s' is not absolute", str_or_empty(p->cwd));
    if (strlen(p->cwd) >= PATH_MAX)
        return fail_plain(err, EINVAL, "process.cwd: longer than %d bytes", PATH_MAX - 1);
    int e = check_env(p, err);
    if (!e)
        e = build_scheduling(b, p, err);
    if (!e)
        e = build_rlimits(b, p, err);
    if (e)
        return e;
    build_capabilities(b, p);
    if (p->terminal)
        r->flags |= RECIPE_TERMINAL;
    const struct oci_console_size *size = p->console_size;
    if (p->terminal && size)
        r->console_size = (size->height & 0xffff) << 16 | (size->width & 0xffff);
    if (p->no_new_privileges)
        r->flags |= RECIPE_NO_NEW_PRIVILEGES;
    if (p->oom_score_adj) {
        if (*p->oom_score_adj < -1000 || *p->oom_score_adj > 1000)
            return fail_plain(err, EINVAL, "process.oomScoreAdj: %d is not between -1000 and 1000",
                              *p->oom_score_adj);
        r->flags |= RECIPE_HAS_OOM_SCORE;
        r->oom_score_adj = *p->oom_score_adj;
    }
    if (p->exec_cpu_affinity)
        builder_warn(b, "process.execCPUAffinity: not supported, it has no effect");
    if (builder_strings(b, p->args, &r->args) || builder_strings(b, p->env, &r->env) ||
        builder_string(b, p->cwd, &r->cwd) || build_user(b, p) ||
        builder_string(b, label(p->apparmor_profile), &r->apparmor) ||
        builder_string(b, label(p->selinux_label), &r->selinux))
        return fail(err, ENOMEM, "build a recipe");
    return 0;
}
