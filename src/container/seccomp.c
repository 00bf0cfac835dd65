/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles compiled by libseccomp, once each: compiling costs some milliseconds, a container's start less than one. The
 * cache is the process', for one thread. */
#include "container/profile.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "container/build.h"

enum {
    CACHE_MAX = 64,
    FLAG_TSYNC = 1,
    FLAG_LOG = 2,
    FLAG_SPEC_ALLOW = 4,
    PROGRAM_MAX = 65535 * 8,
};

/* The spec's names */

static int parse_action(const char *name, const uint32_t *errno_ret, uint32_t *ret)
{
    static const struct name_value actions[] = {
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    };
    uint32_t code = errno_ret ? *errno_ret : EPERM;
    if (str_eq(name, "SCMP_ACT_ERRNO"))
        *ret = SCMP_ACT_ERRNO(code);
    else if (str_eq(name, "SCMP_ACT_TRACE"))
        *ret = SCMP_ACT_TRACE(code);
    else {
        int64_t found = name_find(actions, ARRAY_SIZE(actions), name);
        if (found < 0)
            return -EINVAL;
        *ret = (uint32_t)found;
    }
    return 0;
}

static int parse_arg(const struct oci_seccomp_arg *from, struct scmp_arg_cmp *ret)
{
    static const struct name_value operators[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };
    int64_t op = name_find(operators, ARRAY_SIZE(operators), str_or_empty(from->op));
    if (op < 0 || from->index > 5)
        return -EINVAL;
    *ret = (struct scmp_arg_cmp){from->index, (enum scmp_compare)op, from->value, from->value_two};
    return 0;
}

static uint32_t parse_architecture(const char *name)
{
    static const struct name_value names[] = {
        {"SCMP_ARCH_X86", SCMP_ARCH_X86},
        {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
        {"SCMP_ARCH_X32", SCMP_ARCH_X32},
        {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
        {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
        {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
        {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
        {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
        {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
        {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
        {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
        {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
        {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
        {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
        {"SCMP_ARCH_S390", SCMP_ARCH_S390},
        {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
        {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
        {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
        {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
    };
    int64_t found = name_find(names, ARRAY_SIZE(names), name);
    return found < 0 ? 0 : (uint32_t)found;
}

/* Rules */

static bool one_index_twice(const struct oci_seccomp_syscall *s)
{
    unsigned seen = 0;
    for (size_t i = 0; i < s->args_count; i++) {
        if (seen & 1U << (s->args[i].index & 7))
            return true;
        seen |= 1U << (s->args[i].index & 7);
    }
    return false;
}

static int add_call(scmp_filter_ctx filter, uint32_t action, int number,
                    const struct oci_seccomp_syscall *s, const struct scmp_arg_cmp *args)
{
    unsigned n = (unsigned)s->args_count;
    /* conditions on one argument twice are alternatives, as libseccomp has no "or" within a rule and
     * runc reads them so */
    if (!one_index_twice(s))
        return seccomp_rule_add_array(filter, action, number, n, args);
    int e = 0;
    for (unsigned i = 0; !e && i < n; i++)
        e = seccomp_rule_add_array(filter, action, number, 1, &args[i]);
    return e;
}

static int add_rule(scmp_filter_ctx filter, uint32_t default_action,
                    const struct oci_seccomp_syscall *s, size_t i, struct error *err)
{
    enum { ARGS_MAX = 16 };
    struct scmp_arg_cmp args[ARGS_MAX];
    uint32_t action;
    if (str_eq(str_or_empty(s->action), "SCMP_ACT_NOTIFY"))
        return fail_plain(err, EOPNOTSUPP,
                          "linux.seccomp.syscalls[%zu].action: SCMP_ACT_NOTIFY is not "
                          "supported yet",
                          i);
    if (parse_action(str_or_empty(s->action), s->errno_ret, &action) < 0)
        return fail_plain(err, EINVAL, "linux.seccomp.syscalls[%zu].action: '%s' is none", i,
                          str_or_empty(s->action));
    if (s->args_count > ARGS_MAX)
        return fail_plain(err, E2BIG, "linux.seccomp.syscalls[%zu].args: more than %d", i,
                          ARGS_MAX);
    for (size_t k = 0; k < s->args_count; k++)
        if (parse_arg(&s->args[k], &args[k]) < 0)
            return fail_plain(err, EINVAL,
                              "linux.seccomp.syscalls[%zu].args[%zu]: no argument %u, or "
                              "no operator '%s'",
                              i, k, s->args[k].index, str_or_empty(s->args[k].op));
    if (action == default_action) /* which libseccomp refuses to say twice */
        return 0;
    for (char **name = s->names; name && *name; name++) {
        int number = seccomp_syscall_resolve_name(*name);
        if (number == __NR_SCMP_ERROR) /* newer than this libseccomp: falls to the default action */
            continue;
        int e = add_call(filter, action, number, s, args);
        if (e < 0 && e != -EEXIST)
            return fail(err, e, "linux.seccomp.syscalls[%zu]: add '%s'", i, *name);
    }
    return 0;
}

static int add_architectures(scmp_filter_ctx filter, const struct oci_seccomp *p, struct error *err)
{
    for (size_t i = 0; p->architectures && p->architectures[i]; i++) {
        uint32_t arch = parse_architecture(p->architectures[i]);
        if (!arch)
            return fail_plain(err, EINVAL, "linux.seccomp.architectures[%zu]: '%s' is none", i,
                              p->architectures[i]);
        int e = seccomp_arch_add(filter, arch);
        if (e < 0 && e != -EEXIST)
            return fail(err, e, "linux.seccomp.architectures[%zu]", i);
    }
    return 0;
}

/* Programs */

static int export_program(scmp_filter_ctx filter, struct buffer *program, struct error *err)
{
    autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int e = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
    struct stat st;
    if (!e && fstat(fd, &st) < 0)
        e = -errno;
    if (!e && st.st_size > PROGRAM_MAX)
        return fail_plain(err, E2BIG,
                          "linux.seccomp: the compiled profile is too long for the kernel");
    if (!e)
        e = buffer_reserve(program, (size_t)st.st_size);
    if (!e && pread(fd, program->data + program->len, (size_t)st.st_size, 0) != st.st_size)
        e = -EIO;
    if (e)
        return fail(err, e, "compile the seccomp profile");
    program->len += (size_t)st.st_size;
    return 0;
}

static int compile(const struct oci_seccomp *p, struct buffer *program, struct error *err)
{
    uint32_t action;
    if (parse_action(str_or_empty(p->default_action), p->default_errno_ret, &action) < 0)
        return fail_plain(err, EINVAL, "linux.seccomp.defaultAction: '%s' is none",
                          str_or_empty(p->default_action));
    if (p->listener_path)
        return fail_plain(err, EOPNOTSUPP, "linux.seccomp.listenerPath: not supported yet");
    scmp_filter_ctx filter = seccomp_init(action);
    if (!filter)
        return fail(err, ENOMEM, "compile the seccomp profile");
    /* a binary tree: a few comparisons a system call instead of hundreds */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int e = add_architectures(filter, p, err);
    for (size_t i = 0; !e && i < p->syscalls_count; i++)
        e = add_rule(filter, action, &p->syscalls[i], i, err);
    if (!e)
        e = export_program(filter, program, err);
    seccomp_release(filter);
    return e;
}

static int parse_flags(const struct oci_seccomp *p, uint32_t *ret, struct error *err)
{
    static const struct name_value names[] = {
        {"SECCOMP_FILTER_FLAG_TSYNC", FLAG_TSYNC},
        {"SECCOMP_FILTER_FLAG_LOG", FLAG_LOG},
        {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW},
        {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0}, /* for listeners */
    };
    /* runc's default: speculation is left to the program, which the filter would slow down */
    *ret = p->flags ? 0 : FLAG_SPEC_ALLOW;
    for (size_t i = 0; p->flags && p->flags[i]; i++) {
        int64_t flag = name_find(names, ARRAY_SIZE(names), p->flags[i]);
        if (flag < 0)
            return fail_plain(err, EINVAL, "linux.seccomp.flags[%zu]: '%s' is none", i,
                              p->flags[i]);
        *ret |= (uint32_t)flag;
    }
    return 0;
}

static struct cached {
    char *key;
    struct buffer program;
} cache[CACHE_MAX];
static size_t cache_next;

/* p NULL: the built-in profile for these capabilities. */
static int cached_program(const char *key, const struct oci_seccomp *p, uint64_t capabilities,
                          const struct buffer **ret, struct error *err)
{
    for (size_t i = 0; i < CACHE_MAX && cache[i].key; i++)
        if (str_eq(cache[i].key, key)) {
            *ret = &cache[i].program;
            return 0;
        }
    auto(buffer) struct buffer program = {0};
    autofree char *copy = strdup(key);
    auto(arena) struct arena a = {0};
    int e = copy ? 0 : fail(err, ENOMEM, "compile the seccomp profile");
    if (!e)
        e = p ? compile(p, &program, err)
              : seccomp_default_program(capabilities, &a, &program, err);
    if (e)
        return e;
    struct cached *c = &cache[cache_next++ % CACHE_MAX];
    free(c->key);
    buffer_done(&c->program);
    c->key = take_ptr(&copy);
    c->program = program;
    program = (struct buffer){0};
    *ret = &c->program;
    return 0;
}

int build_seccomp(struct builder *b, const struct oci_spec *spec, struct error *err)
{
    const char *word = oci_annotation(spec, "warren.seccomp");
    const struct oci_seccomp *p = spec->linux_ ? spec->linux_->seccomp : NULL;
    uint64_t capabilities = b->recipe.caps.bounding;
    auto(buffer) struct buffer key = {0};
    struct oci_linux only = {.seccomp = (struct oci_seccomp *)p};
    struct oci_spec as_text = {.linux_ = &only};
    int e = 0;
    b->recipe.seccomp_flags = FLAG_SPEC_ALLOW;
    if (p) {
        e = parse_flags(p, &b->recipe.seccomp_flags, err);
        if (!e)
            e = oci_spec_print(&as_text, &key, err);
    } else if (!word || str_eq(word, "unconfined")) {
        return 0;
    } else if (!str_eq(word, "default")) {
        return fail_plain(err, EINVAL,
                          "annotations.warren.seccomp: '%s' is none of default, unconfined", word);
    } else if (buffer_printf(&key, "default %llx", (unsigned long long)capabilities)) {
        e = fail(err, ENOMEM, "compile the seccomp profile");
    }
    const struct buffer *program;
    if (!e)
        e = cached_program(buffer_text(&key), p, capabilities, &program, err);
    if (e)
        return e;
    b->recipe.flags |= RECIPE_HAS_SECCOMP;
    return builder_items(b, program->data, program->len / 8, 8, &b->recipe.seccomp)
               ? fail(err, ENOMEM, "build a recipe")
               : 0;
}
