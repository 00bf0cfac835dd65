/* SPDX-License-Identifier: Apache-2.0 */
/* The service of echo.proto as a program, and a client of it, for peers that are not ours:
 *   echo-tool serve PATH                                    until it is killed
 *   echo-tool call grpc|ttrpc PATH METHOD TEXT NUMBER       prints "TEXT NUMBER LEN", or "error STATUS TEXT"
 *   echo-tool count grpc|ttrpc PATH TEXT NUMBER             prints how many came and the end */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "echo.h"
#include "loop/loop.h"

static int serve(const char *path)
{
    struct rpc_server *server;
    struct error err = {0};
    if (rpc_server_new(&server, &err) < 0 || rpc_server_add(server, &echo_service, &err) < 0 ||
        rpc_server_listen(server, path, 0600, RPC_GRPC | RPC_TTRPC, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    loop_run();
    return 0;
}

static struct rpc_client *client_of(char **argv)
{
    struct rpc_client *c;
    if (rpc_client_new(&c, str_eq(argv[0], "grpc") ? RPC_GRPC : RPC_TTRPC, argv[1], NULL) < 0)
        abort();
    return c;
}

static void print_error(int code, const struct error *err)
{
    printf("error %d %s\n", (int)rpc_status_of(code), err->message);
}

static void call(void *arg)
{
    char **argv = arg;
    struct error err = {0};
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    struct rpc_client *c = client_of(argv);
    q.text = argv[3];
    q.number = atoll(argv[4]);
    int r = rpc_client_call(c, &warren__test__echo__descriptor, NULL, argv[2], &q, &arena,
                            (void **)&a, clock_mono_ns() + 5 * NSEC_PER_SEC, &err);
    if (r < 0)
        print_error(r, &err);
    else
        printf("%s %lld %zu\n", a->text, (long long)a->number, a->data.len);
    rpc_client_free(c);
    loop_stop();
}

static void count(void *arg)
{
    char **argv = arg;
    struct error err = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT;
    struct rpc_client *c = client_of(argv);
    struct rpc_stream *s = NULL;
    q.text = argv[2];
    q.number = atoll(argv[3]);
    long long n = 0;
    int r = rpc_client_stream(c, &warren__test__echo__descriptor, NULL, "Count", &q, &s,
                              clock_mono_ns() + 20 * NSEC_PER_SEC, &err);
    while (r >= 0) {
        auto(arena) struct arena arena = {0};
        void *a;
        r = rpc_stream_receive(s, &arena, &a, &err);
        if (r <= 0)
            break;
        n++;
    }
    printf("%lld ", n);
    if (r < 0)
        print_error(r, &err);
    else
        printf("end\n");
    rpc_stream_free(s);
    rpc_client_free(c);
    loop_stop();
}

int main(int argc, char **argv)
{
    if (argc == 3 && str_eq(argv[1], "serve"))
        return serve(argv[2]);
    if (argc == 7 && str_eq(argv[1], "call"))
        co_start(call, argv + 2);
    else if (argc == 6 && str_eq(argv[1], "count"))
        co_start(count, argv + 2);
    else
        return 2;
    loop_run();
    return 0;
}
