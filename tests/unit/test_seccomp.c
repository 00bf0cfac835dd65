/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in profile, run in an interpreter: our own program answers as libseccomp's of the same profile. */
#include "test.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/base.h"
#include "container/container.h"
#include "container/profile.h"
#include "container/recipe.h"
#include "linux/sys.h"
#include "oci/spec.h"

static uint32_t run(const struct sock_filter *code, size_t n, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < n; pc++) {
        const struct sock_filter *i = &code[pc];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k + 4 <= sizeof *data);
            memcpy(&a, (const char *)data + i->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            assert_int_equal(i->code, -1); /* an instruction that neither should have */
        }
    }
    assert_true(false); /* ran off its end */
    return 0;
}

/* The profile through linux.seccomp, which libseccomp compiles. */
static void compile_by_libseccomp(uint64_t capabilities, struct arena *a, struct buffer *block)
{
    struct error err = {0};
    struct oci_namespace mount = {(char *)"mount", NULL};
    struct oci_linux l = {.namespaces = &mount,
                          .namespaces_count = 1,
                          .seccomp = seccomp_default_profile(capabilities, a)};
    char *args[] = {(char *)"true", NULL};
    struct oci_process p = {.args = args, .cwd = (char *)"/"};
    struct oci_root root = {.path = (char *)"/"};
    struct oci_spec spec = {.process = &p, .root = &root, .linux_ = &l};
    struct recipe_input in = {.spec = &spec};
    recipe_build(&in, block, NULL, &err);
    assert_string_equal(err.message, "");
}

static void check_same(const struct seccomp_data *d, uint32_t ours, uint32_t theirs)
{
    if (ours != theirs)
        print_error("arch %x, call %d, argument %llx: %x is not libseccomp's %x\n", d->arch, d->nr,
                    (unsigned long long)d->args[0], ours, theirs);
    assert_int_equal(ours, theirs);
}

static void compare_programs(uint64_t capabilities)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      8,
                                      10,
                                      40,
                                      41,
                                      0x20000,
                                      0x20008,
                                      0xffffffff,
                                      0x100000000 + 40,
                                      0x10000000,
                                      0x11,
                                      0x7e020000,
                                      0x00010f00,
                                      UINT64_MAX};
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer ours = {0}, block = {0};
    struct error err = {0};
    const struct recipe *r;
    assert_int_equal(seccomp_default_program(capabilities, &a, &ours, &err), 0);
    compile_by_libseccomp(capabilities, &a, &block);
    assert_int_equal(recipe_open(block.data, block.len, &r, &err), 0);
    const struct sock_filter *mine = (const void *)ours.data, *theirs = recipe_items(r, r->seccomp);
    size_t n = ours.len / sizeof *mine;
    assert_true(n < r->seccomp.count / 2);
    for (int number = 0; number < 700; number++)
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            struct seccomp_data d = {.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {values[i]}};
            check_same(&d, run(mine, n, &d), run(theirs, r->seccomp.count, &d));
            /* i386's calls through socketcall and ipc are libseccomp's own affair, and arguments have 32 bits */
            if (number == 102 || number == 117 || (number >= 359 && number <= 402) ||
                values[i] > UINT32_MAX)
                continue;
            d.arch = AUDIT_ARCH_I386;
            check_same(&d, run(mine, n, &d), run(theirs, r->seccomp.count, &d));
        }
}

static void the_built_in_program_answers_as_libseccomps(void **state)
{
    (void)state;
#if defined(__x86_64__)
    compare_programs(0);
    compare_programs(UINT64_C(0xa80425fb)); /* docker's default set */
    compare_programs((UINT64_C(1) << 41) - 1);
#endif
}

static void what_docker_refuses_is_refused(void **state)
{
    (void)state;
#if defined(__x86_64__)
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer b = {0};
    struct error err = {0};
    assert_int_equal(seccomp_default_program(UINT64_C(0xa80425fb), &a, &b, &err), 0);
    const struct sock_filter *code = (const void *)b.data;
    size_t n = b.len / sizeof *code;
    static const struct {
        int number;
        uint64_t argument;
        uint32_t answer;
    } cases[] = {
        {SYS_read, 0, SECCOMP_RET_ALLOW},
        {SYS_clone, 0x1200011, SECCOMP_RET_ALLOW},
        {SYS_clone, SYS_CLONE_NEWUSER, SECCOMP_RET_ERRNO | EPERM},
        {SYS_unshare, 0, SECCOMP_RET_ERRNO | EPERM},
        {435 /* clone3 */, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {SYS_socket, 2, SECCOMP_RET_ALLOW},
        {SYS_socket, 40, SECCOMP_RET_ERRNO | EPERM},
        {SYS_personality, 0xffffffff, SECCOMP_RET_ALLOW},
        {SYS_personality, 0x0040000, SECCOMP_RET_ERRNO | EPERM},
        {SYS_mount, 0, SECCOMP_RET_ERRNO | EPERM},
        {SYS_keyctl, 0, SECCOMP_RET_ERRNO | EPERM},
        {SYS_add_key, 0, SECCOMP_RET_ERRNO | EPERM},
        {SYS_bpf, 0, SECCOMP_RET_ERRNO | EPERM},
        {SYS_userfaultfd, 0, SECCOMP_RET_ERRNO | EPERM},
        {425 /* io_uring_setup */, 0, SECCOMP_RET_ERRNO | EPERM},
        {SYS_chroot, 0, SECCOMP_RET_ALLOW}, /* CAP_SYS_CHROOT is there */
        {SYS_reboot, 0, SECCOMP_RET_ERRNO | EPERM},
        {0x40000000 /* x32's read */, 0, SECCOMP_RET_ERRNO | EPERM},
        {5000, 0, SECCOMP_RET_ERRNO | EPERM},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seccomp_data d = {
            .nr = cases[i].number, .arch = AUDIT_ARCH_X86_64, .args = {cases[i].argument}};
        assert_int_equal(run(code, n, &d), cases[i].answer);
    }
    struct seccomp_data other = {.arch = AUDIT_ARCH_S390X};
    assert_int_equal(run(code, n, &other), SECCOMP_RET_KILL_PROCESS);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_program_answers_as_libseccomps),
        cmocka_unit_test(what_docker_refuses_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
