/* SPDX-License-Identifier: Apache-2.0 */
/* The services on a socket; for run.c and for tests. */
#pragma once

#include "rpc/rpc.h"
#include "sandbox/server.h"

struct sandbox_servers {
    struct rpc_service services[4];
    struct rpc_server *rpc;
};

/* Serves s at path. */
int sandbox_servers_open(struct sandbox_servers *v, struct sandboxer *s, const char *path,
                         struct error *err);
void sandbox_servers_close(struct sandbox_servers *v);
