/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "cmd/warrend/settings.h"

static int parse(struct settings *c, const char *text, struct error *err)
{
    return settings_parse(c, "daemon.json", text, strlen(text), err);
}

static void the_published_wasm_settings_are_read(void **state)
{
    (void)state;
    struct settings c = {0};
    struct error err = {0};
    assert_int_equal(parse(&c,
                           "{\"cri-runtimes\": {\"wasm\": \"io.containerd.wasm.v1\"},\n"
                           " \"cri-sandboxers\": {\"wasm\": {\"name\": \"wasm\",\n"
                           "   \"address\": \"/run/wasm-sandboxer.sock\"}}}",
                           &err),
                     0);
    assert_int_equal(c.sandboxer_count, 1);
    assert_string_equal(c.sandboxers[0].address, "/run/wasm-sandboxer.sock");
    assert_string_equal(c.runtimes[0].type, "io.containerd.wasm.v1");
    settings_done(&c);
}

static void a_typo_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\n  \"debug\": true,\n  \"data-rot\": \"/x\"\n}",
         "daemon.json:3: key 'data-rot': is unknown"},
        {"{\n  \"debug\": \"yes\"\n}", "daemon.json:2: key 'debug': expected true or false"},
        {"{\n  \"data-root\": \"x\"\n}",
         "daemon.json:2: key 'data-root': expected an absolute path"},
        {"{\n  \"debug\": true\n  \"x\": 1\n}", "daemon.json:3: "},
        {"{\n  \"debug\": true\n", "daemon.json:3: the file ends in the middle"},
        {"{}\n{}", "daemon.json:2: "},
        {"[]", "daemon.json:1: expected an object"},
        {"{\"cri-sandboxers\": {\n\"w\": {\"name\": \"w\",\n\"adress\": \"/x\"}}}",
         "daemon.json:3: key 'w.adress': is unknown"},
        {"{\"cri-sandboxers\": {\n\"w\": {\"name\": \"w\"}}}",
         "daemon.json:2: key 'cri-sandboxers.w': needs both"},
        {"{\"log-level\": \"loud\"}", "daemon.json:1: key 'log-level': expected one of"},
        {"{\"hosts\": [\"tcp://0.0.0.0:1\"]}", "daemon.json:1: key 'hosts': expected addresses"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct settings c = {0};
        struct error err = {0};
        assert_int_equal(parse(&c, cases[i].text, &err), -EINVAL);
        if (!str_after(err.message, cases[i].message))
            assert_string_equal(err.message, cases[i].message);
        settings_done(&c);
    }
}

static void what_is_not_set_has_its_default(void **state)
{
    (void)state;
    struct settings c = {0};
    struct error err = {0};
    assert_int_equal(parse(&c, "{\"exec-root\": \"/tmp/e\"}", &err), 0);
    assert_int_equal(settings_default(&c, &err), 0);
    assert_string_equal(c.hosts[0], "unix:///tmp/e/warren.sock");
    assert_string_equal(c.data_root, "/var/lib/warren");
    settings_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_wasm_settings_are_read),
        cmocka_unit_test(a_typo_is_named_with_its_line),
        cmocka_unit_test(what_is_not_set_has_its_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
