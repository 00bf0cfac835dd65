/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/error.h"
#include "namespace/pod.h"
#include "oci/spec.h"

static int unit_of(const struct process *p, const struct unit **ret, struct error *err)
{
    *ret = p->technique;
    return *ret ? 0 : fail_plain(err, ESRCH, "container '%s' is not there", p->id);
}

static int remove_on_pool(void *g, struct error *err)
{
    return cgroup_remove(g, err);
}

int cgroup_remove_parked(const struct cgroup *g, struct error *err)
{
    struct cgroup copy = *g;
    return co_pool(remove_on_pool, &copy, err);
}

static int freeze_on_pool(void *g, struct error *err)
{
    return cgroup_freeze(g, true, err);
}

int namespace_pause(void *t, struct process *p, struct error *err)
{
    (void)t;
    const struct unit *u;
    int r = unit_of(p, &u, err);
    if (r < 0)
        return r;
    struct cgroup copy = u->cgroup;
    return co_pool(freeze_on_pool, &copy, err);
}

int namespace_resume(void *t, struct process *p, struct error *err)
{
    (void)t;
    const struct unit *u;
    int r = unit_of(p, &u, err);
    return r < 0 ? r : cgroup_freeze(&u->cgroup, false, err);
}

int namespace_update(void *t, struct process *p, const uint8_t *resources, size_t len,
                     struct error *err)
{
    (void)t;
    auto(arena) struct arena a = {0};
    struct oci_resources *parsed;
    const struct unit *u;
    int r = unit_of(p, &u, err);
    if (!r)
        r = oci_resources_parse(resources, len, &a, &parsed, err);
    return r < 0 ? r : cgroup_update(&u->cgroup, parsed, err);
}

int namespace_pids(void *t, struct process *p, struct buffer *b, struct error *err)
{
    (void)t;
    const struct unit *u;
    int r = unit_of(p, &u, err);
    return r < 0 ? r : cgroup_pids(&u->cgroup, b, err);
}

int namespace_stats(void *t, struct process *p, struct process_stats *ret, struct error *err)
{
    (void)t;
    struct cgroup_stats s;
    const struct unit *u;
    int r = unit_of(p, &u, err);
    if (!r)
        r = cgroup_stats_read(&u->cgroup, &s, err);
    if (r < 0)
        return r;
    *ret = (struct process_stats){
        .timestamp = clock_wall_ns(),
        .cpu_ns = s.cpu_ns,
        .memory_usage = s.memory_usage,
        .memory_working_set = s.memory_working_set,
        .memory_rss = s.memory_rss,
        .memory_limit = s.memory_limit == UINT64_MAX ? 0 : s.memory_limit,
        .page_faults = s.page_faults,
        .major_page_faults = s.major_page_faults,
        .pids = s.pids,
        .io_read_bytes = s.io_read_bytes,
        .io_write_bytes = s.io_write_bytes,
    };
    return 0;
}
