/* SPDX-License-Identifier: Apache-2.0 */
/* ps, inspect. */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

struct list_options {
    const char *id, *pod, *name, *namespace_, *state, *image, *output;
    char **labels;
    bool verbose, quiet, latest, no_trunc, all, resolve;
    int64_t last;
};

static const char *const state_words[] = {"Created", "Running", "Exited", "Unknown"};
static const char *const state_names[] = {"CONTAINER_CREATED", "CONTAINER_RUNNING",
                                          "CONTAINER_EXITED", "CONTAINER_UNKNOWN"};

static size_t state_index(Runtime__V1__ContainerState state)
{
    return (size_t)state < ARRAY_SIZE(state_words) ? (size_t)state : 3;
}

static int newest_first(const void *a, const void *b)
{
    const Runtime__V1__Container *x = *(void *const *)a, *y = *(void *const *)b;
    return (x->created_at < y->created_at) - (x->created_at > y->created_at);
}

static int parse_state(const struct list_options *o, Runtime__V1__ContainerFilter *filter,
                       Runtime__V1__ContainerStateValue *value, struct error *err)
{
    if (o->latest || o->last > 0) {
        filter->state = NULL;
        return 0;
    }
    value->state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    filter->state = o->all ? NULL : value;
    if (!o->state)
        return 0;
    filter->state = value;
    for (size_t i = 0; i < ARRAY_SIZE(state_words); i++)
        if (strcasecmp(o->state, state_words[i]) == 0) {
            value->state = (Runtime__V1__ContainerState)i;
            return 0;
        }
    return fail_plain(err, EINVAL, "--state should be one of created, running, exited or unknown");
}

/* The id of the image that a name means; NULL where there is none. */
static int image_id(struct cri *c, const char *name, Runtime__V1__Image **ret, struct error *err)
{
    Runtime__V1__ImageStatusRequest q = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ImageStatusResponse *a;
    spec.image = (char *)(uintptr_t)name;
    q.image = &spec;
    int r = cri_call_image(c, "ImageStatus", CRI_AT_ONCE, &q, &a, err);
    if (r == 0)
        *ret = a->image;
    return r;
}

static const char *image_of(const Runtime__V1__Container *k)
{
    return k->image ? str_or_empty(k->image->image) : "";
}

static int wanted(struct cri *c, const struct list_options *o, const Runtime__V1__Image *image,
                  const Runtime__V1__Container *k, struct error *err)
{
    const char *ns = cri_map_get(k->n_labels, k->labels, "io.kubernetes.pod.namespace");
    int r = k->metadata ? cri_matches(o->name, k->metadata->name, err) : 0;
    if (r > 0)
        r = cri_matches(o->namespace_, ns ? ns : "unknown", err);
    if (r <= 0 || !o->image)
        return r;
    Runtime__V1__Image *own;
    r = image_id(c, image_of(k), &own, err);
    return r < 0 ? r : image && own && str_eq(image->id, own->id);
}

static int select_containers(struct cri *c, const struct list_options *o,
                             Runtime__V1__ListContainersResponse **ret, struct error *err)
{
    Runtime__V1__ListContainersRequest q = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStateValue state = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;
    Runtime__V1__Image *image = NULL;
    q.filter = &filter;
    filter.id = (char *)(uintptr_t)str_or_empty(o->id);
    filter.pod_sandbox_id = (char *)(uintptr_t)str_or_empty(o->pod);
    int r = parse_state(o, &filter, &state, err);
    if (r == 0)
        r = cri_map_of(c, o->labels,
                       &runtime__v1__container_filter__label_selector_entry__descriptor,
                       &filter.n_label_selector, &filter.label_selector, err);
    if (r == 0)
        r = cri_call_list(c, "ListContainers", &q, ret, err);
    if (r == 0 && o->image)
        r = image_id(c, o->image, &image, err);
    if (r < 0)
        return fail_in(err, r, "listing containers");
    size_t n = 0;
    for (size_t i = 0; i < (*ret)->n_containers; i++) {
        r = wanted(c, o, image, (*ret)->containers[i], err);
        if (r < 0)
            return r;
        if (r)
            (*ret)->containers[n++] = (*ret)->containers[i];
    }
    if (n)
        qsort((*ret)->containers, n, sizeof *(*ret)->containers, newest_first);
    (*ret)->n_containers = cri_limit(n, o->latest, o->last);
    return 0;
}

/* Ps */

static const char *label_of(const Runtime__V1__Container *k, const char *name)
{
    const char *value = cri_map_get(k->n_labels, k->labels, name);
    return value ? value : "unknown";
}

static const char *image_shown(struct cri *c, const struct list_options *o,
                               const Runtime__V1__Container *k)
{
    Runtime__V1__Image *image;
    const char *name = image_of(k);
    if (o->resolve && image_id(c, name, &image, NULL) == 0 && image && image->n_repo_tags)
        return image->repo_tags[0];
    return str_after(name, "sha256:") ? cri_short(c, name, "sha256:", o->no_trunc) : name;
}

static void print_container(const Runtime__V1__Container *k)
{
    char ago[CRI_TEXT_MAX];
    printf("ID: %s\nPodID: %s\nNamespace: %s\nName: %s\nAttempt: %u\nState: %s\n", k->id,
           k->pod_sandbox_id, label_of(k, "io.kubernetes.pod.namespace"), k->metadata->name,
           k->metadata->attempt, state_words[state_index(k->state)]);
    if (k->image)
        printf("Image: %s\n", k->image->image);
    printf("Created: %s\n", cri_ago(k->created_at, ago));
    cri_print_map("Labels", k->n_labels, k->labels);
    cri_print_map("Annotations", k->n_annotations, k->annotations);
    printf("\n");
}

static void print_containers(struct cri *c, const struct list_options *o,
                             const Runtime__V1__ListContainersResponse *list)
{
    struct cri_table t = {0};
    char ago[CRI_TEXT_MAX], attempt[16];
    if (!o->verbose && !o->quiet)
        cri_row(&t, "CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD",
                "NAMESPACE", NULL);
    for (size_t i = 0; i < list->n_containers; i++) {
        const Runtime__V1__Container *k = list->containers[i];
        snprintf(attempt, sizeof attempt, "%u", k->metadata->attempt);
        if (o->quiet)
            printf("%s\n", k->id);
        else if (o->verbose)
            print_container(k);
        else
            cri_row(&t, cri_short(c, k->id, "", o->no_trunc), image_shown(c, o, k),
                    cri_ago(k->created_at, ago), state_words[state_index(k->state)],
                    k->metadata->name, attempt, cri_short(c, k->pod_sandbox_id, "", o->no_trunc),
                    label_of(k, "io.kubernetes.pod.name"),
                    label_of(k, "io.kubernetes.pod.namespace"), NULL);
    }
    cri_print_table(&t);
}

int cri_ps(struct cri *c, int argc, char **argv, struct error *err)
{
    struct list_options o = {0};
    const struct cri_option options[] = {
        {"verbose", 'v', CRI_FLAG, &o.verbose, "Show verbose information for containers"},
        {"id", 0, CRI_TEXT, &o.id, "Filter by container id"},
        {"name", 0, CRI_TEXT, &o.name, "Filter by container name regular expression pattern"},
        {"pod", 'p', CRI_TEXT, &o.pod, "Filter by pod id"},
        {"image", 0, CRI_TEXT, &o.image, "Filter by container image"},
        {"state", 's', CRI_TEXT, &o.state, "Filter by container state"},
        {"label", 0, CRI_LIST, &o.labels, "Filter by key=value label"},
        {"quiet", 'q', CRI_FLAG, &o.quiet, "Only display container IDs"},
        {"output", 'o', CRI_TEXT, &o.output, "Output format, one of: json|table"},
        {"all", 'a', CRI_FLAG, &o.all, "Show all containers"},
        {"latest", 'l', CRI_FLAG, &o.latest, "Show the most recently created container"},
        {"last", 'n', CRI_NUMBER, &o.last, "Show last n recently created containers"},
        {"no-trunc", 0, CRI_FLAG, &o.no_trunc, "Show output without truncating the ID"},
        {"resolve-image-path", 'r', CRI_FLAG, &o.resolve, "Show image path instead of image id"},
        {"namespace", 0, CRI_TEXT, &o.namespace_, "Filter by pod namespace pattern"},
    };
    Runtime__V1__ListContainersResponse *list;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest != argc)
        return cri_wrong_arguments(c, err);
    r = cri_output_of(o.output, CRI_TABLE, &output, err);
    if (r == 0)
        r = select_containers(c, &o, &list, err);
    strv_free(o.labels);
    if (r < 0)
        return r;
    if (output == CRI_JSON)
        cri_print_message(list);
    else
        print_containers(c, &o, list);
    return 0;
}

/* Inspect */

static void print_status(const Runtime__V1__ContainerStatus *s)
{
    char ago[CRI_TEXT_MAX];
    printf("ID: %s\n", s->id);
    if (s->metadata)
        printf("Name: %s\n", s->metadata->name);
    if (s->metadata && s->metadata->attempt)
        printf("Attempt: %u\n", s->metadata->attempt);
    printf("State: %s\nCreated: %s\n", state_names[state_index(s->state)],
           cri_ago(s->created_at, ago));
    if (s->state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED)
        printf("Started: %s\n", cri_ago(s->started_at, ago));
    if (s->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED) {
        if (s->finished_at > 0)
            printf("Finished: %s\n", cri_ago(s->finished_at, ago));
        printf("Exit Code: %d\n", s->exit_code);
    }
    cri_print_map("Labels", s->n_labels, s->labels);
    cri_print_map("Annotations", s->n_annotations, s->annotations);
}

static int add_status(struct cri *c, const char *id, bool quiet, enum cri_output output,
                      json_object *list, struct error *err)
{
    Runtime__V1__ContainerStatusRequest q = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *a;
    json_object *status;
    q.container_id = (char *)(uintptr_t)id;
    q.verbose = !quiet;
    int r = cri_call(c, "ContainerStatus", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "get container status");
    if (!a->status)
        return fail_plain(err, EBADMSG, "container %s is without a status", id);
    if (output == CRI_TABLE) {
        print_status(a->status);
        return 0;
    }
    json_object *one = cri_inspection(a->status, (struct cri_info){a->n_info, a->info});
    if (json_object_object_get_ex(one, "status", &status)) {
        cri_set_time(status, "createdAt", a->status->created_at);
        cri_set_time(status, "startedAt", a->status->started_at);
        cri_set_time(status, "finishedAt", a->status->finished_at);
    }
    json_object_array_add(list, one);
    return 0;
}

int cri_inspect(struct cri *c, int argc, char **argv, struct error *err)
{
    struct list_options o = {0};
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &o.output, "Output format, one of: json|table"},
        {"quiet", 'q', CRI_FLAG, &o.quiet, "Do not show verbose information"},
        {"name", 0, CRI_TEXT, &o.name, "Filter by container name regular expression pattern"},
        {"namespace", 0, CRI_TEXT, &o.namespace_, "Filter by pod namespace pattern"},
        {"pod", 'p', CRI_TEXT, &o.pod, "Filter by pod id"},
        {"image", 0, CRI_TEXT, &o.image, "Filter by container image"},
        {"state", 's', CRI_TEXT, &o.state, "Filter by container state"},
        {"label", 0, CRI_LIST, &o.labels, "Filter by key=value label"},
        {"latest", 'l', CRI_FLAG, &o.latest, "Show the most recently created container"},
        {"last", 'n', CRI_NUMBER, &o.last, "Show last n recently created containers"},
        {"all", 'a', CRI_FLAG, &o.all, "Show all containers"},
    };
    Runtime__V1__ListContainersResponse *found = NULL;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = cri_output_of(o.output, CRI_JSON, &output, err);
    if (r == 0 && rest == argc)
        r = select_containers(c, &o, &found, err);
    if (r == 0 && found && !found->n_containers)
        r = fail_plain(err, ENOENT, "ID cannot be empty");
    strv_free(o.labels);
    if (r < 0)
        return r;
    json_object *list = json_object_new_array();
    for (int i = rest; i < argc && r == 0; i++)
        r = add_status(c, argv[i], o.quiet, output, list, err);
    for (size_t i = 0; found && r == 0 && i < found->n_containers; i++)
        r = add_status(c, found->containers[i]->id, o.quiet, output, list, err);
    if (r == 0 && output == CRI_JSON)
        cri_print_inspections(list);
    else
        json_object_put(list);
    return r;
}
