/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "namespace/holder.h"
#include "namespace/wire.h"

static void a_create_request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_create in = {.id = "c",
                             .exec_id = "",
                             .flags = 5,
                             .record = "rec",
                             .record_len = 3,
                             .stdin_ = "",
                             .stdout_ = "log+cri:///x",
                             .stderr_ = "/fifo",
                             .procs = "/p",
                             .oom = "/o",
                             .recipe = "\0\1\2",
                             .recipe_len = 3,
                             .columns = 80,
                             .rows = 24},
                       out;
    assert_int_equal(wire_put_create(&b, &in), 0);
    struct wire_reader r = {.at = b.data, .end = b.data + b.len};
    wire_create(&r, &out);
    assert_false(r.bad);
    assert_ptr_equal(r.at, r.end);
    assert_string_equal(out.stdout_, in.stdout_);
    assert_string_equal(out.stderr_, in.stderr_);
    assert_int_equal(out.flags, 5);
    assert_int_equal(out.rows, 24);
    assert_int_equal(out.recipe_len, 3);
    assert_memory_equal(out.recipe, in.recipe, 3);
}

/* Every prefix of a good request, and every byte of it turned. */
static void a_damaged_request_is_refused_and_never_read_beyond(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_create in = {.id = "container",
                             .exec_id = "e",
                             .record = "r",
                             .record_len = 1,
                             .stdin_ = "",
                             .stdout_ = "/a",
                             .stderr_ = "/b",
                             .procs = "",
                             .oom = "",
                             .recipe = "xyz",
                             .recipe_len = 3},
                       out;
    assert_int_equal(wire_put_create(&b, &in), 0);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + !len);
        memcpy(copy, b.data, len);
        struct wire_reader r = {.at = copy, .end = copy + len};
        wire_create(&r, &out);
        assert_true(r.bad);
        free(copy);
    }
    for (size_t i = 0; i < b.len; i++) {
        uint8_t *copy = malloc(b.len);
        memcpy(copy, b.data, b.len);
        copy[i] ^= 0xff;
        struct wire_reader r = {.at = copy, .end = copy + b.len};
        wire_create(&r, &out);
        assert_true(r.at <= r.end);
        free(copy);
    }
}

static void frames_are_found_however_their_bytes_come(void **state)
{
    (void)state;
    int ends[2];
    auto(buffer) struct buffer payload = {0}, out = {0}, in = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(wire_put_str(&payload, "hello"), 0);
    for (uint64_t serial = 1; serial <= 3; serial++)
        assert_int_equal(wire_frame(&out, WIRE_START, serial, serial == 2 ? NULL : &payload), 0);
    uint64_t seen = 0;
    for (size_t i = 0; i < out.len; i++) {
        struct wire_header h;
        struct wire_reader r;
        assert_int_equal(send(ends[0], out.data + i, 1, 0), 1);
        assert_int_equal(wire_receive(&in, ends[1]), 1);
        while (wire_next(&in, &h, &r) == 1) {
            assert_int_equal(h.serial, ++seen);
            if (seen != 2)
                assert_string_equal(wire_str(&r), "hello");
            wire_next_done(&in, &h);
        }
    }
    assert_int_equal(seen, 3);
    assert_int_equal(wire_receive(&in, ends[1]), -EAGAIN);
    close(ends[0]);
    assert_int_equal(wire_receive(&in, ends[1]), 0);
    close(ends[1]);
}

static void a_frame_that_is_too_large_is_refused_before_it_is_received(void **state)
{
    (void)state;
    auto(buffer) struct buffer in = {0};
    struct wire_header h = {.len = WIRE_PAYLOAD_MAX + 1, .type = WIRE_CREATE};
    struct wire_reader r;
    assert_int_equal(buffer_append(&in, &h, sizeof h), 0);
    assert_int_equal(wire_next(&in, &h, &r), -EPROTO);
}

static void a_pods_id_can_be_had_again_from_its_sockets_short_name(void **state)
{
    (void)state;
    char id[ID_LEN + 1];
    for (int i = 0; i < 100; i++) {
        autofree char *name = NULL;
        id_new(id);
        assert_int_equal(holder_name(id, &name, NULL), 0);
        assert_true(strlen(name) <= 45);
        autofree char *again = holder_id(name);
        assert_string_equal(again, id);
    }
    autofree char *name = NULL;
    assert_int_equal(holder_name("pod-1", &name, NULL), 0);
    autofree char *again = holder_id(name);
    assert_string_equal(again, "pod-1");
    char long_id[101] = {0};
    memset(long_id, 'z', 100);
    struct error err = {0};
    char *none;
    assert_int_equal(holder_name(long_id, &none, &err), -ENAMETOOLONG);
    assert_null(holder_id("lock"));
    assert_null(holder_id("+../x"));
    assert_null(holder_id("=short"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_request_arrives_as_it_was_sent),
        cmocka_unit_test(a_damaged_request_is_refused_and_never_read_beyond),
        cmocka_unit_test(frames_are_found_however_their_bytes_come),
        cmocka_unit_test(a_frame_that_is_too_large_is_refused_before_it_is_received),
        cmocka_unit_test(a_pods_id_can_be_had_again_from_its_sockets_short_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
