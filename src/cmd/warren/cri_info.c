/* SPDX-License-Identifier: Apache-2.0 */
/* version, info, events, runtime-config, update-runtime-config. */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

int cri_version(struct cri *c, int argc, char **argv, struct error *err)
{
    Runtime__V1__VersionRequest q = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__VersionResponse *a;
    char version[] = "v1";
    int rest, r = cri_options(c, NULL, 0, argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    q.version = version;
    r = cri_call(c, "Version", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "getting the runtime version");
    /* two spaces, as crictl has them */
    printf("Version:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
           a->version, a->runtime_name, a->runtime_version, a->runtime_api_version);
    return 0;
}

int cri_info(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *format = NULL;
    bool quiet = false;
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json"},
        {"quiet", 'q', CRI_FLAG, &quiet, "Do not show verbose information"},
    };
    Runtime__V1__StatusRequest q = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *a;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    q.verbose = !quiet;
    r = cri_output_of(format, CRI_JSON, &output, err);
    if (r == 0)
        r = cri_call(c, "Status", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "getting status of runtime");
    json_object *one = cri_inspection(a->status, (struct cri_info){a->n_info, a->info});
    json_object *handlers = json_object_new_array(), *list = json_object_new_array();
    for (size_t i = 0; i < a->n_runtime_handlers; i++)
        json_object_array_add(handlers,
                              json_of_message((const ProtobufCMessage *)a->runtime_handlers[i]));
    json_object_object_add(one, "runtimeHandlers", handlers);
    if (a->features)
        json_object_object_add(one, "features",
                               json_of_message((const ProtobufCMessage *)a->features));
    json_object_array_add(list, one);
    cri_print_inspections(list);
    return 0;
}

int cri_events(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *format = NULL;
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json"}};
    Runtime__V1__GetEventsRequest q = RUNTIME__V1__GET_EVENTS_REQUEST__INIT;
    struct rpc_stream *stream;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = cri_output_of(format, CRI_JSON, &output, err);
    if (r == 0)
        r = rpc_client_stream(c->runtime, &runtime__v1__runtime_service__descriptor, NULL,
                              "GetContainerEvents", &q, &stream, INT64_MAX, err);
    if (r < 0)
        return fail_in(err, r, "getting container events");
    for (;;) {
        auto(arena) struct arena arena = {0};
        void *event;
        r = rpc_stream_receive(stream, &arena, &event, err);
        if (r <= 0)
            break;
        cri_print_message(event);
        fflush(stdout);
    }
    rpc_stream_free(stream);
    return r < 0 ? cri_rpc_error(c->runtime, r, err) : 0;
}

int cri_runtime_config(struct cri *c, int argc, char **argv, struct error *err)
{
    Runtime__V1__RuntimeConfigRequest q = RUNTIME__V1__RUNTIME_CONFIG_REQUEST__INIT;
    Runtime__V1__RuntimeConfigResponse *a;
    int rest, r = cri_options(c, NULL, 0, argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = cri_call(c, "RuntimeConfig", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "call runtime configuration");
    bool systemd = a->linux && a->linux->cgroup_driver == RUNTIME__V1__CGROUP_DRIVER__SYSTEMD;
    if (a->linux)
        printf("cgroup driver:   %s\n", systemd ? "SYSTEMD" : "CGROUPFS");
    return 0;
}

int cri_update_runtime_config(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *cidr = NULL;
    const struct cri_option options[] = {
        {"pod-cidr", 'p', CRI_TEXT, &cidr, "The new CIDR for pod IP addresses"}};
    Runtime__V1__UpdateRuntimeConfigRequest q = RUNTIME__V1__UPDATE_RUNTIME_CONFIG_REQUEST__INIT;
    Runtime__V1__RuntimeConfig config = RUNTIME__V1__RUNTIME_CONFIG__INIT;
    Runtime__V1__NetworkConfig network = RUNTIME__V1__NETWORK_CONFIG__INIT;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    network.pod_cidr = (char *)(uintptr_t)str_or_empty(cidr);
    config.network_config = &network;
    q.runtime_config = &config;
    r = cri_call(c, "UpdateRuntimeConfig", CRI_AT_ONCE, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "update runtime config");
    printf("Runtime config successfully updated\n");
    return 0;
}
