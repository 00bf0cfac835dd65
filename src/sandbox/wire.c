/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/wire.h"

#include <string.h>

#include "base/clock.h"
#include "cgroup_v2.pb-c.h"

Google__Protobuf__Timestamp *wire_time(struct arena *a, int64_t wall_ns)
{
    if (wall_ns <= 0)
        return NULL;
    Google__Protobuf__Timestamp *t = arena_new(a, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(t);
    t->seconds = wall_ns / NSEC_PER_SEC;
    t->nanos = (int32_t)(wall_ns % NSEC_PER_SEC);
    return t;
}

int64_t wire_time_ns(const Google__Protobuf__Timestamp *t)
{
    /* what a peer may say and an int64 cannot hold is no time */
    if (!t || t->seconds < 0 || t->seconds > INT64_MAX / NSEC_PER_SEC - 1)
        return 0;
    return t->seconds * NSEC_PER_SEC + t->nanos;
}

Google__Protobuf__Any *wire_any(struct arena *a, const char *type_url,
                                const ProtobufCMessage *message)
{
    Google__Protobuf__Any *any = arena_new(a, Google__Protobuf__Any);
    google__protobuf__any__init(any);
    any->type_url = (char *)type_url;
    any->value.len = protobuf_c_message_get_packed_size(message);
    any->value.data = arena_alloc(a, any->value.len + 1);
    protobuf_c_message_pack(message, any->value.data);
    return any;
}

struct mount_request *wire_mounts(struct arena *a, Containerd__Types__Mount *const *mounts,
                                  size_t n)
{
    struct mount_request *list = arena_array(a, struct mount_request, n + 1);
    for (size_t i = 0; i < n; i++) {
        const Containerd__Types__Mount *m = mounts[i];
        list[i] = (struct mount_request){.type = m->type, .source = m->source, .target = m->target};
        list[i].options = arena_array(a, char *, m->n_options + 1);
        for (size_t j = 0; j < m->n_options; j++)
            list[i].options[j] = m->options[j];
    }
    return list;
}

Google__Protobuf__Any *wire_stats(struct arena *a, const struct process_stats *stats)
{
    Io__Containerd__Cgroups__V2__Metrics metrics = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT;
    Io__Containerd__Cgroups__V2__PidsStat pids = IO__CONTAINERD__CGROUPS__V2__PIDS_STAT__INIT;
    Io__Containerd__Cgroups__V2__CPUStat cpu = IO__CONTAINERD__CGROUPS__V2__CPUSTAT__INIT;
    Io__Containerd__Cgroups__V2__MemoryStat memory = IO__CONTAINERD__CGROUPS__V2__MEMORY_STAT__INIT;
    Io__Containerd__Cgroups__V2__IOStat io = IO__CONTAINERD__CGROUPS__V2__IOSTAT__INIT;
    Io__Containerd__Cgroups__V2__IOEntry entry = IO__CONTAINERD__CGROUPS__V2__IOENTRY__INIT;
    Io__Containerd__Cgroups__V2__IOEntry *entries[] = {&entry};
    pids.current = stats->pids;
    cpu.usage_usec = stats->cpu_ns / 1000;
    memory.usage = stats->memory_usage;
    memory.usage_limit = stats->memory_limit;
    memory.anon = stats->memory_rss;
    /* readers take the working set as usage less inactive_file */
    if (stats->memory_usage > stats->memory_working_set)
        memory.inactive_file = stats->memory_usage - stats->memory_working_set;
    memory.pgfault = stats->page_faults;
    memory.pgmajfault = stats->major_page_faults;
    entry.rbytes = stats->io_read_bytes;
    entry.wbytes = stats->io_write_bytes;
    io.usage = entries;
    io.n_usage = 1;
    metrics.pids = &pids;
    metrics.cpu = &cpu;
    metrics.memory = &memory;
    metrics.io = &io;
    return wire_any(a, "io.containerd.cgroups.v2.Metrics", &metrics.base);
}

void stats_add(struct process_stats *sum, const struct process_stats *one)
{
    sum->timestamp = one->timestamp;
    sum->cpu_ns += one->cpu_ns;
    sum->memory_usage += one->memory_usage;
    sum->memory_working_set += one->memory_working_set;
    sum->memory_rss += one->memory_rss;
    sum->page_faults += one->page_faults;
    sum->major_page_faults += one->major_page_faults;
    sum->pids += one->pids;
    sum->io_read_bytes += one->io_read_bytes;
    sum->io_write_bytes += one->io_write_bytes;
}

static void wake_queue(void *arg)
{
    co_queue_wake_all(arg);
}

static void begin_wait(void *arg, struct co_queue *queue)
{
    rpc_on_cancel(arg, wake_queue, queue);
}

static bool wait_cancelled(void *arg)
{
    return rpc_cancelled(arg);
}

struct wait wire_wait(struct rpc_call *call)
{
    return (struct wait){.begin = begin_wait, .cancelled = wait_cancelled, .arg = call};
}
