/* SPDX-License-Identifier: Apache-2.0 */
/* runp, stopp, rmp, pods, inspectp, statsp. */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

static const char *state_word(Runtime__V1__PodSandboxState state)
{
    return state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY ? "Ready" : "NotReady";
}

int cri_runp(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *handler = NULL, *timeout = NULL;
    const struct cri_option options[] = {
        {"runtime", 'r', CRI_TEXT, &handler, "Runtime handler to use"},
        {"cancel-timeout", 'T', CRI_TEXT, &timeout, "Accepted; the engine has its own limits"},
    };
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest != 1)
        return cri_wrong_arguments(c, err);
    Runtime__V1__RunPodSandboxRequest q = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__RunPodSandboxResponse *a;
    r = cri_load_pod(c, argv[rest], &q.config, err);
    if (r < 0)
        return fail_in(err, r, "load podSandboxConfig");
    q.runtime_handler = (char *)(uintptr_t)str_or_empty(handler);
    r = cri_call(c, "RunPodSandbox", CRI_SLOW, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "run pod sandbox");
    printf("%s\n", a->pod_sandbox_id);
    return 0;
}

static int stop_pod(struct cri *c, const char *id, struct error *err)
{
    Runtime__V1__StopPodSandboxRequest q = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
    q.pod_sandbox_id = (char *)(uintptr_t)id;
    int r = cri_call(c, "StopPodSandbox", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "stopping the pod sandbox \"%s\"", id);
    printf("Stopped sandbox %s\n", id);
    return 0;
}

int cri_stopp(struct cri *c, int argc, char **argv, struct error *err)
{
    int rest, r = cri_options(c, NULL, 0, argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc && r == 0; i++)
        r = stop_pod(c, argv[i], err);
    return r;
}

static int pod_status(struct cri *c, const char *id, bool verbose,
                      Runtime__V1__PodSandboxStatusResponse **ret, struct error *err)
{
    Runtime__V1__PodSandboxStatusRequest q = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    q.pod_sandbox_id = (char *)(uintptr_t)id;
    q.verbose = verbose;
    int r = cri_call(c, "PodSandboxStatus", CRI_AT_ONCE, &q, ret, err);
    if (r < 0)
        return fail_in(err, r, "get pod sandbox status");
    return (*ret)->status ? 0 : fail_plain(err, EBADMSG, "pod %s is without a status", id);
}

static int remove_pod(struct cri *c, const char *id, bool force, struct error *err)
{
    Runtime__V1__PodSandboxStatusResponse *status;
    Runtime__V1__RemovePodSandboxRequest q = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    int r = pod_status(c, id, false, &status, err);
    if (r < 0)
        return r;
    if (status->status->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY) {
        if (!force)
            return fail_plain(err, EBUSY, "pod \"%s\" is running, please stop it first", id);
        r = stop_pod(c, id, err);
        if (r < 0)
            return r;
    }
    q.pod_sandbox_id = (char *)(uintptr_t)id;
    r = cri_call(c, "RemovePodSandbox", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "removing the pod sandbox \"%s\"", id);
    printf("Removed sandbox %s\n", id);
    return 0;
}

static int list_pods(struct cri *c, const Runtime__V1__ListPodSandboxRequest *q,
                     Runtime__V1__ListPodSandboxResponse **ret, struct error *err)
{
    int r = cri_call_list(c, "ListPodSandbox", q, ret, err);
    return r < 0 ? fail_in(err, r, "listing pod sandboxes") : 0;
}

int cri_rmp(struct cri *c, int argc, char **argv, struct error *err)
{
    bool force = false, all = false;
    const struct cri_option options[] = {
        {"force", 'f', CRI_FLAG, &force, "Force removal of the pod, disregarding if running"},
        {"all", 'a', CRI_FLAG, &all, "Remove all pods"},
    };
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    int failed = 0;
    if (!all && rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc && !all; i++)
        cri_note(remove_pod(c, argv[i], force, err), &failed, err);
    if (!all)
        return failed < 0 ? fail_plain(err, failed, "unable to remove sandbox(es)") : 0;
    Runtime__V1__ListPodSandboxRequest q = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListPodSandboxResponse *list;
    r = list_pods(c, &q, &list, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->n_items; i++)
        cri_note(remove_pod(c, list->items[i]->id, force, err), &failed, err);
    return failed < 0 ? fail_plain(err, failed, "unable to remove sandbox(es)") : 0;
}

/* Pods */

struct list_options {
    const char *id, *name, *namespace_, *state, *output;
    char **labels;
    bool verbose, quiet, latest, no_trunc;
    int64_t last;
};

static int newest_first(const void *a, const void *b)
{
    const Runtime__V1__PodSandbox *x = *(void *const *)a, *y = *(void *const *)b;
    return (x->created_at < y->created_at) - (x->created_at > y->created_at);
}

static int select_pods(struct cri *c, const struct list_options *o,
                       Runtime__V1__ListPodSandboxResponse **ret, struct error *err)
{
    Runtime__V1__ListPodSandboxRequest q = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__PodSandboxFilter filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__PodSandboxStateValue state = RUNTIME__V1__POD_SANDBOX_STATE_VALUE__INIT;
    q.filter = &filter;
    filter.id = (char *)(uintptr_t)str_or_empty(o->id);
    if (o->state) {
        filter.state = &state;
        if (strcasecmp(o->state, "ready") == 0)
            state.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
        else if (strcasecmp(o->state, "notready") == 0)
            state.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
        else
            return fail_plain(err, EINVAL, "--state should be ready or notready");
    }
    int r =
        cri_map_of(c, o->labels, &runtime__v1__pod_sandbox_filter__label_selector_entry__descriptor,
                   &filter.n_label_selector, &filter.label_selector, err);
    if (r == 0)
        r = list_pods(c, &q, ret, err);
    if (r < 0)
        return r;
    size_t n = 0;
    for (size_t i = 0; i < (*ret)->n_items; i++) {
        Runtime__V1__PodSandbox *p = (*ret)->items[i];
        int name = p->metadata ? cri_matches(o->name, p->metadata->name, err) : 0;
        int ns = name > 0 ? cri_matches(o->namespace_, p->metadata->namespace_, err) : name;
        if (ns < 0)
            return ns;
        if (ns)
            (*ret)->items[n++] = p;
    }
    if (n)
        qsort((*ret)->items, n, sizeof *(*ret)->items, newest_first);
    (*ret)->n_items = cri_limit(n, o->latest, o->last);
    return 0;
}

static const char *handler_of(const Runtime__V1__PodSandbox *p)
{
    return str_empty(p->runtime_handler) ? "(default)" : p->runtime_handler;
}

static void print_pod(const Runtime__V1__PodSandbox *p)
{
    char text[CRI_TEXT_MAX];
    printf("ID: %s\nName: %s\n", p->id, p->metadata->name);
    if (!str_empty(p->metadata->uid))
        printf("UID: %s\n", p->metadata->uid);
    printf("Namespace: %s\n", p->metadata->namespace_);
    if (p->metadata->attempt)
        printf("Attempt: %u\n", p->metadata->attempt);
    printf("Status: %s\nCreated: %s\n", state_word(p->state), cri_go_time(p->created_at, text));
    cri_print_map("Labels", p->n_labels, p->labels);
    cri_print_map("Annotations", p->n_annotations, p->annotations);
    printf("Runtime: %s\n\n", handler_of(p));
}

static void print_pods(struct cri *c, const struct list_options *o,
                       const Runtime__V1__ListPodSandboxResponse *list)
{
    struct cri_table t = {0};
    char ago[CRI_TEXT_MAX], attempt[16];
    if (!o->verbose && !o->quiet)
        cri_row(&t, "POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME", NULL);
    for (size_t i = 0; i < list->n_items; i++) {
        const Runtime__V1__PodSandbox *p = list->items[i];
        snprintf(attempt, sizeof attempt, "%u", p->metadata->attempt);
        if (o->quiet)
            printf("%s\n", p->id);
        else if (o->verbose)
            print_pod(p);
        else
            cri_row(&t, cri_short(c, p->id, "", o->no_trunc), cri_ago(p->created_at, ago),
                    state_word(p->state), p->metadata->name, p->metadata->namespace_, attempt,
                    handler_of(p), NULL);
    }
    cri_print_table(&t);
}

int cri_pods(struct cri *c, int argc, char **argv, struct error *err)
{
    struct list_options o = {0};
    const struct cri_option options[] = {
        {"id", 0, CRI_TEXT, &o.id, "Filter by pod id"},
        {"name", 0, CRI_TEXT, &o.name, "Filter by pod name regular expression pattern"},
        {"namespace", 0, CRI_TEXT, &o.namespace_, "Filter by pod namespace pattern"},
        {"state", 's', CRI_TEXT, &o.state, "Filter by pod state"},
        {"label", 0, CRI_LIST, &o.labels, "Filter by key=value label"},
        {"verbose", 'v', CRI_FLAG, &o.verbose, "Show verbose info for pods"},
        {"quiet", 'q', CRI_FLAG, &o.quiet, "List only pod IDs"},
        {"output", 'o', CRI_TEXT, &o.output, "Output format, one of: json|table"},
        {"latest", 'l', CRI_FLAG, &o.latest, "Show the most recently created pod"},
        {"last", 'n', CRI_NUMBER, &o.last, "Show last n recently created pods, 0 for unlimited"},
        {"no-trunc", 0, CRI_FLAG, &o.no_trunc, "Show output without truncating the ID"},
    };
    Runtime__V1__ListPodSandboxResponse *list;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest != argc)
        return cri_wrong_arguments(c, err);
    r = cri_output_of(o.output, CRI_TABLE, &output, err);
    if (r == 0)
        r = select_pods(c, &o, &list, err);
    strv_free(o.labels);
    if (r < 0)
        return fail_in(err, r, "listing pod sandboxes");
    if (output == CRI_JSON)
        cri_print_message(list);
    else
        print_pods(c, &o, list);
    return 0;
}

/* Inspectp */

static void print_status(const Runtime__V1__PodSandboxStatus *s)
{
    char text[CRI_TEXT_MAX];
    printf("ID: %s\n", s->id);
    if (s->metadata) {
        printf("Name: %s\nUID: %s\nNamespace: %s\nAttempt: %u\n", s->metadata->name,
               s->metadata->uid, s->metadata->namespace_, s->metadata->attempt);
    }
    printf("Status: %s\nCreated: %s\n",
           s->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY ? "SANDBOX_READY"
                                                                     : "SANDBOX_NOTREADY",
           cri_go_time(s->created_at, text));
    if (s->network)
        printf("IP Addresses: %s\n", s->network->ip);
    cri_print_map("Labels", s->n_labels, s->labels);
    cri_print_map("Annotations", s->n_annotations, s->annotations);
}

static int add_status(struct cri *c, const char *id, bool quiet, enum cri_output output,
                      json_object *list, struct error *err)
{
    Runtime__V1__PodSandboxStatusResponse *a;
    json_object *status;
    int r = pod_status(c, id, !quiet, &a, err);
    if (r < 0)
        return r;
    if (output == CRI_TABLE) {
        print_status(a->status);
        return 0;
    }
    json_object *one = cri_inspection(a->status, (struct cri_info){a->n_info, a->info});
    if (json_object_object_get_ex(one, "status", &status))
        cri_set_time(status, "createdAt", a->status->created_at);
    json_object_array_add(list, one);
    return 0;
}

int cri_inspectp(struct cri *c, int argc, char **argv, struct error *err)
{
    struct list_options o = {0};
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &o.output, "Output format, one of: json|table"},
        {"quiet", 'q', CRI_FLAG, &o.quiet, "Do not show verbose information"},
        {"name", 0, CRI_TEXT, &o.name, "Filter by pod name regular expression pattern"},
        {"namespace", 0, CRI_TEXT, &o.namespace_, "Filter by pod namespace pattern"},
        {"state", 's', CRI_TEXT, &o.state, "Filter by pod state"},
        {"label", 0, CRI_LIST, &o.labels, "Filter by key=value label"},
        {"latest", 'l', CRI_FLAG, &o.latest, "Show the most recently created pod"},
        {"last", 'n', CRI_NUMBER, &o.last, "Show last n recently created pods, 0 for unlimited"},
    };
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = cri_output_of(o.output, CRI_JSON, &output, err);
    if (r < 0)
        return r;
    json_object *list = json_object_new_array();
    for (int i = rest; i < argc && r == 0; i++)
        r = add_status(c, argv[i], o.quiet, output, list, err);
    if (rest == argc) {
        Runtime__V1__ListPodSandboxResponse *found;
        r = select_pods(c, &o, &found, err);
        if (r == 0 && !found->n_items)
            r = fail_plain(err, ENOENT, "ID cannot be empty");
        for (size_t i = 0; r == 0 && i < found->n_items; i++)
            r = add_status(c, found->items[i]->id, o.quiet, output, list, err);
    }
    strv_free(o.labels);
    if (r == 0 && output == CRI_JSON)
        cri_print_inspections(list);
    else
        json_object_put(list);
    return r;
}
