/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of wasm that need no worker: frames, digests. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/files/request.h"
#include "wasm/sha256.h"
#include "wasm/wire_create.h"
#include "wasm/wire_files.h"

static void expect_digest(const char *text, size_t repeat, const char *wanted)
{
    struct sha256 s;
    uint8_t digest[SHA256_LEN];
    char hex[SHA256_HEX];
    sha256_init(&s);
    for (size_t i = 0; i < repeat; i++)
        sha256_add(&s, text, strlen(text));
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    assert_string_equal(hex, wanted);
}

/* FIPS 180-4's examples (NIST, "SHA256.pdf"), and the empty message. */
static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    expect_digest("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_digest("aaaaaaaaaa", 100000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static char *words[] = {(char *)"/a.wasm", (char *)"", NULL};
static char *layers[] = {(char *)"/top", (char *)"/base", NULL};
static char *opaque[] = {(char *)"0:x", NULL};
static struct wire_mount mounts[] = {{"/", layers, "/upper", "/work", opaque, true},
                                     {"/data", layers, "", "", NULL, false}};

static const struct wire_create example = {
    .sandbox_id = "pod",
    .id = "container",
    .record = "a\0b",
    .record_len = 3,
    .module = {{1, 2, 3}, WASM_BUSY},
    .args = words,
    .preopens = words,
    .files = UINT64_C(1) << 33,
    .streams = WIRE_LOG,
    .limits = {UINT64_C(1) << 40, {512, 20000, 50000}, 7, 9}};
static const struct wire_files files_example = {
    .in = "", .out = "log+cri:///x", .err = "", .mounts = mounts, .mount_count = 2};

static void what_is_asked_arrives(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_create out;
    struct wire_reader r;
    size_t len;
    assert_int_equal(wire_put_create(&b, 77, &example), 0);
    assert_int_equal(wire_frame(b.data, b.len, &r, &len), 1);
    assert_int_equal(len, b.len);
    assert_int_equal(r.type, WIRE_CREATE);
    assert_int_equal(r.tag, 77);
    assert_int_equal(wire_get_create(&r, &out), 0);
    assert_string_equal(out.id, "container");
    assert_int_equal(out.record_len, 3);
    assert_memory_equal(out.record, "a\0b", 3);
    assert_int_equal(out.module.profile, WASM_BUSY);
    assert_memory_equal(&out.limits, &example.limits, sizeof example.limits);
    assert_int_equal(out.files, UINT64_C(1) << 33);
    assert_int_equal(out.streams, WIRE_LOG);
    assert_int_equal(strv_len(out.args), 2);
    assert_string_equal(out.args[1], "");
    assert_int_equal(strv_len(out.env), 0);
    wire_create_done(&out);
}

static void what_a_container_may_open_arrives(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_files out;
    struct wire_reader r;
    size_t len;
    assert_int_equal(wire_put_files(&b, 78, &files_example), 0);
    assert_int_equal(wire_frame(b.data, b.len, &r, &len), 1);
    assert_int_equal(r.type, WIRE_FILES_ADD);
    assert_int_equal(wire_get_files(&r, &out), 0);
    assert_string_equal(out.out, "log+cri:///x");
    assert_int_equal(out.mount_count, 2);
    assert_string_equal(out.mounts[0].layers[1], "/base");
    assert_string_equal(out.mounts[0].opaque[0], "0:x");
    assert_true(out.mounts[0].read_only);
    assert_string_equal(out.mounts[1].destination, "/data");
    wire_files_done(&out);
}

static int read_create(struct wire_reader *r)
{
    struct wire_create out;
    return wire_get_create(r, &out);
}

static int read_files(struct wire_reader *r)
{
    struct wire_files out;
    return wire_get_files(r, &out);
}

static void expect_refused(struct buffer *b, int (*get)(struct wire_reader *r))
{
    struct wire_reader r;
    size_t len;
    for (size_t n = 0; n < b->len; n++)
        assert_int_equal(wire_frame(b->data, n, &r, &len), 0);
    for (size_t n = WIRE_HEAD; n < b->len; n++) { /* the frame says that it ends here */
        uint32_t rest = (uint32_t)(n - 4);
        memcpy(b->data, &rest, sizeof rest);
        assert_int_equal(wire_frame(b->data, b->len, &r, &len), 1);
        assert_int_equal(get(&r), -EPROTO);
    }
    uint32_t rest = UINT32_MAX;
    memcpy(b->data, &rest, sizeof rest);
    assert_int_equal(wire_frame(b->data, b->len, &r, &len), -EPROTO);
}

static void a_frame_that_is_cut_or_changed_is_refused(void **state)
{
    (void)state;
    auto(buffer) struct buffer create = {0};
    auto(buffer) struct buffer files = {0};
    assert_int_equal(wire_put_create(&create, 1, &example), 0);
    expect_refused(&create, read_create);
    assert_int_equal(wire_put_files(&files, 1, &files_example), 0);
    expect_refused(&files, read_files);
}

static void a_request_for_files_that_is_cut_or_changed_is_refused(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    autofree char *path = malloc(FILES_PATH_MAX + 1);
    memset(path, 'x', FILES_PATH_MAX);
    path[FILES_PATH_MAX] = 0;
    struct files_request r = {.op = FILES_OPEN, .flags = FILES_READ, .base = "", .path = path}, out;
    assert_int_equal(files_put_request(&b, &r), -ENAMETOOLONG);
    assert_int_equal(b.len, 0);
    r.path = "etc/motd";
    r.to_path = "x";
    assert_int_equal(files_put_request(&b, &r), 0);
    assert_int_equal(files_get_request(b.data, b.len, &out), 0);
    assert_string_equal(out.path, "etc/motd");
    assert_string_equal(out.base, "");
    assert_string_equal(out.to_path, "x");
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(files_get_request(b.data, n, &out), -EPROTO);
    assert_int_equal(buffer_append(&b, "", 1), 0);
    assert_int_equal(files_get_request(b.data, b.len, &out), -EPROTO);
    struct files_request bad[] = {r, r, r};
    bad[0].op = FILES_OP_END;
    bad[1].flags = FILES_FLAGS + 1;
    bad[2].times[1].tv_nsec = -1;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        buffer_clear(&b);
        assert_int_equal(files_put_request(&b, &bad[i]), 0);
        assert_int_equal(files_get_request(b.data, b.len, &out), -EPROTO);
    }
    buffer_clear(&b);
    assert_int_equal(files_put_request(&b, &r), 0);
    b.data[b.len - 12] = 0; /* inside the path: it would end early */
    assert_int_equal(files_get_request(b.data, b.len, &out), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(what_is_asked_arrives),
        cmocka_unit_test(what_a_container_may_open_arrives),
        cmocka_unit_test(a_request_for_files_that_is_cut_or_changed_is_refused),
        cmocka_unit_test(a_frame_that_is_cut_or_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
