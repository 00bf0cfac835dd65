/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls a second, our client against our server, each a process, over gRPC and over ttrpc.
 *   bench-rpc [SECONDS [CALLS-AT-ONCE [CONNECTIONS]]] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "echo.h"
#include "loop/loop.h"

enum { CONNECTIONS_MAX = 64 };

static char path[64];
static int64_t until;
static unsigned long calls;
static unsigned running;

static void caller(void *arg)
{
    struct rpc_client *c = arg;
    struct error err = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    char text[] = "0123456789abcdef0123456789abcdef";
    q.text = text;
    while (clock_mono_ns() < until) {
        auto(arena) struct arena arena = {0};
        if (rpc_client_call(c, &warren__test__echo__descriptor, NULL, "Say", &q, &arena,
                            (void **)&a, INT64_MAX, &err) < 0) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        calls++;
    }
    if (--running == 0)
        loop_stop();
}

static void serve(void)
{
    struct rpc_server *s;
    struct error err = {0};
    if (rpc_server_new(&s, &err) < 0 || rpc_server_add(s, &echo_service, &err) < 0 ||
        rpc_server_listen(s, path, 0600, RPC_GRPC | RPC_TTRPC, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    loop_run();
}

static void measure(enum rpc_protocol protocol, int64_t seconds, unsigned at_once,
                    unsigned connections)
{
    struct rpc_client *clients[CONNECTIONS_MAX];
    calls = 0;
    running = at_once;
    int64_t begin = clock_mono_ns();
    until = begin + seconds * NSEC_PER_SEC;
    for (unsigned i = 0; i < connections; i++)
        if (rpc_client_new(&clients[i], protocol, path, NULL) < 0)
            exit(1);
    for (unsigned i = 0; i < at_once; i++)
        co_start(caller, clients[i % connections]);
    loop_run();
    double took = (double)(clock_mono_ns() - begin) / 1e9;
    printf("%-5s %4u calls at once on %2u connections: %8.0f calls/s\n",
           protocol == RPC_GRPC ? "gRPC" : "ttrpc", at_once, connections, (double)calls / took);
    for (unsigned i = 0; i < connections; i++)
        rpc_client_free(clients[i]);
}

int main(int argc, char **argv)
{
    int64_t seconds = argc > 1 ? atoi(argv[1]) : 3;
    unsigned at_once = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
    unsigned connections = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    if (!at_once || !connections || connections > CONNECTIONS_MAX)
        return 2;
    snprintf(path, sizeof path, "/tmp/warren-bench-rpc.%d", getpid());
    pid_t server = fork();
    if (server == 0) {
        serve();
        _exit(0);
    }
    usleep(200000);
    measure(RPC_GRPC, seconds, 1, 1);
    measure(RPC_GRPC, seconds, at_once, connections);
    measure(RPC_TTRPC, seconds, 1, 1);
    measure(RPC_TTRPC, seconds, at_once, connections);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink(path);
    return 0;
}
