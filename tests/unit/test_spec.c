/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "engine/spec.h"
#include "oci/spec.h"

/* protobuf-c's strings are char *, and nobody writes to those here */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

struct built {
    struct arena arena;
    struct buffer text;
    struct oci_spec *spec;
    struct error err;
};

static Runtime__V1__PodSandboxConfig pod;
static Runtime__V1__ContainerConfig container;
static Runtime__V1__LinuxContainerConfig linux_config;
static Runtime__V1__LinuxContainerSecurityContext security;
static Runtime__V1__LinuxContainerResources resources;
static struct image_config image;
static char *entrypoint[] = {"/bin/entry", NULL}, *cmd[] = {"one", "two", NULL};
static char *image_env[] = {"A=image", "PATH=/bin", NULL};

static int reset(void **state)
{
    (void)state;
    runtime__v1__pod_sandbox_config__init(&pod);
    runtime__v1__container_config__init(&container);
    runtime__v1__linux_container_config__init(&linux_config);
    runtime__v1__linux_container_security_context__init(&security);
    runtime__v1__linux_container_resources__init(&resources);
    container.linux = &linux_config;
    linux_config.security_context = &security;
    linux_config.resources = &resources;
    image = (struct image_config){.entrypoint = entrypoint, .cmd = cmd, .env = image_env};
    return 0;
}

static int build(struct built *b, bool wasm)
{
    struct spec_input in = {"pod", "id", &pod, &container, &image, wasm, NULL};
    *b = (struct built){0};
    int r = spec_build(&in, &b->text, &b->err);
    if (r == 0)
        r = oci_spec_parse(b->text.data, b->text.len, &b->arena, &b->spec, &b->err);
    return r;
}

static void done(struct built *b)
{
    arena_done(&b->arena);
    buffer_done(&b->text);
}

static void assert_args(const char *expected)
{
    struct built b;
    assert_int_equal(build(&b, false), 0);
    auto(buffer) struct buffer joined = {0};
    for (char **p = b.spec->process->args; *p; p++)
        buffer_printf(&joined, "%s%s", p == b.spec->process->args ? "" : " ", *p);
    assert_string_equal(buffer_text(&joined), expected);
    done(&b);
}

static void command_replaces_the_entrypoint_and_args_the_cmd(void **state)
{
    (void)state;
    char *command[] = {"/bin/mine"}, *args[] = {"three"};
    assert_args("/bin/entry one two");
    container.args = args, container.n_args = 1;
    assert_args("/bin/entry three");
    container.command = command, container.n_command = 1;
    assert_args("/bin/mine three");
    container.n_args = 0;
    assert_args("/bin/mine");
}

static void a_container_without_any_command_is_refused(void **state)
{
    (void)state;
    struct built b;
    image = (struct image_config){0};
    assert_int_equal(build(&b, false), -EINVAL);
    assert_non_null(strstr(b.err.message, "no command"));
    done(&b);
}

static void the_containers_environment_wins_over_the_images(void **state)
{
    (void)state;
    struct built b;
    Runtime__V1__KeyValue value = RUNTIME__V1__KEY_VALUE__INIT, *values[] = {&value};
    value.key = "A";
    value.value.data = (uint8_t *)"container";
    value.value.len = 9;
    container.envs = values, container.n_envs = 1;
    assert_int_equal(build(&b, false), 0);
    assert_int_equal(strv_len(b.spec->process->env), 2);
    assert_string_equal(b.spec->process->env[0], "PATH=/bin");
    assert_string_equal(b.spec->process->env[1], "A=container");
    done(&b);
}

static bool has(char **v, const char *s)
{
    for (; v && *v; v++)
        if (str_eq(*v, s))
            return true;
    return false;
}

static void docker_s_defaults_apply_where_nothing_is_said(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(&b, false), 0);
    assert_true(has(b.spec->process->capabilities->bounding, "CAP_CHOWN"));
    assert_false(has(b.spec->process->capabilities->bounding, "CAP_SYS_ADMIN"));
    assert_true(has(b.spec->linux_->masked_paths, "/proc/kcore"));
    assert_true(has(b.spec->linux_->readonly_paths, "/proc/sys"));
    assert_string_equal(oci_annotation(b.spec, "warren.seccomp"), "default");
    assert_false(b.spec->linux_->resources->devices[0].allow);
    done(&b);
}

static void privileged_takes_the_limits_away(void **state)
{
    (void)state;
    struct built b;
    security.privileged = true;
    assert_int_equal(build(&b, false), 0);
    assert_true(has(b.spec->process->capabilities->bounding, "CAP_SYS_ADMIN"));
    assert_null(b.spec->linux_->masked_paths);
    assert_string_equal(oci_annotation(b.spec, "warren.seccomp"), "unconfined");
    done(&b);
}

static void a_container_cannot_name_its_own_seccomp_profile(void **state)
{
    (void)state;
    struct built b;
    Runtime__V1__ContainerConfig__AnnotationsEntry
        entry = RUNTIME__V1__CONTAINER_CONFIG__ANNOTATIONS_ENTRY__INIT,
        *entries[] = {&entry};
    entry.key = "warren.seccomp", entry.value = "unconfined";
    container.annotations = entries, container.n_annotations = 1;
    assert_int_equal(build(&b, false), 0);
    assert_string_equal(oci_annotation(b.spec, "warren.seccomp"), "default");
    done(&b);
}

static void capabilities_are_added_and_dropped(void **state)
{
    (void)state;
    struct built b;
    Runtime__V1__Capability c = RUNTIME__V1__CAPABILITY__INIT;
    char *add[] = {"net_admin"}, *drop[] = {"ALL"};
    security.capabilities = &c;
    c.add_capabilities = add, c.n_add_capabilities = 1;
    c.drop_capabilities = drop, c.n_drop_capabilities = 1;
    assert_int_equal(build(&b, false), 0);
    assert_int_equal(strv_len(b.spec->process->capabilities->bounding), 1);
    assert_string_equal(b.spec->process->capabilities->bounding[0], "CAP_NET_ADMIN");
    done(&b);
    add[0] = "FLYING";
    assert_int_equal(build(&b, false), -EINVAL);
    assert_non_null(strstr(b.err.message, "'FLYING' is no capability"));
    done(&b);
}

static void a_user_is_passed_on_as_it_was_asked_for(void **state)
{
    (void)state;
    struct built b;
    image.user = "app:staff";
    assert_int_equal(build(&b, false), 0);
    assert_string_equal(b.spec->process->user.username, "app:staff");
    done(&b);
    Runtime__V1__Int64Value uid = RUNTIME__V1__INT64_VALUE__INIT,
                            gid = RUNTIME__V1__INT64_VALUE__INIT;
    uid.value = 1000, gid.value = 100;
    security.run_as_user = &uid, security.run_as_group = &gid;
    assert_int_equal(build(&b, false), 0);
    assert_string_equal(b.spec->process->user.username, "1000:100");
    done(&b);
    uid.value = -1;
    assert_int_equal(build(&b, false), -EINVAL);
    done(&b);
}

static void a_bad_resource_names_its_field(void **state)
{
    (void)state;
    struct built b;
    resources.cpu_shares = -5;
    assert_int_equal(build(&b, false), -EINVAL);
    assert_non_null(strstr(b.err.message, "linux.resources.cpu_shares"));
    done(&b);
    resources.cpu_shares = 0;
    resources.memory_limit_in_bytes = 1 << 20;
    assert_int_equal(build(&b, false), 0);
    assert_int_equal(*b.spec->linux_->resources->memory->limit, 1 << 20);
    assert_int_equal(*b.spec->linux_->resources->memory->swap, 1 << 20);
    done(&b);
}

static void a_mount_must_be_absolute_and_is_bound_as_asked(void **state)
{
    (void)state;
    struct built b;
    Runtime__V1__Mount m = RUNTIME__V1__MOUNT__INIT, *mounts[] = {&m};
    m.container_path = "/data", m.host_path = "/srv", m.readonly = true;
    m.propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
    container.mounts = mounts, container.n_mounts = 1;
    assert_int_equal(build(&b, false), 0);
    const struct oci_mount *last = &b.spec->mounts[b.spec->mounts_count - 1];
    assert_string_equal(last->destination, "/data");
    assert_true(has(last->options, "ro") && has(last->options, "rslave"));
    done(&b);
    m.host_path = "srv";
    assert_int_equal(build(&b, false), -EINVAL);
    assert_non_null(strstr(b.err.message, "mounts[0].host_path"));
    done(&b);
}

static void a_wasm_container_has_only_the_mounts_it_asked_for(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(&b, true), 0);
    assert_int_equal(b.spec->mounts_count, 0);
    assert_null(b.spec->process->capabilities);
    assert_int_equal(b.spec->linux_->namespaces_count, 1);
    assert_string_equal(b.spec->linux_->namespaces[0].type, "network");
    assert_string_equal(oci_annotation(b.spec, "io.kubernetes.cri.sandbox-id"), "pod");
    done(&b);
}

static void
annotations_for_wasm_reach_wasm_alone_and_a_containers_come_before_its_pods(void **state)
{
    (void)state;
    struct built b;
    Runtime__V1__ContainerConfig__AnnotationsEntry
        own = RUNTIME__V1__CONTAINER_CONFIG__ANNOTATIONS_ENTRY__INIT,
        *own_list[] = {&own};
    Runtime__V1__PodSandboxConfig__AnnotationsEntry
        first = RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT,
        second = RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT,
        *of_pod[] = {&first, &second};
    own.key = "warren.wasm/profile", own.value = "busy";
    first.key = "warren.wasm/profile", first.value = "dense";
    second.key = "warren.wasm/listen", second.value = "tcp://:80";
    container.annotations = own_list, container.n_annotations = 1;
    pod.annotations = of_pod, pod.n_annotations = 2;
    assert_int_equal(build(&b, true), 0);
    assert_string_equal(oci_annotation(b.spec, "warren.wasm/profile"), "busy");
    assert_string_equal(oci_annotation(b.spec, "warren.wasm/listen"), "tcp://:80");
    done(&b);
    assert_int_equal(build(&b, false), 0);
    assert_null(oci_annotation(b.spec, "warren.wasm/profile"));
    done(&b);
}

static void an_exec_is_the_containers_process_with_other_args(void **state)
{
    (void)state;
    struct spec_input in = {"pod", "id", &pod, &container, &image, false, NULL};
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer text = {0};
    struct oci_process *p;
    char *argv[] = {"ps", "-ef", NULL};
    assert_int_equal(spec_build_exec(&in, argv, true, &text, NULL), 0);
    assert_int_equal(oci_process_parse(text.data, text.len, &a, &p, NULL), 0);
    assert_string_equal(p->args[1], "-ef");
    assert_true(p->terminal);
    assert_true(has(p->capabilities->bounding, "CAP_CHOWN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(command_replaces_the_entrypoint_and_args_the_cmd, reset),
        cmocka_unit_test_setup(a_container_without_any_command_is_refused, reset),
        cmocka_unit_test_setup(the_containers_environment_wins_over_the_images, reset),
        cmocka_unit_test_setup(docker_s_defaults_apply_where_nothing_is_said, reset),
        cmocka_unit_test_setup(privileged_takes_the_limits_away, reset),
        cmocka_unit_test_setup(a_container_cannot_name_its_own_seccomp_profile, reset),
        cmocka_unit_test_setup(capabilities_are_added_and_dropped, reset),
        cmocka_unit_test_setup(a_user_is_passed_on_as_it_was_asked_for, reset),
        cmocka_unit_test_setup(a_bad_resource_names_its_field, reset),
        cmocka_unit_test_setup(a_mount_must_be_absolute_and_is_bound_as_asked, reset),
        cmocka_unit_test_setup(
            annotations_for_wasm_reach_wasm_alone_and_a_containers_come_before_its_pods, reset),
        cmocka_unit_test_setup(a_wasm_container_has_only_the_mounts_it_asked_for, reset),
        cmocka_unit_test_setup(an_exec_is_the_containers_process_with_other_args, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
