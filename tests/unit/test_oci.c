/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "oci/spec.h"

static const char full[] =
    "{\"ociVersion\":\"1.2.0\",\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":24,"
    "\"width\":80},\"user\":{\"uid\":0,\"gid\":5,\"umask\":0,\"additionalGids\":[1,2],"
    "\"username\":\"app\"},\"args\":[\"sh\",\"-c\",\"echo "
    "\\\"hi\\\"\\u000a\"],\"env\":[],\"cwd\":\"/\","
    "\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"ambient\":[]},\"rlimits\":[{\"type\":"
    "\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,\"soft\":1024}],\"noNewPrivileges\":true,"
    "\"oomScoreAdj\":-999,\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":-3},\"ioPriority\":"
    "{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4}},\"root\":{\"path\":\"rootfs\",\"readonly\":"
    "true},\"hostname\":\"h\",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":"
    "\"proc\",\"options\":[\"nosuid\"]},{\"destination\":\"/data\",\"uidMappings\":[{"
    "\"containerID\":0,\"hostID\":1000,\"size\":1}]}],\"hooks\":{\"poststop\":[{\"path\":\"/bin/"
    "x\","
    "\"timeout\":0}]},\"annotations\":{\"b\":\"2\",\"a\":\"1\"},\"linux\":{\"sysctl\":{"
    "\"net.ipv4.ip_forward\":\"1\"},\"resources\":{\"devices\":[{\"allow\":false,\"access\":"
    "\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":-1}],\"memory\":{\"limit\":0,"
    "\"swap\":-1,\"disableOOMKiller\":false},\"cpu\":{\"shares\":2,\"quota\":-1,\"cpus\":\"0-1\"},"
    "\"pids\":{\"limit\":0},\"blockIO\":{\"weight\":10,\"throttleReadBpsDevice\":[{\"major\":8,"
    "\"minor\":0,\"rate\":600}]},\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}},\"unified\":{"
    "\"memory.high\":\"1\"}},\"cgroupsPath\":\"/a/b\",\"namespaces\":[{\"type\":\"pid\"},{\"type\":"
    "\"network\",\"path\":\"/proc/1/ns/net\"}],\"devices\":[{\"path\":\"/dev/fuse\",\"type\":\"c\","
    "\"major\":10,\"minor\":229,\"fileMode\":438,\"uid\":0}],\"seccomp\":{\"defaultAction\":"
    "\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"architectures\":[\"SCMP_ARCH_X86_64\"],"
    "\"syscalls\":[{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
    "\"value\":2114060288,\"valueTwo\":1,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]},\"maskedPaths\":["
    "\"/proc/kcore\"],\"timeOffsets\":{\"monotonic\":{\"secs\":-5,\"nanosecs\":1}}}}";

static void a_spec_read_and_printed_is_the_same_text(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer out = {0};
    struct error err = {0};
    struct oci_spec *spec;
    oci_spec_parse(full, sizeof full - 1, &a, &spec, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(oci_spec_print(spec, &out, &err), 0);
    assert_string_equal(buffer_text(&out), full);
    assert_string_equal(oci_annotation(spec, "a"), "1");
    assert_null(oci_annotation(spec, "c"));
    assert_true(spec->process->rlimits[0].hard == UINT64_MAX);
}

static void what_is_absent_is_told_from_zero(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    struct error err = {0};
    struct oci_resources *r;
    const char *json = "{\"memory\":{\"limit\":0},\"cpu\":null,\"x-unknown\":{\"y\":[1.5]}}";
    assert_int_equal(oci_resources_parse(json, strlen(json), &a, &r, &err), 0);
    assert_non_null(r->memory->limit);
    assert_int_equal(*r->memory->limit, 0);
    assert_null(r->memory->swap);
    assert_null(r->cpu);
}

static void a_bad_value_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"{\"linux\":{\"resources\":{\"memory\":{\"limit\":\"1G\"}}}}",
         "the OCI spec: linux.resources.memory.limit: expected an integer, found a string"},
        {"{\"process\":{\"args\":[\"a\",7]}}",
         "the OCI spec: process.args[1]: expected a string, found an integer"},
        {"{\"process\":{\"user\":{\"uid\":-1}}}",
         "the OCI spec: process.user.uid: expected an integer from 0 to 4294967295, found -1"},
        {"{\"process\":{\"terminal\":1}}",
         "the OCI spec: process.terminal: expected true or false, found an integer"},
        {"{\"mounts\":[{\"destination\":\"/a\"},5]}",
         "the OCI spec: mounts[1]: expected an object, found an integer"},
        {"{\"annotations\":{\"k\":[]}}",
         "the OCI spec: annotations.k: expected a string, found a list"},
        {"{\"process\":{\"cwd\":\"a\\u0000b\"}}",
         "the OCI spec: process.cwd: expected text, found a NUL byte in it"},
        {"{\"process\":{\"oomScoreAdj\":1.5}}",
         "the OCI spec: process.oomScoreAdj: expected an integer, found a number with a fraction"},
        {"[]", "the OCI spec: expected an object, found a list"},
        {"{\"process\":", "the OCI spec is no JSON: it ends too early"},
        {"", "the OCI spec is no JSON: it ends too early"},
        {"null ", "the OCI spec is no JSON: it is null"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto(arena) struct arena a = {0};
        struct error err = {0};
        struct oci_spec *spec;
        assert_int_equal(oci_spec_parse(cases[i].json, strlen(cases[i].json), &a, &spec, &err),
                         -EINVAL);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void a_spec_that_is_nested_too_deeply_is_refused(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer b = {0};
    struct error err = {0};
    struct oci_spec *spec;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buffer_puts(&b, "{\"a\":"), 0);
    assert_int_equal(oci_spec_parse(b.data, b.len, &a, &spec, &err), -EINVAL);
    assert_non_null(strstr(err.message, "nesting"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_read_and_printed_is_the_same_text),
        cmocka_unit_test(what_is_absent_is_told_from_zero),
        cmocka_unit_test(a_bad_value_is_refused_with_its_place),
        cmocka_unit_test(a_spec_that_is_nested_too_deeply_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
