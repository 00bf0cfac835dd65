/* SPDX-License-Identifier: Apache-2.0 */
/* The server: what is served, and the ends of its connections that all protocols share. */
#include "rpc/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "rpc/listen.h"

int rpc_server_new(struct rpc_server **ret, struct error *err)
{
    struct rpc_server *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, ENOMEM, "make a server");
    list_init(&s->listeners);
    list_init(&s->waiting);
    list_init(&s->grpc);
    list_init(&s->ttrpc);
    s->streams_max = STREAMS_MAX;
    *ret = s;
    return 0;
}

void rpc_server_free(struct rpc_server *s)
{
    if (!s)
        return;
    listen_close(s);
    grpc_server_close(s);
    ttrpc_server_close(s);
    http_server_free(s->http);
    size_t i = 0;
    struct route *route;
    while ((route = map_next(&s->routes, &i)))
        free(route);
    map_done(&s->routes);
    map_done(&s->services);
    free(s);
}

void rpc_server_set_streams_max(struct rpc_server *s, uint32_t streams)
{
    s->streams_max = streams;
}

static int add_route(struct rpc_server *s, const char *name, const struct rpc_service *service,
                     const struct rpc_method *method, struct error *err)
{
    const ProtobufCMethodDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(service->descriptor, method->name);
    if (!descriptor)
        return fail_plain(err, EINVAL, "%s has no method %s", name, method->name);
    size_t size = strlen(name) + strlen(method->name) + 3;
    struct route *route = malloc(sizeof *route + size);
    if (!route)
        return fail(err, ENOMEM, "serve %s", name);
    *route = (struct route){service, method, descriptor};
    snprintf(route->path, size, "/%s/%s", name, method->name);
    int r = map_add(&s->routes, route->path, route);
    if (r < 0) {
        free(route);
        return fail(err, r, "serve %s of %s", method->name, name);
    }
    return 0;
}

int rpc_server_add(struct rpc_server *s, const struct rpc_service *service, struct error *err)
{
    const char *name = service->name ? service->name : service->descriptor->name;
    int r = map_add(&s->services, name, (void *)(uintptr_t)service);
    if (r < 0)
        return fail(err, r, "serve %s", name);
    for (size_t i = 0; i < service->method_count; i++) {
        r = add_route(s, name, service, &service->methods[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int rpc_server_set_http(struct rpc_server *s, http_handler *handler, void *context,
                        struct error *err)
{
    return http_server_new(&s->http, handler, context, err);
}
