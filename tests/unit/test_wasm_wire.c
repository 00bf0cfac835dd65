/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of wasm that need no worker: frames, digests. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/sha256.h"
#include "wasm/wire_create.h"

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

static struct wire_create example(struct wire_mount mounts[2])
{
    static char *layers[] = {(char *)"/top", (char *)"/base", NULL};
    static char *args[] = {(char *)"/a.wasm", (char *)"", NULL};
    static char *opaque[] = {(char *)"0:x", NULL};
    mounts[0] = (struct wire_mount){"/", layers, "/upper", "/work", opaque, true};
    mounts[1] = (struct wire_mount){"/data", layers, "", "", NULL, false};
    return (struct wire_create){.sandbox_id = "pod",
                                .id = "container",
                                .record = "a\0b",
                                .record_len = 3,
                                .module = {{1, 2, 3}, WASM_BUSY},
                                .args = args,
                                .in = "",
                                .out = "log+cri:///x",
                                .err = "",
                                .limits = {UINT64_C(1) << 40, {512, 20000, 50000}, 7, 9},
                                .mounts = mounts,
                                .mount_count = 2};
}

static void what_is_asked_arrives(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_mount mounts[2];
    struct wire_create in = example(mounts), out;
    struct wire_reader r;
    size_t len;
    assert_int_equal(wire_put_create(&b, 77, &in), 0);
    assert_int_equal(wire_frame(b.data, b.len, &r, &len), 1);
    assert_int_equal(len, b.len);
    assert_int_equal(r.type, WIRE_CREATE);
    assert_int_equal(r.tag, 77);
    assert_int_equal(wire_get_create(&r, &out), 0);
    assert_string_equal(out.id, "container");
    assert_int_equal(out.record_len, 3);
    assert_memory_equal(out.record, "a\0b", 3);
    assert_int_equal(out.module.profile, WASM_BUSY);
    assert_memory_equal(&out.limits, &in.limits, sizeof in.limits);
    assert_int_equal(strv_len(out.args), 2);
    assert_string_equal(out.args[1], "");
    assert_int_equal(strv_len(out.env), 0);
    assert_int_equal(out.mount_count, 2);
    assert_string_equal(out.mounts[0].layers[1], "/base");
    assert_string_equal(out.mounts[0].opaque[0], "0:x");
    assert_true(out.mounts[0].read_only);
    assert_string_equal(out.mounts[1].destination, "/data");
    wire_create_done(&out);
}

static void a_frame_that_is_cut_or_changed_is_refused(void **state)
{
    (void)state;
    auto(buffer) struct buffer b = {0};
    struct wire_mount mounts[2];
    struct wire_create in = example(mounts), out;
    struct wire_reader r;
    size_t len;
    assert_int_equal(wire_put_create(&b, 1, &in), 0);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(wire_frame(b.data, n, &r, &len), 0);
    for (size_t n = WIRE_HEAD; n < b.len; n++) { /* the frame says that it ends here */
        uint32_t rest = (uint32_t)(n - 4);
        memcpy(b.data, &rest, sizeof rest);
        assert_int_equal(wire_frame(b.data, b.len, &r, &len), 1);
        assert_int_equal(wire_get_create(&r, &out), -EPROTO);
    }
    uint32_t rest = UINT32_MAX;
    memcpy(b.data, &rest, sizeof rest);
    assert_int_equal(wire_frame(b.data, b.len, &r, &len), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(what_is_asked_arrives),
        cmocka_unit_test(a_frame_that_is_cut_or_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
