/* SPDX-License-Identifier: Apache-2.0 */
/* The wires without sockets, messages as JSON, and raw connections that do what no client of ours does. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "echo.h"
#include "loop/loop.h"
#include "rpc/conn.h"
#include "rpc/json.h"
#include "rpc/listen.h"
#include "rpc/wire.h"

static void timeouts_are_read_and_written(void **state)
{
    int64_t ns;
    char text[GRPC_TIMEOUT_MAX];
    (void)state;
    assert_int_equal(grpc_parse_timeout("10S", 3, &ns), 0);
    assert_int_equal(ns, 10 * NSEC_PER_SEC);
    assert_int_equal(grpc_parse_timeout("99999999H", 9, &ns), 0);
    assert_true(ns == INT64_MAX || ns > 0);
    assert_int_equal(grpc_parse_timeout("S", 1, &ns), -EINVAL);
    assert_int_equal(grpc_parse_timeout("123456789S", 10, &ns), -EINVAL);
    assert_int_equal(grpc_parse_timeout("-1S", 3, &ns), -EINVAL);
    assert_int_equal(grpc_parse_timeout("1x", 2, &ns), -EINVAL);
    const int64_t values[] = {1, 99999999, 100000000, 5 * NSEC_PER_SEC, 86400 * NSEC_PER_SEC};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        grpc_format_timeout(values[i], text);
        assert_int_equal(grpc_parse_timeout(text, strlen(text), &ns), 0);
        assert_true(ns >= values[i] && ns <= values[i] + values[i] / 1000 + NSEC_PER_MSEC);
    }
}

static void a_message_survives_percent_encoding(void **state)
{
    auto(buffer) struct buffer b = {0};
    char text[64];
    (void)state;
    assert_int_equal(grpc_encode_message(&b, "100% ä\n"), 0);
    assert_string_equal(buffer_text(&b), "100%25 %C3%A4%0A");
    grpc_decode_message(b.data, b.len, text, sizeof text);
    assert_string_equal(text, "100% ä\n");
    grpc_decode_message((const uint8_t *)"a%2", 3, text, sizeof text);
    assert_string_equal(text, "a%2");
    grpc_decode_message((const uint8_t *)"%zz%41", 6, text, 4);
    assert_string_equal(text, "%zz");
}

static void messages_are_cut_out_wherever_the_bytes_are_split(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0,  0,
                                    0, 0, 0, 0, 0, 0,   0,   1,   'x'};
    (void)state;
    for (size_t split = 1; split < sizeof bytes; split++) {
        struct grpc_decoder d = {.max = 10};
        size_t messages = 0, total = 0;
        for (size_t at = 0; at < sizeof bytes;) {
            size_t n = at < split ? split - at : sizeof bytes - at;
            const uint8_t *p = bytes + at;
            at += n;
            while (n) {
                if (grpc_decode(&d, &p, &n) == 1) {
                    messages++;
                    total += d.body.len;
                }
            }
        }
        assert_int_equal(messages, 3);
        assert_int_equal(total, 4);
        assert_true(grpc_decoder_clean(&d));
        grpc_decoder_done(&d);
    }
}

static int decode_prefix(const uint8_t prefix[GRPC_PREFIX])
{
    struct grpc_decoder d = {.max = 10};
    size_t n = GRPC_PREFIX;
    int r = grpc_decode(&d, &prefix, &n);
    grpc_decoder_done(&d);
    return r;
}

static void a_bad_prefix_is_told(void **state)
{
    (void)state;
    assert_int_equal(decode_prefix((const uint8_t[]){1, 0, 0, 0, 1}), -EOPNOTSUPP);
    assert_int_equal(decode_prefix((const uint8_t[]){2, 0, 0, 0, 1}), -EPROTO);
    assert_int_equal(decode_prefix((const uint8_t[]){0, 0, 0, 0, 11}), -EMSGSIZE);
}

static void ttrpc_frames_are_read_as_written(void **state)
{
    auto(buffer) struct buffer b = {0};
    struct ttrpc_frame f;
    struct ttrpc_request q;
    struct ttrpc_response a;
    char hi[] = "hi";
    Warren__Test__Words w = WARREN__TEST__WORDS__INIT;
    (void)state;
    w.text = hi;
    assert_int_equal(ttrpc_write_request(&b, 7, "a.B", "C", TTRPC_REMOTE_CLOSED, 5, &w.base), 0);
    ttrpc_read_header(b.data, &f);
    assert_int_equal(f.stream, 7);
    assert_int_equal(f.type, TTRPC_REQUEST);
    assert_int_equal(f.flags, TTRPC_REMOTE_CLOSED);
    assert_int_equal(f.length + TTRPC_HEADER, b.len);
    assert_int_equal(ttrpc_read_request(b.data + TTRPC_HEADER, f.length, &q), 0);
    assert_memory_equal(q.service.data, "a.B", 3);
    assert_int_equal(q.method.len, 1);
    assert_int_equal(q.payload.len, 4);
    assert_int_equal(q.timeout_ns, 5);
    buffer_clear(&b);
    assert_int_equal(ttrpc_write_response(&b, 7, RPC_NOT_FOUND, "gone", NULL), 0);
    assert_int_equal(ttrpc_read_response(b.data + TTRPC_HEADER, b.len - TTRPC_HEADER, &a), 0);
    assert_int_equal(a.code, RPC_NOT_FOUND);
    assert_memory_equal(a.message.data, "gone", 4);
    assert_int_equal(ttrpc_read_response("\x0a\xff", 2, &a), -EBADMSG);
    assert_int_equal(ttrpc_read_request("\x0b", 1, &q), -EBADMSG);
}

static void errno_and_status_keep_their_meaning(void **state)
{
    (void)state;
    for (int s = RPC_OK; s <= RPC_UNAUTHENTICATED; s++)
        assert_int_equal(rpc_status_of(-rpc_errno_of((enum rpc_status)s)), s);
    assert_int_equal(rpc_status_of(-ENOENT), RPC_NOT_FOUND);
    assert_int_equal(rpc_status_of(EXDEV), RPC_UNKNOWN);
}

static void protocols_are_told_apart_by_their_first_bytes(void **state)
{
    const unsigned all = RPC_GRPC | RPC_TTRPC | RPC_HTTP;
    (void)state;
    assert_int_equal(protocol_of((const uint8_t *)"PRI ", 4, all), RPC_GRPC);
    assert_int_equal(protocol_of((const uint8_t *)"P", 1, all), 0);
    assert_int_equal(protocol_of((const uint8_t *)"POST", 4, all), RPC_HTTP);
    assert_int_equal(protocol_of((const uint8_t *)"GET ", 4, all), RPC_HTTP);
    assert_int_equal(protocol_of((const uint8_t *)"\0\0\0\1", 4, all), RPC_TTRPC);
    assert_int_equal(protocol_of((const uint8_t *)"GET ", 4, RPC_GRPC), -EPROTO);
    assert_int_equal(protocol_of((const uint8_t *)"\0", 1, RPC_GRPC | RPC_HTTP), -EPROTO);
}

/* JSON */

static char unknown_place[256];

static void note_unknown(const char *place)
{
    snprintf(unknown_place, sizeof unknown_place, "%s", place);
}

static int parse(const char *text, struct arena *arena, Runtime__V1__PodSandboxConfig **ret,
                 struct error *err)
{
    json_object *json = json_tokener_parse(text);
    assert_non_null(json);
    int r = json_to_message(json, &runtime__v1__pod_sandbox_config__descriptor, arena, false,
                            note_unknown, (void **)ret, err);
    json_object_put(json);
    return r;
}

static void a_config_is_read_in_both_spellings(void **state)
{
    auto(arena) struct arena arena = {0};
    struct error err = {0};
    Runtime__V1__PodSandboxConfig *c;
    (void)state;
    assert_int_equal(
        parse("{\"metadata\":{\"name\":\"a\",\"attempt\":\"3\"},\"log_directory\":\"/x\","
              "\"labels\":{\"k\":\"v\"},\"dnsConfig\":{\"servers\":[\"1\",\"2\"]},"
              "\"linux\":{\"security_context\":{\"namespace_options\":{\"network\":2,"
              "\"pid\":\"CONTAINER\"}}},\"strange\":{\"x\":1}}",
              &arena, &c, &err),
        0);
    assert_string_equal(c->metadata->name, "a");
    assert_int_equal(c->metadata->attempt, 3);
    assert_string_equal(c->log_directory, "/x");
    assert_int_equal(c->n_labels, 1);
    assert_string_equal(c->labels[0]->value, "v");
    assert_string_equal(c->dns_config->servers[1], "2");
    assert_int_equal(c->linux->security_context->namespace_options->network, 2);
    assert_int_equal(c->linux->security_context->namespace_options->pid, 1);
    assert_string_equal(unknown_place, "strange");
}

static void a_bad_value_is_named_with_its_place(void **state)
{
    auto(arena) struct arena arena = {0};
    struct error err = {0};
    Runtime__V1__PodSandboxConfig *c;
    (void)state;
    assert_int_equal(parse("{\"metadata\":{\"attempt\":-1}}", &arena, &c, &err), -EINVAL);
    assert_string_equal(err.message,
                        "metadata.attempt: expected an integer in its range, found -1");
    assert_int_equal(parse("{\"dns_config\":{\"servers\":[\"a\",5]}}", &arena, &c, &err), -EINVAL);
    assert_string_equal(err.message, "dns_config.servers[1]: expected text, found 5");
    assert_int_equal(parse("{\"metadata\":7}", &arena, &c, &err), -EINVAL);
}

static void numbers_of_64_bits_survive_as_text(void **state)
{
    uint8_t data[] = {0, 1, 2, 255};
    char text[] = "a\"b";
    Warren__Test__Words w = WARREN__TEST__WORDS__INIT;
    (void)state;
    w.text = text;
    w.number = INT64_MIN;
    w.data = (ProtobufCBinaryData){sizeof data, data};
    json_object *json = json_of_message(&w.base);
    assert_string_equal(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
                                                                 JSON_C_TO_STRING_NOSLASHESCAPE),
                        "{\"text\":\"a\\\"b\",\"number\":\"-9223372036854775808\",\"data\":"
                        "\"AAEC/w==\"}");
    auto(arena) struct arena arena = {0};
    Warren__Test__Words *back;
    assert_int_equal(json_to_message(json, &warren__test__words__descriptor, &arena, false, NULL,
                                     (void **)&back, NULL),
                     0);
    assert_int_equal(back->number, INT64_MIN);
    assert_int_equal(back->data.len, 4);
    assert_memory_equal(back->data.data, data, 4);
    json_object_put(json);
}

/* Raw connections */

static char dir[64], path[128];

static void many_silent_connections(void *arg)
{
    struct error err = {0};
    int fds[600];
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    struct rpc_client *c;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = unix_connect(path);
        assert_true(fds[i] >= 0);
        if (i % 100 == 0)
            co_sleep(5 * NSEC_PER_MSEC);
    }
    co_sleep(20 * NSEC_PER_MSEC);
    assert_true(((struct rpc_server *)arg)->connections <= WAITING_MAX);
    assert_int_equal(rpc_client_new(&c, RPC_GRPC, path, &err), 0);
    assert_int_equal(rpc_client_call(c, &warren__test__echo__descriptor, NULL, "Say", &q, &arena,
                                     (void **)&a, clock_mono_ns() + 5 * NSEC_PER_SEC, &err),
                     0);
    rpc_client_free(c);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    rpc_server_free(arg);
    co_sleep(20 * NSEC_PER_MSEC);
    loop_stop();
}

static struct rpc_server *serve(void)
{
    struct rpc_server *s;
    struct error err = {0};
    assert_int_equal(rpc_server_new(&s, &err), 0);
    assert_int_equal(rpc_server_add(s, &echo_service, &err), 0);
    assert_int_equal(rpc_server_add(s, &echo_service, &err), -EEXIST);
    assert_int_equal(rpc_server_listen(s, path, 0600, RPC_GRPC | RPC_TTRPC, &err), 0);
    return s;
}

static void silent_connections_do_not_shut_others_out(void **state)
{
    (void)state;
    co_start(many_silent_connections, serve());
    loop_run();
}

static void without_descriptors(void *arg)
{
    struct rlimit before, now;
    int fds[64], n = 0;
    struct error err = {0};
    auto(arena) struct arena arena = {0};
    Warren__Test__Words q = WARREN__TEST__WORDS__INIT, *a;
    struct rpc_client *c;
    getrlimit(RLIMIT_NOFILE, &before);
    now = (struct rlimit){64, before.rlim_max};
    int client = unix_connect(path);
    assert_true(client >= 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    while (n < 64 && (fds[n] = dup(0)) >= 0)
        n++;
    co_sleep(50 * NSEC_PER_MSEC);
    char byte;
    /* told at once that it is not served, instead of waiting in the queue */
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
    while (n > 0)
        close(fds[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
    close(client);
    assert_int_equal(rpc_client_new(&c, RPC_TTRPC, path, &err), 0);
    assert_int_equal(rpc_client_call(c, &warren__test__echo__descriptor, NULL, "Say", &q, &arena,
                                     (void **)&a, clock_mono_ns() + 5 * NSEC_PER_SEC, &err),
                     0);
    rpc_client_free(c);
    rpc_server_free(arg);
    co_sleep(20 * NSEC_PER_MSEC);
    loop_stop();
}

static void a_server_without_descriptors_refuses_and_recovers(void **state)
{
    (void)state;
    co_start(without_descriptors, serve());
    loop_run();
}

static void a_socket_in_use_is_not_taken(void **state)
{
    struct error err = {0};
    struct rpc_server *first = serve(), *second;
    (void)state;
    assert_int_equal(rpc_server_new(&second, &err), 0);
    assert_int_equal(rpc_server_listen(second, path, 0600, RPC_GRPC, &err), -EADDRINUSE);
    assert_non_null(strstr(err.message, path));
    rpc_server_free(second);
    rpc_server_free(first);
    int fd = open(path, O_CREAT | O_CLOEXEC | O_RDWR, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(rpc_server_new(&second, &err), 0);
    assert_int_equal(rpc_server_listen(second, path, 0600, RPC_GRPC, &err), -EEXIST);
    rpc_server_free(second);
    unlink(path);
}

static void a_long_path_is_served(void **state)
{
    char deep[300], file[340];
    struct error err = {0};
    struct rpc_server *s;
    (void)state;
    snprintf(deep, sizeof deep, "%s/%0120d", dir, 0);
    assert_int_equal(dir_make(AT_FDCWD, deep, 0700, &err), 0);
    snprintf(file, sizeof file, "%s/sock", deep);
    assert_int_equal(rpc_server_new(&s, &err), 0);
    assert_int_equal(rpc_server_listen(s, file, 0600, RPC_GRPC, &err), 0);
    int fd = unix_connect(file);
    assert_true(fd >= 0);
    close(fd);
    rpc_server_free(s);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/warren-rpc.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/s.sock", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(AT_FDCWD, dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_read_and_written),
        cmocka_unit_test(a_message_survives_percent_encoding),
        cmocka_unit_test(messages_are_cut_out_wherever_the_bytes_are_split),
        cmocka_unit_test(a_bad_prefix_is_told),
        cmocka_unit_test(ttrpc_frames_are_read_as_written),
        cmocka_unit_test(errno_and_status_keep_their_meaning),
        cmocka_unit_test(protocols_are_told_apart_by_their_first_bytes),
        cmocka_unit_test(a_config_is_read_in_both_spellings),
        cmocka_unit_test(a_bad_value_is_named_with_its_place),
        cmocka_unit_test(numbers_of_64_bits_survive_as_text),
        cmocka_unit_test(silent_connections_do_not_shut_others_out),
        cmocka_unit_test(a_server_without_descriptors_refuses_and_recovers),
        cmocka_unit_test(a_socket_in_use_is_not_taken),
        cmocka_unit_test(a_long_path_is_served),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
