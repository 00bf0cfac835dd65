/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "linux/cgroup_host.h"

/* The file's text, "" where it cannot be read. */
static const char *text_of(const struct cgroup *g, enum cgroup_controller c, const char *file,
                           struct buffer *b)
{
    char path[PATH_MAX];
    const struct cgroup_hierarchy *y = cgroup_find(g->host, c);
    buffer_clear(b);
    if (!y || cgroup_file(g, y, file, path) < 0 || file_read(AT_FDCWD, path, 1 << 20, b, NULL) < 0)
        return "";
    return buffer_text(b);
}

static uint64_t number_of(const struct cgroup *g, enum cgroup_controller c, const char *file,
                          struct buffer *b)
{
    const char *text = text_of(g, c, file, b);
    return *text == 'm' ? UINT64_MAX /* max */ : strtoull(text, NULL, 10);
}

/* The number after key at the beginning of a line. */
static uint64_t value(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (strncmp(p, key, n) == 0 && (p[n] == ' '))
            return strtoull(p + n + 1, NULL, 10);
    return 0;
}

/* The sum of what follows key on each line: "8:0 Read 512", or v2's "8:0 rbytes=512 wbytes=0". */
static uint64_t sum(const char *text, const char *key)
{
    uint64_t total = 0;
    for (const char *p = strstr(text, key); p; p = strstr(p, key)) {
        p += strlen(key);
        total += strtoull(p, NULL, 10);
    }
    return total;
}

static void read_v1(const struct cgroup *g, struct cgroup_stats *s, struct buffer *b)
{
    s->cpu_ns = number_of(g, CGROUP_CPUACCT, "cpuacct.usage", b);
    s->cpu_user_ns = number_of(g, CGROUP_CPUACCT, "cpuacct.usage_user", b);
    s->cpu_system_ns = number_of(g, CGROUP_CPUACCT, "cpuacct.usage_sys", b);
    const char *t = text_of(g, CGROUP_CPU, "cpu.stat", b);
    s->throttled_periods = value(t, "nr_throttled");
    s->throttled_ns = value(t, "throttled_time");
    s->memory_usage = number_of(g, CGROUP_MEMORY, "memory.usage_in_bytes", b);
    t = text_of(g, CGROUP_MEMORY, "memory.stat", b);
    s->memory_rss = value(t, "total_rss");
    s->page_faults = value(t, "total_pgfault");
    s->major_page_faults = value(t, "total_pgmajfault");
    uint64_t inactive = value(t, "total_inactive_file");
    s->memory_working_set = s->memory_usage > inactive ? s->memory_usage - inactive : 0;
    s->memory_limit = value(t, "hierarchical_memory_limit");
    if (s->memory_limit >= (uint64_t)INT64_MAX / 4096 * 4096) /* the kernel's "none" */
        s->memory_limit = UINT64_MAX;
    s->oom_kills = value(text_of(g, CGROUP_MEMORY, "memory.oom_control", b), "oom_kill");
    t = text_of(g, CGROUP_BLKIO, "blkio.throttle.io_service_bytes_recursive", b);
    s->io_read_bytes = sum(t, " Read ");
    s->io_write_bytes = sum(t, " Write ");
}

static void read_v2(const struct cgroup *g, struct cgroup_stats *s, struct buffer *b)
{
    const char *t = text_of(g, CGROUP_CPU, "cpu.stat", b);
    s->cpu_ns = value(t, "usage_usec") * 1000;
    s->cpu_user_ns = value(t, "user_usec") * 1000;
    s->cpu_system_ns = value(t, "system_usec") * 1000;
    s->throttled_periods = value(t, "nr_throttled");
    s->throttled_ns = value(t, "throttled_usec") * 1000;
    s->memory_usage = number_of(g, CGROUP_MEMORY, "memory.current", b);
    s->memory_limit = number_of(g, CGROUP_MEMORY, "memory.max", b);
    t = text_of(g, CGROUP_MEMORY, "memory.stat", b);
    s->memory_rss = value(t, "anon");
    s->page_faults = value(t, "pgfault");
    s->major_page_faults = value(t, "pgmajfault");
    uint64_t inactive = value(t, "inactive_file");
    s->memory_working_set = s->memory_usage > inactive ? s->memory_usage - inactive : 0;
    s->oom_kills = value(text_of(g, CGROUP_MEMORY, "memory.events", b), "oom_kill");
    t = text_of(g, CGROUP_BLKIO, "io.stat", b);
    s->io_read_bytes = sum(t, " rbytes=");
    s->io_write_bytes = sum(t, " wbytes=");
}

int cgroup_stats_read(const struct cgroup *g, struct cgroup_stats *ret, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    struct cgroup_stats s = {0};
    const struct cgroup_hierarchy *y = cgroup_find(g->host, CGROUP_PIDS);
    if (y && !cgroup_is_in(g, y))
        return fail(err, ENOENT, "cgroup '%s'", g->path);
    if (g->host->version == 2)
        read_v2(g, &s, &b);
    else
        read_v1(g, &s, &b);
    s.pids = number_of(g, CGROUP_PIDS, "pids.current", &b);
    *ret = s;
    return 0;
}
