/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/describe.h"
#include "engine/files.h"
#include "engine/kill.h"
#include "engine/leftover.h"
#include "engine/spec.h"
#include "engine/state.h"

enum { FORGET_TRIES = 5, FORGET_PAUSE_MS = 20 };

static int commit(struct engine *e, struct container_record *c, enum store_kind kind,
                  struct error *err)
{
    const struct container *k = &c->container;
    struct store_change change = {
        .kind = kind,
        .container = {.seq = c->seq,
                      .pod_seq = record_pod(c)->seq,
                      .id = k->id,
                      .name = k->name,
                      .attempt = k->attempt,
                      .image_id = k->image_id,
                      .image_ref = k->image_ref,
                      .log_path = k->log_path,
                      .phase = CONTAINER_PHASE_CREATED,
                      .created_ns = k->created_ns,
                      .config = k->config.data,
                      .config_len = k->config.len},
    };
    return store_commit(e->store, &change, err);
}

/* Create */

static int check_config(const Runtime__V1__ContainerConfig *config, struct error *err)
{
    if (!config || !config->metadata || str_empty(config->metadata->name))
        return fail_plain(err, EINVAL, "a container needs a name: metadata.name is missing");
    if (!config->image || str_empty(config->image->image))
        return fail_plain(err, EINVAL, "container \"%s\" needs an image: image.image is missing",
                          config->metadata->name);
    return 0;
}

static int check_pod(const struct pod_record *p, struct error *err)
{
    if (p->removing || p->stopping)
        return fail_plain(err, EINVAL, "pod %s is being %s", p->pod.id,
                          p->removing ? "removed" : "stopped");
    if (p->pod.state != POD_READY)
        return fail_plain(err, EINVAL, "pod %s is not running", p->pod.id);
    return 0;
}

static int check_name(const struct pod_record *p, const Runtime__V1__ContainerMetadata *m,
                      struct error *err)
{
    struct container *k;
    list_each(k, &p->pod.containers,
              in_pod) if (str_eq(k->name, m->name) &&
                          k->attempt ==
                              m->attempt) return fail_plain(err, EEXIST,
                                                            "the name \"%s\", attempt %u, is taken "
                                                            "by container %s of the pod",
                                                            m->name, m->attempt, k->id);
    return 0;
}

static struct container_record *make_record(struct engine *e, struct pod_record *p,
                                            const Runtime__V1__ContainerConfig *config,
                                            const struct image *image, const char *log_path)
{
    size_t len = protobuf_c_message_get_packed_size(&config->base);
    autofree uint8_t *packed = malloc(len ? len : 1);
    if (!packed)
        return NULL;
    protobuf_c_message_pack(&config->base, packed);
    char id[ID_LEN + 1];
    id_new(id);
    struct container_row row = {.seq = e->next_seq++,
                                .id = id,
                                .name = config->metadata->name,
                                .attempt = config->metadata->attempt,
                                .image_id = image->id,
                                .image_ref = str_empty(config->image->user_specified_image)
                                                 ? config->image->image
                                                 : config->image->user_specified_image,
                                .log_path = log_path,
                                .phase = CONTAINER_PHASE_CREATED,
                                .created_ns = clock_wall_ns(),
                                .config = packed,
                                .config_len = len};
    return container_record_new(e, p, &row);
}

/* The image is pinned, the record in the store, and only then is there a container. */
static int keep(struct engine *e, struct container_record *c, struct error *err)
{
    int r = image_pin(e->images, c->container.image_id, c->container.id, err);
    if (r < 0)
        return r;
    r = commit(e, c, STORE_CONTAINER_ADD, err);
    if (r == 0)
        r = container_enter(e, c, err);
    if (r < 0)
        image_unpin(e->images, c->container.image_id, c->container.id);
    return r;
}

static int create_held(struct engine *e, struct pod_record *p,
                       const Runtime__V1__ContainerConfig *config, char ret_id[65],
                       struct error *err)
{
    int r = check_pod(p, err);
    if (r == 0)
        r = check_name(p, config->metadata, err);
    if (r < 0)
        return r;
    auto(image) struct image *image = NULL;
    autofree char *log_path = NULL;
    r = image_find(e->images, config->image->image, &image, err);
    if (r < 0)
        return r;
    auto(container_ref) struct container_record *c = NULL;
    auto(described_pod) Runtime__V1__PodSandboxConfig *pod = describe_pod(p, err);
    if (!pod)
        return -EIO;
    r = files_log_path(pod->log_directory, config->log_path, &log_path, err);
    if (r < 0)
        return r;
    c = make_record(e, p, config, image, log_path);
    if (!c)
        return fail(err, ENOMEM, "keep container \"%s\"", config->metadata->name);
    /* what is wrong with the configuration is better said now than at the start */
    r = describe_container(e, c, pod, config, image, &c->spec, err);
    if (r == 0)
        r = keep(e, c, err);
    if (r < 0)
        return r;
    memcpy(ret_id, c->container.id, ID_LEN + 1);
    engine_emit(e, EVENT_CREATED, c->container.created_ns, &p->pod, &c->container);
    return 0;
}

int engine_container_create(struct engine *e, const char *pod_id,
                            const Runtime__V1__ContainerConfig *config, char ret_id[65],
                            struct error *err)
{
    int r = check_config(config, err);
    if (r < 0)
        return r;
    struct error why = {0};
    auto(pod_held) struct pod_record *p = pod_hold(e, pod_id, &why);
    if (!p)
        return fail_with(err, &why);
    r = create_held(e, p, config, ret_id, err);
    return r < 0 ? fail_in(err, r, "create container \"%s\"", config->metadata->name) : 0;
}

/* Remove */

/* The sandboxer's part of it. One that failed to start may run there all the same. */
static int forget_at_peer(struct container_record *c, struct error *err)
{
    struct engine_peer *ep = pod_peer(record_pod(c));
    struct peer *peer = ep->peer;
    int r = 0;
    for (int i = 0; c->at_peer && i < FORGET_TRIES; i++) {
        r = peer->ops->remove(peer, c->container.id, "", NULL, err);
        if (r == 0 || r == -ENOENT) {
            c->at_peer = false;
            return 0;
        }
        if (r == -ENOTCONN)
            break;
        peer->ops->kill(peer, c->container.id, "", SIGKILL, true, NULL);
        co_sleep(FORGET_PAUSE_MS * NSEC_PER_MSEC);
    }
    if (r < 0)
        leftover_container(ep, record_pod(c)->pod.id, c->container.id, true);
    return r;
}

static int remove_held(struct engine *e, struct container_record *c, struct error *err)
{
    int r = c->at_peer ? peer_wait(record_pod(c)->handler, err) : 0;
    if (r < 0)
        return r;
    c->removing = true; /* for good: what failed half way can only be removed again */
    r = container_save_now(e, c, err);
    if (r == 0 && c->container.state == CONTAINER_RUNNING)
        r = container_kill(e, c, err);
    if (r == 0)
        r = forget_at_peer(c, err);
    if (r < 0)
        return r;
    files_remove_container(e, c->container.id);
    return commit(e, c, STORE_CONTAINER_DELETE, err);
}

int engine_container_remove(struct engine *e, const char *id, struct error *err)
{
    struct error why = {0};
    struct container_record *found = container_lookup(e, id, &why);
    if (!found)
        return why.code == -ENOENT ? 0 : fail_with(err, &why);
    auto(container_ref) struct container_record *c = container_record_ref(found);
    auto(pod_held) struct pod_record *p = pod_hold_ref(pod_record_ref(record_pod(c)), NULL);
    if (!p || c->gone)
        return 0;
    int r = remove_held(e, c, err);
    if (r < 0)
        return fail_in(err, r, "remove container %s", c->container.id);
    engine_emit(e, EVENT_DELETED, clock_wall_ns(), &p->pod, &c->container);
    container_leave(e, c);
    return 0;
}

/* Update */

static void set_text(char **to, char *from)
{
    if (!str_empty(from))
        *to = from;
}

/* What is 0 or empty stays as it was, as in the kernel's files. */
static void merge(Runtime__V1__LinuxContainerResources *to,
                  const Runtime__V1__LinuxContainerResources *from)
{
    int64_t *const numbers[][2] = {
        {&to->cpu_period, (int64_t *)&from->cpu_period},
        {&to->cpu_quota, (int64_t *)&from->cpu_quota},
        {&to->cpu_shares, (int64_t *)&from->cpu_shares},
        {&to->memory_limit_in_bytes, (int64_t *)&from->memory_limit_in_bytes},
        {&to->memory_swap_limit_in_bytes, (int64_t *)&from->memory_swap_limit_in_bytes},
        {&to->oom_score_adj, (int64_t *)&from->oom_score_adj},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (*numbers[i][1])
            *numbers[i][0] = *numbers[i][1];
    set_text(&to->cpuset_cpus, from->cpuset_cpus);
    set_text(&to->cpuset_mems, from->cpuset_mems);
    if (from->n_hugepage_limits) {
        to->n_hugepage_limits = from->n_hugepage_limits;
        to->hugepage_limits = from->hugepage_limits;
    }
    if (from->n_unified) {
        to->n_unified = from->n_unified;
        to->unified = from->unified;
    }
}

/* The stored configuration with resources merged in, packed. The copies below keep the unpacked one
 * as it is to be freed. */
static int pack_updated(struct container_record *c,
                        const Runtime__V1__LinuxContainerResources *resources, struct packed *ret,
                        struct error *err)
{
    auto(described_container) Runtime__V1__ContainerConfig *config = describe_config(c, err);
    if (!config)
        return -EIO;
    Runtime__V1__ContainerConfig copy = *config;
    Runtime__V1__LinuxContainerConfig linux_copy = RUNTIME__V1__LINUX_CONTAINER_CONFIG__INIT;
    Runtime__V1__LinuxContainerResources merged = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    if (config->linux)
        linux_copy = *config->linux;
    if (linux_copy.resources)
        merged = *linux_copy.resources;
    merge(&merged, resources);
    linux_copy.resources = &merged;
    copy.linux = &linux_copy;
    ret->len = protobuf_c_message_get_packed_size(&copy.base);
    ret->data = malloc(ret->len ? ret->len : 1);
    if (!ret->data)
        return fail(err, ENOMEM, "keep the container's resources");
    protobuf_c_message_pack(&copy.base, ret->data);
    return 0;
}

static int update_held(struct engine *e, struct container_record *c,
                       const Runtime__V1__LinuxContainerResources *resources, struct error *err)
{
    if (c->removing || c->container.state == CONTAINER_EXITED)
        return fail_plain(err, EINVAL, "it is in state EXITED");
    auto(buffer) struct buffer text = {0};
    int r = spec_build_resources(resources, &text, err);
    if (r == 0)
        r = peer_wait(record_pod(c)->handler, err);
    struct peer *peer = r == 0 ? pod_peer(record_pod(c))->peer : NULL;
    if (r == 0 && c->container.state == CONTAINER_RUNNING)
        r = peer->ops->update(peer, c->container.id, buffer_text(&text), err);
    if (r < 0)
        return r;
    struct packed packed = {0};
    r = pack_updated(c, resources, &packed, err);
    if (r < 0)
        return r;
    free(c->container.config.data);
    c->container.config = packed;
    free(c->spec.data); /* made anew at the start */
    c->spec = (struct packed){0};
    return commit(e, c, STORE_CONTAINER_CONFIG, err);
}

int engine_container_update(struct engine *e, const char *id,
                            const Runtime__V1__LinuxContainerResources *resources,
                            struct error *err)
{
    struct error why = {0};
    struct container_record *found = container_lookup(e, id, &why);
    if (!found)
        return fail_with(err, &why);
    auto(container_ref) struct container_record *c = container_record_ref(found);
    auto(pod_held) struct pod_record *p = pod_hold_ref(pod_record_ref(record_pod(c)), &why);
    if (!p || c->gone)
        return fail_plain(err, ENOENT, "no such container: %s", c->container.id);
    int r = update_held(e, c, resources, err);
    return r < 0 ? fail_in(err, r, "update container %s", c->container.id) : 0;
}

int engine_container_reopen_log(struct engine *e, const char *id, struct error *err)
{
    struct error why = {0};
    struct container_record *c = container_lookup(e, id, &why);
    if (!c)
        return fail_with(err, &why);
    if (c->container.state != CONTAINER_RUNNING)
        return fail_plain(err, EINVAL, "container %s is not running", c->container.id);
    char full[ID_LEN + 1];
    memcpy(full, c->container.id, sizeof full);
    struct handler *h = record_pod(c)->handler;
    int r = peer_wait(h, err);
    if (r == 0)
        r = h->peer->peer->ops->reopen_log(h->peer->peer, full, err);
    return r < 0 ? fail_in(err, r, "reopen the log of container %s", full) : 0;
}
