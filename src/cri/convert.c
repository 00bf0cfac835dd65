/* SPDX-License-Identifier: Apache-2.0 */
#include "cri/convert.h"

#include <string.h>

#include "base/base.h"
#include "cri/signals.h"
#include "rpc/rpc.h"

PodConfig *cri_pod_config(struct arena *a, const struct pod *pod)
{
    PodConfig *config = rpc_unpack(&runtime__v1__pod_sandbox_config__descriptor, a,
                                   pod->config.data, pod->config.len);
    if (!config) {
        config = arena_new(a, PodConfig);
        runtime__v1__pod_sandbox_config__init(config);
    }
    if (!config->metadata) {
        config->metadata = arena_new(a, Runtime__V1__PodSandboxMetadata);
        runtime__v1__pod_sandbox_metadata__init(config->metadata);
    }
    return config;
}

ContainerConfig *cri_container_config(struct arena *a, const struct container *c)
{
    ContainerConfig *config =
        rpc_unpack(&runtime__v1__container_config__descriptor, a, c->config.data, c->config.len);
    if (!config) {
        config = arena_new(a, ContainerConfig);
        runtime__v1__container_config__init(config);
    }
    if (!config->metadata) {
        config->metadata = arena_new(a, Runtime__V1__ContainerMetadata);
        runtime__v1__container_metadata__init(config->metadata);
    }
    return config;
}

void *cri_retype(void *entries, size_t n, const ProtobufCMessageDescriptor *type)
{
    struct cri_pair **pairs = entries;
    for (size_t i = 0; i < n; i++)
        pairs[i]->base.descriptor = type;
    return entries;
}

static char *copy(struct arena *a, const char *s)
{
    return arena_strdup(a, str_or_empty(s));
}

static Runtime__V1__PodSandboxState pod_state(const struct pod *pod)
{
    return pod->state == POD_READY ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY
                                   : RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
}

Runtime__V1__PodSandbox *cri_pod_item(struct arena *a, const struct pod *pod)
{
    PodConfig *config = cri_pod_config(a, pod);
    Runtime__V1__PodSandbox *item = arena_new(a, Runtime__V1__PodSandbox);
    runtime__v1__pod_sandbox__init(item);
    item->id = copy(a, pod->id);
    item->metadata = config->metadata;
    item->state = pod_state(pod);
    item->created_at = pod->created_ns;
    item->n_labels = config->n_labels;
    item->labels = cri_retype(config->labels, config->n_labels,
                              &runtime__v1__pod_sandbox__labels_entry__descriptor);
    item->n_annotations = config->n_annotations;
    item->annotations = cri_retype(config->annotations, config->n_annotations,
                                   &runtime__v1__pod_sandbox__annotations_entry__descriptor);
    item->runtime_handler = copy(a, pod->handler);
    return item;
}

static Runtime__V1__NamespaceOption *namespace_options(const PodConfig *config)
{
    const Runtime__V1__LinuxSandboxSecurityContext *security =
        config->linux ? config->linux->security_context : NULL;
    return security ? security->namespace_options : NULL;
}

Runtime__V1__PodSandboxStatus *cri_pod_status(struct arena *a, const struct pod *pod)
{
    PodConfig *config = cri_pod_config(a, pod);
    Runtime__V1__PodSandboxStatus *status = arena_new(a, Runtime__V1__PodSandboxStatus);
    runtime__v1__pod_sandbox_status__init(status);
    status->id = copy(a, pod->id);
    status->metadata = config->metadata;
    status->state = pod_state(pod);
    status->created_at = pod->created_ns;
    status->runtime_handler = copy(a, pod->handler);
    status->network = arena_new(a, Runtime__V1__PodSandboxNetworkStatus);
    runtime__v1__pod_sandbox_network_status__init(status->network);
    status->linux = arena_new(a, Runtime__V1__LinuxPodSandboxStatus);
    runtime__v1__linux_pod_sandbox_status__init(status->linux);
    status->linux->namespaces = arena_new(a, Runtime__V1__Namespace);
    runtime__v1__namespace__init(status->linux->namespaces);
    status->linux->namespaces->options = namespace_options(config);
    status->n_labels = config->n_labels;
    status->labels = cri_retype(config->labels, config->n_labels,
                                &runtime__v1__pod_sandbox_status__labels_entry__descriptor);
    status->n_annotations = config->n_annotations;
    status->annotations =
        cri_retype(config->annotations, config->n_annotations,
                   &runtime__v1__pod_sandbox_status__annotations_entry__descriptor);
    return status;
}

static Runtime__V1__ContainerState container_state(const struct container *c)
{
    switch (c->state) {
    case CONTAINER_CREATED:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED;
    case CONTAINER_RUNNING:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    case CONTAINER_EXITED:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
    case CONTAINER_UNKNOWN:
        break;
    }
    return RUNTIME__V1__CONTAINER_STATE__CONTAINER_UNKNOWN;
}

static Runtime__V1__ImageSpec *image_spec(struct arena *a, const ContainerConfig *config)
{
    Runtime__V1__ImageSpec *spec = arena_new(a, Runtime__V1__ImageSpec);
    runtime__v1__image_spec__init(spec);
    if (config->image) {
        spec->image = copy(a, config->image->image);
        spec->user_specified_image = copy(a, config->image->user_specified_image);
    }
    return spec;
}

/* The image's digest where it has one, as kubelet shows it, else its id. */
static char *image_ref_of(struct arena *a, struct engine *e, const struct container *c)
{
    auto(image) struct image *image = NULL;
    if (image_find(engine_images(e), c->image_id, &image, NULL) == 0 && image->digests &&
        image->digests[0])
        return copy(a, image->digests[0]);
    return copy(a, c->image_id);
}

Runtime__V1__Container *cri_container_item(struct arena *a, struct engine *e,
                                           const struct container *c)
{
    ContainerConfig *config = cri_container_config(a, c);
    Runtime__V1__Container *item = arena_new(a, Runtime__V1__Container);
    runtime__v1__container__init(item);
    item->id = copy(a, c->id);
    item->pod_sandbox_id = copy(a, c->pod->id);
    item->metadata = config->metadata;
    item->image = image_spec(a, config);
    item->image_ref = image_ref_of(a, e, c);
    item->image_id = copy(a, c->image_id);
    item->state = container_state(c);
    item->created_at = c->created_ns;
    item->n_labels = config->n_labels;
    item->labels = cri_retype(config->labels, config->n_labels,
                              &runtime__v1__container__labels_entry__descriptor);
    item->n_annotations = config->n_annotations;
    item->annotations = cri_retype(config->annotations, config->n_annotations,
                                   &runtime__v1__container__annotations_entry__descriptor);
    return item;
}

static Runtime__V1__ContainerResources *container_resources(struct arena *a,
                                                            const ContainerConfig *config)
{
    Runtime__V1__ContainerResources *resources = arena_new(a, Runtime__V1__ContainerResources);
    runtime__v1__container_resources__init(resources);
    resources->linux = config->linux ? config->linux->resources : NULL;
    return resources;
}

/* Who the container was asked to run as, where it was asked by number. */
static Runtime__V1__ContainerUser *container_user(struct arena *a, const ContainerConfig *config)
{
    const Runtime__V1__LinuxContainerSecurityContext *security =
        config->linux ? config->linux->security_context : NULL;
    if (!security || !security->run_as_user)
        return NULL;
    Runtime__V1__ContainerUser *user = arena_new(a, Runtime__V1__ContainerUser);
    runtime__v1__container_user__init(user);
    user->linux = arena_new(a, Runtime__V1__LinuxContainerUser);
    runtime__v1__linux_container_user__init(user->linux);
    user->linux->uid = security->run_as_user->value;
    user->linux->gid = security->run_as_group ? security->run_as_group->value : 0;
    user->linux->n_supplemental_groups = security->n_supplemental_groups;
    user->linux->supplemental_groups = security->supplemental_groups;
    return user;
}

Runtime__V1__ContainerStatus *cri_container_status(struct arena *a, struct engine *e,
                                                   const struct container *c)
{
    ContainerConfig *config = cri_container_config(a, c);
    Runtime__V1__ContainerStatus *status = arena_new(a, Runtime__V1__ContainerStatus);
    runtime__v1__container_status__init(status);
    status->id = copy(a, c->id);
    status->metadata = config->metadata;
    status->state = container_state(c);
    status->created_at = c->created_ns;
    status->started_at = c->started_ns;
    status->finished_at = c->finished_ns;
    status->exit_code = c->exit_code;
    status->image = image_spec(a, config);
    status->image_ref = image_ref_of(a, e, c);
    status->image_id = copy(a, c->image_id);
    status->reason = copy(a, c->reason);
    status->message = copy(a, c->message);
    status->log_path = copy(a, c->log_path);
    status->resources = container_resources(a, config);
    status->user = container_user(a, config);
    status->n_mounts = config->n_mounts;
    status->mounts = config->mounts;
    auto(image) struct image *image = NULL;
    image_find(engine_images(e), c->image_id, &image, NULL);
    status->stop_signal = config->stop_signal
                              ? config->stop_signal
                              : cri_signal_named(image ? image->config.stop_signal : NULL);
    status->n_labels = config->n_labels;
    status->labels = cri_retype(config->labels, config->n_labels,
                                &runtime__v1__container_status__labels_entry__descriptor);
    status->n_annotations = config->n_annotations;
    status->annotations = cri_retype(config->annotations, config->n_annotations,
                                     &runtime__v1__container_status__annotations_entry__descriptor);
    return status;
}

size_t cri_container_statuses(struct arena *a, struct engine *e, const struct pod *pod,
                              Runtime__V1__ContainerStatus ***ret)
{
    size_t n = 0;
    struct container *c;
    list_each(c, &pod->containers, in_pod) n++;
    *ret = arena_array(a, Runtime__V1__ContainerStatus *, n + 1);
    n = 0;
    list_each(c, &pod->containers, in_pod)(*ret)[n++] = cri_container_status(a, e, c);
    return n;
}

const char *cri_pair_get(void *const *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        const struct cri_pair *pair = pairs[i];
        if (str_eq(pair->key, key))
            return pair->value;
    }
    return NULL;
}

bool cri_pairs_match(void *const *labels, size_t n_labels, void *const *selector, size_t n_selector)
{
    for (size_t i = 0; i < n_selector; i++) {
        const struct cri_pair *wanted = selector[i];
        const char *value = cri_pair_get(labels, n_labels, wanted->key);
        if (!value || !str_eq(value, wanted->value))
            return false;
    }
    return true;
}

void *cri_pair_new(struct arena *a, const ProtobufCMessageDescriptor *type, const char *key,
                   const char *value)
{
    struct cri_pair *pair = arena_new(a, struct cri_pair);
    type->message_init(&pair->base);
    pair->key = copy(a, key);
    pair->value = copy(a, value);
    return pair;
}

bool cri_pod_matches(struct arena *a, const struct pod *pod, const Runtime__V1__PodSandboxFilter *f)
{
    if (!f)
        return true;
    if (f->id[0] && !str_after(pod->id, f->id))
        return false;
    if (f->state && f->state->state != pod_state(pod))
        return false;
    if (!f->n_label_selector)
        return true;
    PodConfig *config = cri_pod_config(a, pod);
    return cri_pairs_match((void **)config->labels, config->n_labels, (void **)f->label_selector,
                           f->n_label_selector);
}

bool cri_container_matches(struct arena *a, const struct container *c,
                           const Runtime__V1__ContainerFilter *f)
{
    if (!f)
        return true;
    if (f->id[0] && !str_after(c->id, f->id))
        return false;
    if (f->pod_sandbox_id[0] && !str_after(c->pod->id, f->pod_sandbox_id))
        return false;
    if (f->state && f->state->state != container_state(c))
        return false;
    if (!f->n_label_selector)
        return true;
    ContainerConfig *config = cri_container_config(a, c);
    return cri_pairs_match((void **)config->labels, config->n_labels, (void **)f->label_selector,
                           f->n_label_selector);
}

static char **copy_all(struct arena *a, char *const *v, size_t *ret_count)
{
    *ret_count = strv_len(v);
    char **all = arena_array(a, char *, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++)
        all[i] = copy(a, v[i]);
    return all;
}

Runtime__V1__Image *cri_image(struct arena *a, const struct image *image)
{
    Runtime__V1__Image *m = arena_new(a, Runtime__V1__Image);
    runtime__v1__image__init(m);
    m->id = copy(a, image->id);
    m->repo_tags = copy_all(a, image->tags, &m->n_repo_tags);
    m->repo_digests = copy_all(a, image->digests, &m->n_repo_digests);
    m->size = image->size;
    int64_t uid;
    const char *user = str_or_empty(image->config.user);
    autofree char *name = strndup(user, strcspn(user, ":"));
    if (!str_empty(name) && str_parse_int(name, 0, UINT32_MAX, &uid) == 0) {
        m->uid = arena_new(a, Runtime__V1__Int64Value);
        runtime__v1__int64_value__init(m->uid);
        m->uid->value = uid;
    } else {
        m->username = copy(a, name);
    }
    return m;
}
