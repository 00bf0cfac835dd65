/* SPDX-License-Identifier: Apache-2.0 */
/* The spec's resources as the files of v1 and v2. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_host.h"
#include "oci/spec.h"

unsigned cgroup_controllers_of(const struct oci_resources *r)
{
    unsigned set = 0;
    const struct oci_cpu *c = r->cpu;
    if (c && (c->shares || c->quota || c->period || c->burst || c->idle || c->realtime_runtime))
        set |= 1U << CGROUP_CPU;
    if (c && (c->cpus || c->mems))
        set |= 1U << CGROUP_CPUSET;
    if (r->memory)
        set |= 1U << CGROUP_MEMORY;
    if (r->pids)
        set |= 1U << CGROUP_PIDS;
    if (r->block_io)
        set |= 1U << CGROUP_BLKIO;
    if (r->hugepage_limits_count)
        set |= 1U << CGROUP_HUGETLB;
    if (r->devices_count)
        set |= 1U << CGROUP_DEVICES;
    return set;
}

static int is_v2(const struct cgroup *g)
{
    return g->host->version == 2;
}

static const char *limit_text(int64_t value, char text[24], const char *unlimited)
{
    if (value < 0)
        return unlimited;
    snprintf(text, 24, "%" PRId64, value);
    return text;
}

/* Memory */

static int set_memory_v1(const struct cgroup *g, const struct oci_memory *m, struct error *err)
{
    char limit[24], swap[24];
    const char *l = m->limit ? limit_text(*m->limit, limit, "-1") : NULL;
    const int64_t *total =
        m->swap ? m->swap : m->limit; /* no swap of its own: the total is the limit */
    const char *s = total ? limit_text(*total, swap, "-1") : NULL;
    if (s && !cgroup_has_file(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes"))
        s = NULL; /* the kernel counts no swap: nothing to set */
    /* the limit may never be above that with swap: which comes first depends on the direction */
    struct error first = {0};
    int e = l ? cgroup_set(g, CGROUP_MEMORY, "memory.limit_in_bytes", l, &first) : 0;
    bool again = e == -EINVAL && s;
    if (again)
        e = 0;
    else if (e)
        fail_with(err, &first);
    if (!e && s)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", s, err);
    if (!e && again)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.limit_in_bytes", l, err);
    if (e == -EBUSY)
        return fail_plain(err, EBUSY,
                          "linux.resources.memory.limit: less than what the container "
                          "uses, and it cannot be taken back");
    if (!e && m->reservation)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.soft_limit_in_bytes",
                       limit_text(*m->reservation, limit, "-1"), err);
    if (!e && m->kernel_tcp)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes",
                       limit_text(*m->kernel_tcp, limit, "-1"), err);
    if (!e && m->swappiness)
        e = cgroup_setf(g, CGROUP_MEMORY, err, "memory.swappiness", "%" PRIu64, *m->swappiness);
    if (!e && m->disable_oom_killer && *m->disable_oom_killer)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.oom_control", "1", err);
    return e;
}

static int set_memory_v2(const struct cgroup *g, const struct oci_memory *m, struct error *err)
{
    char text[24];
    int e = 0;
    if (m->limit && *m->limit) {
        e = cgroup_set(g, CGROUP_MEMORY, "memory.max", limit_text(*m->limit, text, "max"), err);
        /* the spec's swap is memory and swap together, v2's is swap alone */
        int64_t swap = !m->swap                        ? 0
                       : *m->swap < 0 || *m->limit < 0 ? *m->swap
                                                       : *m->swap - *m->limit;
        if (*m->limit < 0 && !m->swap)
            swap = -1;
        if (!e && m->swap && *m->swap >= 0 && swap < 0)
            return fail_plain(err, EINVAL, "linux.resources.memory.swap: less than the limit");
        if (!e && cgroup_has_file(g, CGROUP_MEMORY, "memory.swap.max"))
            e = cgroup_set(g, CGROUP_MEMORY, "memory.swap.max", limit_text(swap, text, "max"), err);
    }
    if (!e && m->reservation)
        e = cgroup_set(g, CGROUP_MEMORY, "memory.low", limit_text(*m->reservation, text, "max"),
                       err);
    return e;
}

/* Cpu */

static int set_cpu_v1(const struct cgroup *g, const struct oci_cpu *c, struct error *err)
{
    int e = 0;
    if (c->shares && *c->shares)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.shares", "%" PRIu64, *c->shares);
    if (!e && c->idle)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.idle", "%" PRId64, *c->idle);
    /* a quota is checked against the period that is there: the period first, but where that is too short for
     * the quota that is there */
    bool again = false;
    if (!e && c->period && *c->period) {
        struct error first = {0};
        e = cgroup_setf(g, CGROUP_CPU, &first, "cpu.cfs_period_us", "%" PRIu64, *c->period);
        again = e == -EINVAL && c->quota;
        if (again)
            e = 0;
        else if (e)
            fail_with(err, &first);
    }
    if (!e && c->quota && *c->quota)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.cfs_quota_us", "%" PRId64, *c->quota);
    if (!e && again)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.cfs_period_us", "%" PRIu64, *c->period);
    if (!e && c->burst)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.cfs_burst_us", "%" PRIu64, *c->burst);
    if (!e && c->realtime_period && *c->realtime_period)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.rt_period_us", "%" PRIu64, *c->realtime_period);
    if (!e && c->realtime_runtime && *c->realtime_runtime)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.rt_runtime_us", "%" PRId64, *c->realtime_runtime);
    return e;
}

static int set_cpu_v2(const struct cgroup *g, const struct oci_cpu *c, struct error *err)
{
    int e = 0;
    if (c->shares && *c->shares) {
        /* [2, 262144] to [1, 10000], as the kernel's documentation of both suggests and all runtimes do */
        uint64_t shares = *c->shares < 2 ? 2 : *c->shares > 262144 ? 262144 : *c->shares;
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.weight", "%" PRIu64,
                        1 + (shares - 2) * 9999 / 262142);
    }
    if (!e && c->idle)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.idle", "%" PRId64, *c->idle);
    uint64_t period = c->period && *c->period ? *c->period : 100000;
    if (!e && c->quota && *c->quota > 0)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.max", "%" PRId64 " %" PRIu64, *c->quota, period);
    else if (!e && ((c->quota && *c->quota < 0) || c->period))
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.max", "max %" PRIu64, period);
    if (!e && c->burst)
        e = cgroup_setf(g, CGROUP_CPU, err, "cpu.max.burst", "%" PRIu64, *c->burst);
    return e;
}

static int set_cpuset(const struct cgroup *g, const struct oci_cpu *c, struct error *err)
{
    int e = 0;
    if (!str_empty(c->cpus))
        e = cgroup_set(g, CGROUP_CPUSET, "cpuset.cpus", c->cpus, err);
    if (!e && !str_empty(c->mems))
        e = cgroup_set(g, CGROUP_CPUSET, "cpuset.mems", c->mems, err);
    return e;
}

/* The rest */

static int set_throttle(const struct cgroup *g, const struct oci_throttle_device *d, size_t n,
                        const char *v1, const char *v2, struct error *err)
{
    int e = 0;
    for (size_t i = 0; !e && i < n; i++)
        e = is_v2(g)
                ? cgroup_setf(g, CGROUP_BLKIO, err, "io.max", "%" PRId64 ":%" PRId64 " %s=%" PRIu64,
                              d[i].major, d[i].minor, v2, d[i].rate)
                : cgroup_setf(g, CGROUP_BLKIO, err, v1, "%" PRId64 ":%" PRId64 " %" PRIu64,
                              d[i].major, d[i].minor, d[i].rate);
    return e;
}

static const char *weight_file(const struct cgroup *g)
{
    if (is_v2(g))
        return cgroup_has_file(g, CGROUP_BLKIO, "io.bfq.weight") ? "io.bfq.weight" : "io.weight";
    return cgroup_has_file(g, CGROUP_BLKIO, "blkio.weight") ? "blkio.weight" : "blkio.bfq.weight";
}

static int set_block_io(const struct cgroup *g, const struct oci_block_io *b, struct error *err)
{
    int e = 0;
    if (b->weight && *b->weight)
        e = cgroup_setf(g, CGROUP_BLKIO, err, weight_file(g), "%u", *b->weight);
    for (size_t i = 0; !e && i < b->weight_device_count; i++)
        if (b->weight_device[i].weight)
            e = cgroup_setf(g, CGROUP_BLKIO, err,
                            is_v2(g) ? "io.bfq.weight" : "blkio.weight_device",
                            "%" PRId64 ":%" PRId64 " %u", b->weight_device[i].major,
                            b->weight_device[i].minor, *b->weight_device[i].weight);
    if (!e)
        e = set_throttle(g, b->read_bps, b->read_bps_count, "blkio.throttle.read_bps_device",
                         "rbps", err);
    if (!e)
        e = set_throttle(g, b->write_bps, b->write_bps_count, "blkio.throttle.write_bps_device",
                         "wbps", err);
    if (!e)
        e = set_throttle(g, b->read_iops, b->read_iops_count, "blkio.throttle.read_iops_device",
                         "riops", err);
    if (!e)
        e = set_throttle(g, b->write_iops, b->write_iops_count, "blkio.throttle.write_iops_device",
                         "wiops", err);
    return e;
}

static int set_hugepages(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    for (size_t i = 0; i < r->hugepage_limits_count; i++) {
        const struct oci_hugepage_limit *l = &r->hugepage_limits[i];
        const char *size = str_or_empty(l->page_size);
        if (!*size || size[strspn(size, "0123456789KMGTB")])
            return fail_plain(
                err, EINVAL, "linux.resources.hugepageLimits[%zu].pageSize: '%s' is none", i, size);
        char file[64];
        snprintf(file, sizeof file, "hugetlb.%.16s.%s", size, is_v2(g) ? "max" : "limit_in_bytes");
        int e = cgroup_setf(g, CGROUP_HUGETLB, err, file, "%" PRIu64, l->limit);
        if (e)
            return fail_in(err, e, "linux.resources.hugepageLimits[%zu]", i);
    }
    return 0;
}

static int set_unified(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    for (size_t i = 0; i < r->unified_count; i++) {
        const char *key = r->unified[i].key;
        if (!is_v2(g))
            return fail_plain(err, EOPNOTSUPP,
                              "linux.resources.unified.%s: this machine's cgroups are of version 1",
                              key);
        if (!*key || strchr(key, '/') || !strchr(key, '.') || str_after(key, "cgroup."))
            return fail_plain(err, EINVAL, "linux.resources.unified: '%s' is no limit's file", key);
        int e = cgroup_set(g, CGROUP_MEMORY, key, r->unified[i].value, err);
        if (e)
            return e;
    }
    return 0;
}

int cgroup_limit(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    int e = 0;
    if (r->network && r->network->class_id && *r->network->class_id)
        return fail_plain(err, EOPNOTSUPP, "linux.resources.network: not supported");
    if (r->rdma_count)
        return fail_plain(err, EOPNOTSUPP, "linux.resources.rdma: not supported");
    if (r->memory)
        e = is_v2(g) ? set_memory_v2(g, r->memory, err) : set_memory_v1(g, r->memory, err);
    if (!e && r->cpu)
        e = is_v2(g) ? set_cpu_v2(g, r->cpu, err) : set_cpu_v1(g, r->cpu, err);
    if (!e && r->cpu)
        e = set_cpuset(g, r->cpu, err);
    if (!e && r->pids && r->pids->limit && *r->pids->limit > 0)
        e = cgroup_setf(g, CGROUP_PIDS, err, "pids.max", "%" PRId64, *r->pids->limit);
    else if (!e && r->pids && r->pids->limit)
        e = cgroup_set(g, CGROUP_PIDS, "pids.max", "max", err);
    if (!e && r->block_io)
        e = set_block_io(g, r->block_io, err);
    if (!e)
        e = set_hugepages(g, r, err);
    return e ? e : set_unified(g, r, err);
}
