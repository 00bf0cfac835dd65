/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says who reads the rest: the frames' readers by themselves, whole connections of both servers and both
 * clients, and the CRI configs of users. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "echo.h"
#include "loop/loop.h"
#include "rpc/client.h"
#include "rpc/json.h"
#include "rpc/listen.h"
#include "rpc/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void turn_loop(int turns)
{
    for (int i = 0; i < turns; i++)
        uv_run(loop_uv(), UV_RUN_NOWAIT);
}

static void read_frames(const uint8_t *data, size_t size)
{
    struct ttrpc_request q;
    struct ttrpc_response a;
    struct ttrpc_frame f;
    auto(arena) struct arena arena = {0};
    ttrpc_read_request(data, size, &q);
    ttrpc_read_response(data, size, &a);
    if (size >= TTRPC_HEADER) {
        uint8_t again[TTRPC_HEADER];
        ttrpc_read_header(data, &f);
        ttrpc_write_header(again, &f);
        if (memcmp(data, again, sizeof again) != 0)
            abort();
    }
    rpc_unpack(&runtime__v1__run_pod_sandbox_request__descriptor, &arena, data, size);
    protocol_of(data, size, RPC_GRPC | RPC_TTRPC | RPC_HTTP);
}

/* In pieces whose sizes the input says, so that every split is tried. */
static void decode_grpc(const uint8_t *data, size_t size)
{
    struct grpc_decoder d = {.max = 1 << 16};
    int r = 0;
    while (size && r >= 0) {
        size_t n = data[0] % 9 + 1;
        n = n < size ? n : size;
        const uint8_t *p = data;
        size_t left = n;
        while (left && (r = grpc_decode(&d, &p, &left)) > 0)
            if (d.body.len > d.max)
                abort();
        data += n;
        size -= n;
    }
    grpc_decoder_done(&d);
}

static void read_texts(const uint8_t *data, size_t size)
{
    char text[256], again[256];
    auto(buffer) struct buffer b = {0};
    int64_t ns;
    grpc_decode_message(data, size, text, sizeof text);
    if (grpc_encode_message(&b, text) == 0) {
        grpc_decode_message(b.data, b.len, again, sizeof again);
        if (strcmp(text, again) != 0)
            abort();
    }
    grpc_parse_timeout((const char *)data, size, &ns);
}

static void feed(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (errno != EAGAIN) {
            return;
        }
        turn_loop(1);
    }
}

static void drain(int fd)
{
    char sink[65536];
    while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
        turn_loop(1);
}

static void serve(const uint8_t *data, size_t size, bool grpc)
{
    static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct rpc_server *s;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        rpc_server_new(&s, NULL) < 0 || rpc_server_add(s, &echo_service, NULL) < 0)
        abort();
    if (grpc)
        grpc_server_take(s, fds[0]);
    else
        ttrpc_server_take(s, fds[0]);
    if (grpc)
        feed(fds[1], (const uint8_t *)magic, sizeof magic - 1);
    feed(fds[1], data, size);
    turn_loop(3);
    drain(fds[1]);
    close(fds[1]);
    turn_loop(3);
    rpc_server_free(s);
    turn_loop(5);
}

static struct rpc_client *client;

static void call(void *arg)
{
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT;
    void *a;
    (void)arg;
    rpc_client_call(client, &warren__test__echo__descriptor, NULL, "Say", &q, &arena, &a, INT64_MAX,
                    NULL);
}

static void stream(void *arg)
{
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT;
    struct rpc_stream *s;
    int r = rpc_client_stream(client, &warren__test__echo__descriptor, NULL, "Count", &q, &s,
                              INT64_MAX, NULL);
    (void)arg;
    if (r < 0)
        return;
    do {
        auto(arena) struct arena arena = {0};
        void *a;
        r = rpc_stream_receive(s, &arena, &a, NULL);
    } while (r > 0);
    rpc_stream_free(s);
}

/* The client has one connection already, whose other end is ours. */
static void answer(const uint8_t *data, size_t size, enum rpc_protocol protocol)
{
    struct client_conn *conn;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        rpc_client_new(&client, protocol, "/nowhere", NULL) < 0)
        abort();
    if ((protocol == RPC_GRPC ? grpc_client_open(&conn, fds[0])
                              : ttrpc_client_open(&conn, fds[0])) < 0)
        abort();
    conn->client = client;
    list_append(&client->conns, &conn->link);
    client->current = conn;
    co_start(call, NULL);
    co_start(stream, NULL);
    turn_loop(2);
    feed(fds[1], data, size);
    turn_loop(3);
    drain(fds[1]);
    close(fds[1]);
    turn_loop(3);
    rpc_client_free(client);
    turn_loop(5);
}

static void read_config(const uint8_t *data, size_t size)
{
    auto(arena) struct arena arena = {0};
    json_tokener *t = json_tokener_new();
    json_object *json = json_tokener_parse_ex(t, (const char *)data, (int)size);
    void *message;
    struct error err;
    if (json && json_to_message(json, &runtime__v1__container_config__descriptor, &arena, false,
                                NULL, &message, &err) == 0)
        json_object_put(json_of_message(message));
    json_object_put(json);
    json_tokener_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t which = *data++;
    size--;
    switch (which % 8) {
    case 0:
        read_frames(data, size);
        break;
    case 1:
        decode_grpc(data, size);
        break;
    case 2:
        read_texts(data, size);
        break;
    case 3:
    case 4:
        serve(data, size, which % 8 == 3);
        break;
    case 5:
    case 6:
        answer(data, size, which % 8 == 5 ? RPC_GRPC : RPC_TTRPC);
        break;
    default:
        read_config(data, size);
    }
    return 0;
}
