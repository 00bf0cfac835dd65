/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "cri/services.h"

CRI_HANDLER(cri_version)
{
    Runtime__V1__VersionResponse *answer = response;
    (void)call, (void)request, (void)err;
    answer->version = (char *)"0.1.0"; /* of the kubelet's API since always, whatever is asked */
    answer->runtime_name = (char *)"warren";
    answer->runtime_version = (char *)WARREN_VERSION;
    answer->runtime_api_version = (char *)"v1";
    return 0;
}

static Runtime__V1__RuntimeCondition *condition(struct arena *a, const char *type, bool status,
                                                const char *reason, const char *message)
{
    Runtime__V1__RuntimeCondition *c = arena_new(a, Runtime__V1__RuntimeCondition);
    runtime__v1__runtime_condition__init(c);
    c->type = arena_strdup(a, type);
    c->status = status;
    c->reason = arena_strdup(a, reason);
    c->message = arena_strdup(a, message);
    return c;
}

static Runtime__V1__RuntimeCondition *runtime_ready(struct arena *a, struct engine *e)
{
    size_t n;
    const struct engine_handler *handlers = engine_handlers(e, &n);
    for (size_t i = 0; i < n; i++)
        if (!handlers[i].peer->ops->connected(handlers[i].peer))
            return condition(
                a, "RuntimeReady", false, "SandboxerNotConnected",
                arena_printf(a, "the sandboxer '%s' does not answer", handlers[i].technique));
    return condition(a, "RuntimeReady", true, "", "");
}

static Runtime__V1__RuntimeHandler *handler(struct arena *a, const struct engine_handler *from)
{
    Runtime__V1__RuntimeHandler *h = arena_new(a, Runtime__V1__RuntimeHandler);
    runtime__v1__runtime_handler__init(h);
    h->name = arena_strdup(a, from->name);
    h->features = arena_new(a, Runtime__V1__RuntimeHandlerFeatures);
    runtime__v1__runtime_handler_features__init(h->features);
    return h;
}

CRI_HANDLER(cri_status)
{
    const Runtime__V1__StatusRequest *q = request;
    Runtime__V1__StatusResponse *answer = response;
    (void)err;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    answer->status = arena_new(a, Runtime__V1__RuntimeStatus);
    runtime__v1__runtime_status__init(answer->status);
    answer->status->conditions = arena_array(a, Runtime__V1__RuntimeCondition *, 2);
    answer->status->conditions[0] = runtime_ready(a, cri->engine);
    answer->status->conditions[1] =
        condition(a, "NetworkReady", true, "NoCNI",
                  "pods have the host's network, or a namespace of their own with loopback only");
    answer->status->n_conditions = 2;
    size_t n;
    const struct engine_handler *handlers = engine_handlers(cri->engine, &n);
    answer->runtime_handlers = arena_array(a, Runtime__V1__RuntimeHandler *, n);
    for (size_t i = 0; i < n; i++)
        answer->runtime_handlers[answer->n_runtime_handlers++] = handler(a, &handlers[i]);
    answer->features = arena_new(a, Runtime__V1__RuntimeFeatures);
    runtime__v1__runtime_features__init(answer->features);
    if (!q->verbose)
        return 0;
    answer->info = arena_array(a, Runtime__V1__StatusResponse__InfoEntry *, 1);
    answer->info[answer->n_info++] =
        cri_pair_new(a, &runtime__v1__status_response__info_entry__descriptor, "config",
                     arena_printf(a, "{\"stateDir\":\"%s\",\"pods\":%zu}", cri->state_dir,
                                  engine_pod_count(cri->engine)));
    return 0;
}

CRI_HANDLER(cri_runtime_config)
{
    Runtime__V1__RuntimeConfigResponse *answer = response;
    (void)request, (void)err;
    answer->linux = arena_new(rpc_arena(call), Runtime__V1__LinuxRuntimeConfiguration);
    runtime__v1__linux_runtime_configuration__init(answer->linux);
    answer->linux->cgroup_driver = RUNTIME__V1__CGROUP_DRIVER__CGROUPFS;
    return 0;
}
