/* SPDX-License-Identifier: Apache-2.0 */
/* stats, statsp. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/warren/cri.h"
#include "loop/loop.h"

/* What one of the two asks for and shows. */
struct sampling {
    const char *method, *trouble;
    const void *request;
    /* The table of an answer; shares of CPU are those since the one before. */
    void (*fill)(struct cri *c, const struct sampling *s, struct cri_table *t, const void *now,
                 const void *before);
    int64_t seconds;
    enum cri_output output;
    bool all, watch;
};

static int sample(struct cri *c, const struct sampling *s, void *ret, struct error *err)
{
    int r = cri_call_stats(c, s->method, s->request, ret, err);
    return r < 0 ? fail_in(err, r, "%s", s->trouble) : 0;
}

static void show(struct cri *c, const struct sampling *s, const void *now, const void *before)
{
    struct cri_table t = {0};
    if (s->watch && isatty(STDOUT_FILENO))
        fputs("\033[H\033[J", stdout);
    if (s->output == CRI_JSON) {
        cri_print_message(now);
    } else {
        s->fill(c, s, &t, now, before);
        cri_print_table(&t);
    }
    fflush(stdout);
}

/* What one sample has allocated goes when the one after the next is taken. */
static int run(struct cri *c, const struct sampling *s, struct error *err)
{
    void *before, *now;
    int r = sample(c, s, &before, err);
    if (r == 0 && s->output == CRI_JSON && !s->watch) {
        show(c, s, before, NULL);
        return 0;
    }
    struct arena arenas[2] = {0};
    struct arena command = c->arena;
    for (unsigned n = 0; r == 0; n++) {
        co_sleep(s->seconds * NSEC_PER_SEC);
        arena_done(&arenas[n % 2]);
        c->arena = (struct arena){0};
        r = sample(c, s, &now, err);
        if (r == 0)
            show(c, s, now, before);
        before = now;
        arenas[n % 2] = c->arena;
        if (!s->watch)
            break;
    }
    c->arena = command;
    arena_done(&arenas[0]);
    arena_done(&arenas[1]);
    return r;
}

/* Percent of one CPU. */
static char *share(const Runtime__V1__CpuUsage *now, const Runtime__V1__CpuUsage *then,
                   char text[CRI_TEXT_MAX])
{
    double part = 0;
    if (now && then && now->timestamp > then->timestamp)
        part = ((double)cri_number(now->usage_core_nano_seconds) -
                (double)cri_number(then->usage_core_nano_seconds)) /
               (double)(now->timestamp - then->timestamp) * 100;
    snprintf(text, CRI_TEXT_MAX, "%.2f", part);
    return text;
}

static void add_container(struct cri *c, struct cri_table *t, bool all,
                          const Runtime__V1__ContainerStats *s,
                          const Runtime__V1__ContainerStats *old)
{
    char percent[CRI_TEXT_MAX], memory[CRI_TEXT_MAX], disk[CRI_TEXT_MAX], inodes[24],
        swap[CRI_TEXT_MAX];
    uint64_t mem = s->memory ? cri_number(s->memory->working_set_bytes) : 0;
    const Runtime__V1__FilesystemUsage *layer = s->writable_layer;
    if (!old || (!all && !mem && !(s->cpu && cri_number(s->cpu->usage_core_nano_seconds))))
        return;
    snprintf(inodes, sizeof inodes, "%llu",
             (unsigned long long)(layer ? cri_number(layer->inodes_used) : 0));
    cri_row(t, cri_short(c, s->attributes->id, "", false),
            s->attributes->metadata ? s->attributes->metadata->name : "",
            share(s->cpu, old->cpu, percent), cri_size(mem, 4, memory),
            cri_size(layer ? cri_number(layer->used_bytes) : 0, 4, disk), inodes,
            cri_size(s->swap ? cri_number(s->swap->swap_usage_bytes) : 0, 4, swap), NULL);
}

static void fill_containers(struct cri *c, const struct sampling *s, struct cri_table *t,
                            const void *now, const void *before)
{
    const Runtime__V1__ListContainerStatsResponse *list = now;
    cri_row(t, "CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "SWAP", NULL);
    for (size_t i = 0; i < list->n_stats; i++)
        if (list->stats[i]->attributes)
            add_container(c, t, s->all, list->stats[i],
                          cri_stats_find(before, list->stats[i]->attributes->id));
}

int cri_stats(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *id = NULL, *pod = NULL, *format = NULL;
    char **labels = NULL;
    struct sampling s = {.method = "ListContainerStats",
                         .trouble = "get container stats",
                         .fill = fill_containers,
                         .seconds = 1};
    const struct cri_option options[] = {
        {"all", 'a', CRI_FLAG, &s.all, "Show all containers (default shows just running)"},
        {"id", 0, CRI_TEXT, &id, "Filter by container id"},
        {"pod", 'p', CRI_TEXT, &pod, "Filter by pod id"},
        {"label", 0, CRI_LIST, &labels, "Filter by key=value label"},
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json|table"},
        {"seconds", 's', CRI_NUMBER, &s.seconds, "Sample duration for CPU usage in seconds"},
        {"watch", 'w', CRI_FLAG, &s.watch, "Show them again after each sample"},
    };
    Runtime__V1__ListContainerStatsRequest q = RUNTIME__V1__LIST_CONTAINER_STATS_REQUEST__INIT;
    Runtime__V1__ContainerStatsFilter filter = RUNTIME__V1__CONTAINER_STATS_FILTER__INIT;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest > 1)
        return cri_wrong_arguments(c, err);
    q.filter = &filter;
    s.request = &q;
    filter.id = (char *)(uintptr_t)str_or_empty(id ? id : rest < argc ? argv[rest] : NULL);
    filter.pod_sandbox_id = (char *)(uintptr_t)str_or_empty(pod);
    r = cri_output_of(format, CRI_TABLE, &s.output, err);
    if (r == 0)
        r = cri_map_of(c, labels,
                       &runtime__v1__container_stats_filter__label_selector_entry__descriptor,
                       &filter.n_label_selector, &filter.label_selector, err);
    strv_free(labels);
    return r < 0 ? r : run(c, &s, err);
}

static void add_pod(struct cri *c, struct cri_table *t, const Runtime__V1__PodSandboxStats *s,
                    const Runtime__V1__PodSandboxStats *old)
{
    const Runtime__V1__LinuxPodSandboxStats *now = s->linux, *then = old ? old->linux : NULL;
    char percent[CRI_TEXT_MAX], memory[CRI_TEXT_MAX];
    if (!now || !then)
        return;
    cri_row(t, s->attributes->metadata ? s->attributes->metadata->name : "",
            cri_short(c, s->attributes->id, "", false), share(now->cpu, then->cpu, percent),
            cri_size(now->memory ? cri_number(now->memory->working_set_bytes) : 0, 4, memory),
            NULL);
}

static void fill_pods(struct cri *c, const struct sampling *s, struct cri_table *t, const void *now,
                      const void *before)
{
    const Runtime__V1__ListPodSandboxStatsResponse *list = now;
    (void)s;
    cri_row(t, "POD", "POD ID", "CPU %", "MEM", NULL);
    for (size_t i = 0; i < list->n_stats; i++)
        if (list->stats[i]->attributes)
            add_pod(c, t, list->stats[i], cri_stats_find(before, list->stats[i]->attributes->id));
}

int cri_statsp(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *id = NULL, *format = NULL;
    char **labels = NULL;
    struct sampling s = {.method = "ListPodSandboxStats",
                         .trouble = "get pod stats: list pod sandbox stats",
                         .fill = fill_pods,
                         .seconds = 1};
    const struct cri_option options[] = {
        {"id", 0, CRI_TEXT, &id, "Filter by pod id"},
        {"label", 0, CRI_LIST, &labels, "Filter by key=value label"},
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json|table"},
        {"seconds", 's', CRI_NUMBER, &s.seconds, "Sample duration for CPU usage in seconds"},
        {"watch", 'w', CRI_FLAG, &s.watch, "Show them again after each sample"},
    };
    Runtime__V1__ListPodSandboxStatsRequest q = RUNTIME__V1__LIST_POD_SANDBOX_STATS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatsFilter filter = RUNTIME__V1__POD_SANDBOX_STATS_FILTER__INIT;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest > 1)
        return cri_wrong_arguments(c, err);
    q.filter = &filter;
    s.request = &q;
    filter.id = (char *)(uintptr_t)str_or_empty(id ? id : rest < argc ? argv[rest] : NULL);
    r = cri_output_of(format, CRI_TABLE, &s.output, err);
    if (r == 0)
        r = cri_map_of(c, labels,
                       &runtime__v1__pod_sandbox_stats_filter__label_selector_entry__descriptor,
                       &filter.n_label_selector, &filter.label_selector, err);
    strv_free(labels);
    return r < 0 ? r : run(c, &s, err);
}
