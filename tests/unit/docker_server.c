/* SPDX-License-Identifier: Apache-2.0 */
/* The Docker API alone, over a store, without an engine: docker-server STORE SOCKET. For tests by hand and tests/system/docker.bats. */
#include <signal.h>
#include <stdio.h>

#include "base/base.h"
#include "docker/docker.h"
#include "image/image.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    loop_stop();
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct docker docker = {0};
    struct rpc_server *server = NULL;
    static uv_signal_t term;
    if (argc != 3)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    int r = image_store_open(&docker.images, argv[1], &err);
    if (!r)
        r = rpc_server_new(&server, &err);
    if (!r)
        r = rpc_server_set_http(server, docker_serve, &docker, &err);
    if (!r)
        r = rpc_server_listen(server, argv[2], 0600, RPC_HTTP, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    uv_signal_init(loop_uv(), &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    loop_run();
    rpc_server_free(server);
    image_store_free(docker.images);
    return 0;
}
