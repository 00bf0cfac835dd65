/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in profile as a program: for each architecture a binary search over ranges of system call numbers that share an answer.
 * It is a third of what libseccomp makes of the same profile, and loading a filter (the kernel checks, converts and compiles it
 * for each container) takes time by its length. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/str.h"
#include "container/build.h"
#include "container/profile.h"

enum {
    NUMBERS_MAX = 640,  /* named system calls of one architecture */
    PROGRAM_LEN = 4096, /* the kernel's limit for one filter, BPF_MAXINSNS */
    CONDITIONS_MAX = 8, /* rules with arguments for one call */
};

/* What is answered for one number: an action, or the conditional rules of the profile for it. */
struct answer {
    uint32_t number;
    uint32_t action; /* SECCOMP_RET_*; used where there are no rules */
    size_t rules_count;
    const struct oci_seccomp_syscall *rules[CONDITIONS_MAX];
};

/* Instructions are written from the last to the first, since jumps go forward only. */
struct writer {
    struct sock_filter code[PROGRAM_LEN];
    size_t at; /* of the first one written */
    bool full;
    uint32_t otherwise; /* the default action */
};

static size_t emit(struct writer *w, unsigned code, uint32_t k, size_t jt, size_t jf)
{
    if (w->at < 4) {
        w->full = true;
        return w->at;
    }
    w->code[--w->at] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
    return w->at;
}

static size_t emit_return(struct writer *w, uint32_t action)
{
    return emit(w, BPF_RET | BPF_K, action, 0, 0);
}

/* Goes on with what was written last where the comparison is false, at yes where it is true. */
static void emit_jump(struct writer *w, unsigned comparison, uint32_t k, size_t yes)
{
    size_t distance = yes - w->at;
    if (distance <= 255) {
        emit(w, BPF_JMP | comparison | BPF_K, k, distance, 0);
        return;
    }
    emit(w, BPF_JMP | BPF_JA, (uint32_t)distance, 0, 0);
    emit(w, BPF_JMP | comparison | BPF_K, k, 0, 1);
}

static void emit_load(struct writer *w, size_t offset)
{
    emit(w, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static size_t argument_offset(uint32_t index, bool high)
{
    bool second = high == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    return offsetof(struct seccomp_data, args) + 8 * index + (second ? 4 : 0);
}

/* Conditions */

static uint32_t action_of(const struct oci_seccomp_syscall *s)
{
    if (str_eq(s->action, "SCMP_ACT_ALLOW"))
        return SECCOMP_RET_ALLOW;
    return SECCOMP_RET_ERRNO | (s->errno_ret ? *s->errno_ret : EPERM);
}

/* One half of (argument & mask) == value: goes on where it is so, else to no. */
static void emit_half(struct writer *w, uint32_t index, bool high, uint64_t mask, uint64_t value,
                      size_t no)
{
    uint32_t m = (uint32_t)(high ? mask >> 32 : mask), v = (uint32_t)(high ? value >> 32 : value);
    emit(w, BPF_JMP | BPF_JEQ | BPF_K, v, 0, no - w->at);
    if (m != UINT32_MAX)
        emit(w, BPF_ALU | BPF_AND | BPF_K, m, 0, 0);
    emit_load(w, argument_offset(index, high));
}

/* The rule's action where its one condition holds, else what was written last. */
static void emit_condition(struct writer *w, const struct oci_seccomp_syscall *s)
{
    const struct oci_seccomp_arg *c = &s->args[0];
    bool masked = str_eq(c->op, "SCMP_CMP_MASKED_EQ"), unequal = str_eq(c->op, "SCMP_CMP_NE");
    uint64_t mask = masked ? c->value : UINT64_MAX;
    uint64_t value = masked ? c->value_two : c->value;
    size_t next = w->at;
    size_t holds = emit_return(w, action_of(s));
    if (unequal) { /* equal in both halves: on to the next rule; else the action */
        emit(w, BPF_JMP | BPF_JA, (uint32_t)(next - w->at), 0, 0);
        next = holds;
    }
    emit_half(w, c->index, false, mask, value, next);
    emit_half(w, c->index, true, mask, value, next);
}

static size_t emit_answer(struct writer *w, const struct answer *a)
{
    if (!a)
        return emit_return(w, w->otherwise);
    if (!a->rules_count)
        return emit_return(w, a->action);
    emit_return(w, w->otherwise);
    for (size_t i = a->rules_count; i--;)
        emit_condition(w, a->rules[i]);
    return w->at;
}

/* Ranges */

struct range {
    uint32_t first;
    const struct answer *answer; /* NULL: the default action */
};

static bool same(const struct answer *a, const struct answer *b)
{
    if (!a || !b)
        return a == b;
    return !a->rules_count && !b->rules_count && a->action == b->action;
}

static size_t make_ranges(const struct answer *answers, size_t n, struct range *ranges)
{
    size_t count = 0;
    ranges[count++] = (struct range){0, NULL};
    for (size_t i = 0; i < n; i++) {
        const struct answer *a = &answers[i];
        bool gap = !i || answers[i - 1].number + 1 != a->number;
        if (ranges[count - 1].first == a->number)
            count--; /* the first range of all was empty */
        if (!count || gap || !same(ranges[count - 1].answer, a)) {
            if (!count || !same(ranges[count - 1].answer, a))
                ranges[count++] = (struct range){a->number, a};
        }
        if (i + 1 == n || answers[i + 1].number != a->number + 1)
            ranges[count++] = (struct range){a->number + 1, NULL};
    }
    return count;
}

static size_t emit_search(struct writer *w, const struct range *r, size_t n)
{
    if (n == 1)
        return emit_answer(w, r->answer);
    size_t half = n / 2;
    size_t right = emit_search(w, r + half, n - half);
    emit_search(w, r, half);
    emit_jump(w, BPF_JGE, r[half].first, right);
    return w->at;
}

/* One architecture */

/* i386 has calls of their own for these since Linux 4.3 and 5.1, where libseccomp names socketcall's and ipc's. */
static const struct name_value direct_x86[] = {
    {"recvmmsg", 337},   {"sendmmsg", 345},   {"socket", 359},      {"socketpair", 360},
    {"bind", 361},       {"connect", 362},    {"listen", 363},      {"accept4", 364},
    {"getsockopt", 365}, {"setsockopt", 366}, {"getsockname", 367}, {"getpeername", 368},
    {"sendto", 369},     {"sendmsg", 370},    {"recvfrom", 371},    {"recvmsg", 372},
    {"shutdown", 373},   {"semget", 393},     {"semctl", 394},      {"shmget", 395},
    {"shmctl", 396},     {"shmat", 397},      {"shmdt", 398},       {"msgget", 399},
    {"msgsnd", 400},     {"msgrcv", 401},     {"msgctl", 402},
};

static int number_of(uint32_t arch, const char *name)
{
    int64_t direct =
        arch == SCMP_ARCH_X86 ? name_find(direct_x86, ARRAY_SIZE(direct_x86), name) : -1;
    return direct >= 0 ? (int)direct : seccomp_syscall_resolve_name_arch(arch, name);
}

static int compare(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static size_t find_answer(struct answer *answers, size_t *n, uint32_t number)
{
    for (size_t i = 0; i < *n; i++)
        if (answers[i].number == number)
            return i;
    answers[*n] = (struct answer){.number = number};
    return (*n)++;
}

/* A rule without conditions wins over those with. */
static int add_rule(struct answer *a, const struct oci_seccomp_syscall *s)
{
    if (!s->args_count) {
        a->action = action_of(s);
        a->rules_count = 0;
    } else if (!a->action) {
        if (a->rules_count == CONDITIONS_MAX || s->args_count > 1)
            return -E2BIG;
        a->rules[a->rules_count++] = s;
    }
    return 0;
}

static int emit_architecture(struct writer *w, struct arena *a, const struct oci_seccomp *p,
                             uint32_t arch)
{
    struct answer *answers = arena_array(a, struct answer, NUMBERS_MAX);
    size_t n = 0;
    for (size_t i = 0; i < p->syscalls_count; i++)
        for (char **name = p->syscalls[i].names; *name; name++) {
            int number = number_of(arch, *name);
            if (number < 0) /* not a call of this architecture, or newer than libseccomp */
                continue;
            if (n == NUMBERS_MAX)
                return -E2BIG;
            int e = add_rule(&answers[find_answer(answers, &n, (uint32_t)number)], &p->syscalls[i]);
            if (e)
                return e;
        }
    qsort(answers, n, sizeof *answers, compare);
    struct range *ranges = arena_array(a, struct range, 2 * n + 2);
    emit_search(w, ranges, make_ranges(answers, n, ranges));
    emit_load(w, offsetof(struct seccomp_data, nr));
    return 0;
}

int seccomp_default_program(uint64_t capabilities, struct arena *a, struct buffer *program,
                            struct error *err)
{
#if defined(__x86_64__)
    static const struct {
        uint32_t libseccomp, kernel;
    } architectures[] = {{SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64}, {SCMP_ARCH_X86, AUDIT_ARCH_I386}};
#else
    static const struct {
        uint32_t libseccomp, kernel;
    } architectures[] = {{SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64}, {SCMP_ARCH_ARM, AUDIT_ARCH_ARM}};
#endif
    const struct oci_seccomp *p = seccomp_default_profile(capabilities, a);
    struct writer *w = arena_new(a, struct writer);
    size_t starts[ARRAY_SIZE(architectures)];
    w->at = PROGRAM_LEN;
    w->otherwise = SECCOMP_RET_ERRNO | EPERM;
    int e = 0;
    for (size_t i = ARRAY_SIZE(architectures); !e && i--;) {
        e = emit_architecture(w, a, p, architectures[i].libseccomp);
        starts[i] = w->at;
    }
    emit_return(w, SECCOMP_RET_KILL_PROCESS); /* an architecture that has no system calls here */
    for (size_t i = ARRAY_SIZE(architectures); !e && i--;)
        emit_jump(w, BPF_JEQ, architectures[i].kernel, starts[i]);
    emit_load(w, offsetof(struct seccomp_data, arch));
    if (!e && w->full)
        e = -E2BIG;
    if (!e)
        e = buffer_append(program, &w->code[w->at], (PROGRAM_LEN - w->at) * sizeof *w->code);
    return e ? fail(err, e, "compile the seccomp profile") : 0;
}
