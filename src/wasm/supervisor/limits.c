/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/limits.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "oci/spec.h"
#include "sandbox/technique.h"

/* As the kernel has them for cgroups (kernel/sched/core.c: tg_set_cfs_bandwidth). */
static int check_cpu(const struct wire_cpu *cpu, struct error *err)
{
    if (cpu->period && (cpu->period < WIRE_PERIOD_MIN || cpu->period > WIRE_PERIOD_MAX))
        return fail_plain(err, EINVAL,
                          "linux.resources.cpu.period: %llu us is not between %d and %d",
                          (unsigned long long)cpu->period, WIRE_PERIOD_MIN, WIRE_PERIOD_MAX);
    if (cpu->quota > 0 && (cpu->quota < WIRE_QUOTA_MIN || cpu->quota > WIRE_QUOTA_MAX))
        return fail_plain(err, EINVAL,
                          "linux.resources.cpu.quota: %lld us is not between %d and %lld",
                          (long long)cpu->quota, WIRE_QUOTA_MIN, (long long)WIRE_QUOTA_MAX);
    return 0;
}

static int of_resources(const struct oci_resources *r, struct wire_limits *ret, struct error *err)
{
    if (r && r->memory && r->memory->limit && *r->memory->limit > 0)
        ret->memory = (uint64_t)*r->memory->limit;
    if (!r || !r->cpu)
        return 0;
    ret->cpu.shares = r->cpu->shares ? *r->cpu->shares : 0;
    ret->cpu.quota = r->cpu->quota ? *r->cpu->quota : 0;
    ret->cpu.period = r->cpu->period ? *r->cpu->period : 0;
    return check_cpu(&ret->cpu, err);
}

/* Go's form of durations as far as whole numbers go: "90s", "1h30m", "250ms". */
static bool parse_duration(const char *s, uint64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
    *ret = 0;
    while (*s) {
        size_t digits = strspn(s, "0123456789"), i = 0;
        uint64_t n = 0, ns;
        if (!digits || digits > 18)
            return false;
        for (; digits; digits--)
            n = 10 * n + (uint64_t)(*s++ - '0');
        while (i < ARRAY_SIZE(units) && !str_after(s, units[i].unit))
            i++;
        if (i == ARRAY_SIZE(units) || __builtin_mul_overflow(n, units[i].ns, &ns) ||
            __builtin_add_overflow(*ret, ns, ret))
            return false;
        s += strlen(units[i].unit);
    }
    return *ret > 0 && *ret <= WIRE_TIME_MAX;
}

static int time_limit(const struct oci_spec *spec, const char *annotation, uint64_t *ret,
                      struct error *err)
{
    const char *text = oci_annotation(spec, annotation);
    if (text && !parse_duration(text, ret))
        return fail_plain(err, EINVAL,
                          "annotation %s: expected a time as 90s, 1h30m or 250ms, found '%.64s'",
                          annotation, text);
    return 0;
}

static void take_rlimit(const struct oci_process *p, uint64_t *cpu_time)
{
    for (size_t i = 0; p && i < p->rlimits_count; i++) {
        uint64_t s = p->rlimits[i].soft;
        if (!str_eq(p->rlimits[i].type, "RLIMIT_CPU") || s > WIRE_TIME_MAX / NSEC_PER_SEC)
            continue;
        uint64_t ns = s ? s * NSEC_PER_SEC : NSEC_PER_SEC; /* the kernel takes 0 for 1 */
        if (!*cpu_time || ns < *cpu_time)
            *cpu_time = ns;
    }
}

int limits_of_spec(const struct oci_spec *spec, uint64_t default_memory, struct wire_limits *ret,
                   struct error *err)
{
    *ret = (struct wire_limits){.memory = default_memory};
    int r = of_resources(spec->linux_ ? spec->linux_->resources : NULL, ret, err);
    if (!r)
        r = time_limit(spec, ANNOTATION_CPU_TIME, &ret->cpu_time, err);
    if (!r)
        r = time_limit(spec, ANNOTATION_WALL_TIME, &ret->wall_time, err);
    if (!r)
        take_rlimit(spec->process, &ret->cpu_time);
    return r;
}

int limits_of_pod(const struct Runtime__V1__PodSandboxConfig *config, struct wire_cpu *ret,
                  struct error *err)
{
    *ret = (struct wire_cpu){0};
    const Runtime__V1__LinuxContainerResources *r =
        config && config->linux ? config->linux->resources : NULL;
    if (r)
        *ret = (struct wire_cpu){.shares = r->cpu_shares > 0 ? (uint64_t)r->cpu_shares : 0,
                                 .quota = r->cpu_quota,
                                 .period = r->cpu_period > 0 ? (uint64_t)r->cpu_period : 0};
    return check_cpu(ret, err);
}

int limits_of_update(const void *json, size_t len, struct wire_limits *ret, struct error *err)
{
    auto(arena) struct arena a = {0};
    struct oci_resources *parsed;
    *ret = (struct wire_limits){0};
    int r = oci_resources_parse(json, len, &a, &parsed, err);
    return r < 0 ? r : of_resources(parsed, ret, err);
}
