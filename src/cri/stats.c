/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/base.h"
#include "cri/list.h"

static Runtime__V1__UInt64Value *number(struct arena *a, uint64_t value)
{
    Runtime__V1__UInt64Value *n = arena_new(a, Runtime__V1__UInt64Value);
    runtime__v1__uint64_value__init(n);
    n->value = value;
    return n;
}

static Runtime__V1__CpuUsage *cpu_usage(struct arena *a, const struct process_stats *s)
{
    Runtime__V1__CpuUsage *cpu = arena_new(a, Runtime__V1__CpuUsage);
    runtime__v1__cpu_usage__init(cpu);
    cpu->timestamp = s->timestamp;
    cpu->usage_core_nano_seconds = number(a, s->cpu_ns);
    return cpu;
}

static Runtime__V1__MemoryUsage *memory_usage(struct arena *a, const struct process_stats *s)
{
    Runtime__V1__MemoryUsage *memory = arena_new(a, Runtime__V1__MemoryUsage);
    runtime__v1__memory_usage__init(memory);
    memory->timestamp = s->timestamp;
    memory->working_set_bytes = number(a, s->memory_working_set);
    memory->usage_bytes = number(a, s->memory_usage);
    memory->rss_bytes = number(a, s->memory_rss);
    memory->page_faults = number(a, s->page_faults);
    memory->major_page_faults = number(a, s->major_page_faults);
    if (s->memory_limit)
        memory->available_bytes = number(a, s->memory_limit > s->memory_working_set
                                                ? s->memory_limit - s->memory_working_set
                                                : 0);
    return memory;
}

static Runtime__V1__ContainerStats *container_stats(struct arena *a, const struct container *c,
                                                    const struct process_stats *s)
{
    Runtime__V1__ContainerStats *stats = arena_new(a, Runtime__V1__ContainerStats);
    runtime__v1__container_stats__init(stats);
    ContainerConfig *config = cri_container_config(a, c);
    Runtime__V1__ContainerAttributes *attributes = arena_new(a, Runtime__V1__ContainerAttributes);
    runtime__v1__container_attributes__init(attributes);
    attributes->id = arena_strdup(a, c->id);
    attributes->metadata = config->metadata;
    attributes->n_labels = config->n_labels;
    attributes->labels = cri_retype(config->labels, config->n_labels,
                                    &runtime__v1__container_attributes__labels_entry__descriptor);
    attributes->n_annotations = config->n_annotations;
    attributes->annotations =
        cri_retype(config->annotations, config->n_annotations,
                   &runtime__v1__container_attributes__annotations_entry__descriptor);
    stats->attributes = attributes;
    stats->cpu = cpu_usage(a, s);
    stats->memory = memory_usage(a, s);
    return stats;
}

static char **one(struct arena *a, const char *id)
{
    char **v = arena_array(a, char *, 2);
    v[0] = arena_strdup(a, id);
    return v;
}

struct measured {
    struct peer_container_stats *items;
    size_t count;
};

CRI_HANDLER(cri_container_stats)
{
    const Runtime__V1__ContainerStatsRequest *q = request;
    Runtime__V1__ContainerStatsResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct container *c;
    struct measured m;
    int r = engine_container_find(cri->engine, q->container_id, &c, err);
    if (r < 0)
        return r;
    char *id = arena_strdup(a, c->id);
    r = engine_stats(cri->engine, NULL, one(a, id), a, &m.items, &m.count, err);
    if (r < 0)
        return r;
    r = engine_container_find(cri->engine, id, &c, err);
    if (r < 0)
        return r;
    struct process_stats none = {.timestamp = clock_wall_ns()};
    answer->stats = container_stats(a, c, m.count ? &m.items[0].stats : &none);
    return 0;
}

static bool matches(struct arena *a, const struct container *c,
                    const Runtime__V1__ContainerStatsFilter *f)
{
    if (!f)
        return true;
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    filter.id = f->id;
    filter.pod_sandbox_id = f->pod_sandbox_id;
    filter.n_label_selector = f->n_label_selector;
    filter.label_selector = (void *)f->label_selector;
    return cri_container_matches(a, c, &filter);
}

static int index_stats(struct map *m, const struct measured *measured, struct error *err)
{
    for (size_t i = 0; i < measured->count; i++)
        if (map_add(m, measured->items[i].id, &measured->items[i]) == -ENOMEM)
            return fail(err, ENOMEM, "collect the stats of %zu containers", measured->count);
    return 0;
}

/* Measures what the ids from first on name, into by_container; the ids stay, and the list is cut back to first. */
static int measure(struct cri_list *l, size_t first, bool pods, char ***ret_ids, struct measured *m,
                   struct map *by_container, struct error *err)
{
    size_t n = l->n - first;
    char **ids = *ret_ids = arena_array(l->arena, char *, n + 1);
    memcpy(ids, l->items + first, n * sizeof *ids);
    l->n = first;
    int r = engine_stats(l->engine, pods ? ids : NULL, pods ? NULL : ids, l->arena, &m->items,
                         &m->count, err);
    return r < 0 ? r : index_stats(by_container, m, err);
}

static const char *only_pod_of_container(struct engine *e, const void *filter)
{
    const Runtime__V1__ContainerStatsFilter *f = filter;
    return cri_only_pod_of(e, f->id, f->pod_sandbox_id);
}

static void add_container_ids(struct cri_list *l, const struct pod *pod, struct arena *scratch)
{
    struct container *c;
    if (!engine_pod_reachable(pod))
        return;
    list_each(c, &pod->containers,
              in_pod) if (c->state == CONTAINER_RUNNING && matches(scratch, c, l->filter))
        cri_list_add(l, arena_strdup(l->arena, c->id));
}

static int measure_containers(struct cri_list *l, size_t first, struct error *err)
{
    auto(map) struct map by_container = {0};
    struct measured m;
    char **ids;
    int r = measure(l, first, false, &ids, &m, &by_container, err);
    for (char **id = ids; r == 0 && *id; id++) {
        const struct peer_container_stats *found = map_get(&by_container, *id);
        struct container *c;
        if (found && engine_container_find(l->engine, *id, &c, NULL) == 0)
            cri_list_add(l, container_stats(l->arena, c, &found->stats));
    }
    return r;
}

CRI_ITEMS(Runtime__V1__ListContainerStatsResponse, stats);
CRI_ITEMS(Runtime__V1__StreamContainerStatsResponse, container_stats);
static const struct cri_listing containers = {
    .what = "the containers' stats",
    .streaming = "StreamContainerStats",
    .piece = &runtime__v1__stream_container_stats_response__descriptor,
    .only = only_pod_of_container,
    .pod = add_container_ids,
    .finish = measure_containers,
};

CRI_HANDLER(cri_list_container_stats)
{
    const Runtime__V1__ListContainerStatsRequest *q = request;
    return cri_list_whole(call, &containers, q->filter, response, err);
}

CRI_HANDLER(cri_stream_container_stats)
{
    const Runtime__V1__StreamContainerStatsRequest *q = request;
    (void)response;
    return cri_list_stream(call, &containers, q->filter, err);
}

static Runtime__V1__PodSandboxAttributes *pod_attributes(struct arena *a, const struct pod *pod)
{
    PodConfig *config = cri_pod_config(a, pod);
    Runtime__V1__PodSandboxAttributes *attributes = arena_new(a, Runtime__V1__PodSandboxAttributes);
    runtime__v1__pod_sandbox_attributes__init(attributes);
    attributes->id = arena_strdup(a, pod->id);
    attributes->metadata = config->metadata;
    attributes->n_labels = config->n_labels;
    attributes->labels = cri_retype(config->labels, config->n_labels,
                                    &runtime__v1__pod_sandbox_attributes__labels_entry__descriptor);
    attributes->n_annotations = config->n_annotations;
    attributes->annotations =
        cri_retype(config->annotations, config->n_annotations,
                   &runtime__v1__pod_sandbox_attributes__annotations_entry__descriptor);
    return attributes;
}

/* The pod's own numbers are its containers' sums. */
static void add(struct process_stats *sum, const struct process_stats *s)
{
    sum->timestamp = s->timestamp > sum->timestamp ? s->timestamp : sum->timestamp;
    sum->cpu_ns += s->cpu_ns;
    sum->memory_usage += s->memory_usage;
    sum->memory_working_set += s->memory_working_set;
    sum->memory_rss += s->memory_rss;
    sum->page_faults += s->page_faults;
    sum->major_page_faults += s->major_page_faults;
    sum->pids += s->pids;
}

/* items: sorted by nothing; those of other pods are passed over. */
static Runtime__V1__PodSandboxStats *pod_stats(struct arena *a, const struct pod *pod,
                                               const struct map *by_container)
{
    Runtime__V1__PodSandboxStats *stats = arena_new(a, Runtime__V1__PodSandboxStats);
    runtime__v1__pod_sandbox_stats__init(stats);
    stats->attributes = pod_attributes(a, pod);
    Runtime__V1__LinuxPodSandboxStats *linux_ = arena_new(a, Runtime__V1__LinuxPodSandboxStats);
    runtime__v1__linux_pod_sandbox_stats__init(linux_);
    stats->linux = linux_;
    struct process_stats sum = {.timestamp = clock_wall_ns()};
    size_t room = 0;
    struct container *c;
    list_each(c, &pod->containers, in_pod) room++;
    linux_->containers = arena_array(a, Runtime__V1__ContainerStats *, room + 1);
    list_each(c, &pod->containers, in_pod)
    {
        const struct peer_container_stats *found = map_get(by_container, c->id);
        if (!found)
            continue;
        add(&sum, &found->stats);
        linux_->containers[linux_->n_containers++] = container_stats(a, c, &found->stats);
    }
    linux_->cpu = cpu_usage(a, &sum);
    linux_->memory = memory_usage(a, &sum);
    linux_->process = arena_new(a, Runtime__V1__ProcessUsage);
    runtime__v1__process_usage__init(linux_->process);
    linux_->process->timestamp = sum.timestamp;
    linux_->process->process_count = number(a, sum.pids);
    return stats;
}

CRI_HANDLER(cri_pod_sandbox_stats)
{
    const Runtime__V1__PodSandboxStatsRequest *q = request;
    Runtime__V1__PodSandboxStatsResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct pod *pod;
    struct measured m;
    int r = engine_pod_find(cri->engine, q->pod_sandbox_id, &pod, err);
    if (r < 0)
        return r;
    char *id = arena_strdup(a, pod->id);
    r = engine_stats(cri->engine, one(a, id), NULL, a, &m.items, &m.count, err);
    if (r < 0)
        return r;
    auto(map) struct map by_container = {0};
    r = index_stats(&by_container, &m, err);
    if (r == 0)
        r = engine_pod_find(cri->engine, id, &pod, err);
    if (r == 0)
        answer->stats = pod_stats(a, pod, &by_container);
    return r;
}

static const char *only_pod(struct engine *e, const void *filter)
{
    const Runtime__V1__PodSandboxStatsFilter *f = filter;
    (void)e;
    return strlen(f->id) == ID_LEN ? f->id : NULL;
}

static void add_pod_ids(struct cri_list *l, const struct pod *pod, struct arena *scratch)
{
    const Runtime__V1__PodSandboxStatsFilter *f = l->filter;
    Runtime__V1__PodSandboxFilter filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    if (f) {
        filter.id = f->id;
        filter.n_label_selector = f->n_label_selector;
        filter.label_selector = (void *)f->label_selector;
    }
    if (pod->state == POD_READY && engine_pod_reachable(pod) &&
        cri_pod_matches(scratch, pod, &filter))
        cri_list_add(l, arena_strdup(l->arena, pod->id));
}

static int measure_pods(struct cri_list *l, size_t first, struct error *err)
{
    auto(map) struct map by_container = {0};
    struct measured m;
    char **ids;
    int r = measure(l, first, true, &ids, &m, &by_container, err);
    for (char **id = ids; r == 0 && *id; id++) {
        struct pod *pod;
        if (engine_pod_find(l->engine, *id, &pod, NULL) == 0)
            cri_list_add(l, pod_stats(l->arena, pod, &by_container));
    }
    return r;
}

CRI_ITEMS(Runtime__V1__ListPodSandboxStatsResponse, stats);
CRI_ITEMS(Runtime__V1__StreamPodSandboxStatsResponse, pod_sandbox_stats);
static const struct cri_listing pods = {
    .what = "the pods' stats",
    .streaming = "StreamPodSandboxStats",
    .piece = &runtime__v1__stream_pod_sandbox_stats_response__descriptor,
    .only = only_pod,
    .pod = add_pod_ids,
    .finish = measure_pods,
};

CRI_HANDLER(cri_list_pod_sandbox_stats)
{
    const Runtime__V1__ListPodSandboxStatsRequest *q = request;
    return cri_list_whole(call, &pods, q->filter, response, err);
}

CRI_HANDLER(cri_stream_pod_sandbox_stats)
{
    const Runtime__V1__StreamPodSandboxStatsRequest *q = request;
    (void)response;
    return cri_list_stream(call, &pods, q->filter, err);
}
