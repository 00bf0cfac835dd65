/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules on cgroup v2: a program that the kernel asks at each open and mknod. The last rule that fits decides, so they are
 * tried from the last to the first. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_host.h"
#include "oci/spec.h"

enum { PER_RULE = 10, RULES_MAX = 400 };

struct program {
    struct bpf_insn *code;
    size_t n;
};

static void emit(struct program *p, int code, unsigned dst, unsigned src, int off, int imm)
{
    p->code[p->n++] = (struct bpf_insn){.code = (uint8_t)code,
                                        .dst_reg = dst & 15,
                                        .src_reg = src & 15,
                                        .off = (int16_t)off,
                                        .imm = imm};
}

/* r2: type, r3: access, r4: major, r5: minor, of struct bpf_cgroup_dev_ctx */
static void emit_begin(struct program *p)
{
    emit(p, BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0);
    emit(p, BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0);
    emit(p, BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    emit(p, BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
    emit(p, BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
    emit(p, BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
}

static int access_bits(const char *access)
{
    if (str_empty(access))
        access = "rwm";
    return (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0) |
           (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0) |
           (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0);
}

static void emit_return(struct program *p, int value)
{
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* True where the rule fits everything: what comes after it would be dead code, which the verifier refuses. */
static bool emit_rule(struct program *p, const struct oci_device_rule *r)
{
    size_t first = p->n;
    int bits = access_bits(r->access);
    if (!str_empty(r->type) && *r->type != 'a')
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0,
             *r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    if (bits != 7) {
        emit(p, BPF_ALU64 | BPF_MOV | BPF_X, 1, 3, 0, 0);
        emit(p, BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, bits);
        if (r->allow) /* all that is asked for is allowed */
            emit(p, BPF_JMP | BPF_JNE | BPF_X, 1, 3, 0, 0);
        else /* any of it is denied */
            emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0, 0);
    }
    if (r->major && *r->major >= 0)
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int)*r->major);
    if (r->minor && *r->minor >= 0)
        emit(p, BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int)*r->minor);
    bool fits_all = p->n == first;
    size_t end = p->n + 2;
    for (size_t i = first; i < p->n; i++)
        if (BPF_CLASS(p->code[i].code) == BPF_JMP)
            p->code[i].off = (int16_t)(end - i - 1);
    emit_return(p, r->allow);
    return fits_all;
}

static long bpf(int command, union bpf_attr *attr)
{
    return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int attach(const struct cgroup *g, const struct program *p, struct error *err)
{
    char path[PATH_MAX];
    int e = cgroup_file(g, &g->host->hierarchies[0], "", path);
    autoclose int group = e ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return fail(err, e ? e : errno, "open the cgroup '%s'", g->path);
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
    load.insns = (uintptr_t)p->code;
    load.insn_cnt = (uint32_t)p->n;
    load.license = (uintptr_t) "Apache-2.0";
    autoclose int program = (int)bpf(BPF_PROG_LOAD, &load);
    if (program < 0)
        return fail(err, errno, "cgroup '%s': load the device rules", g->path);
    union bpf_attr where = {0};
    where.target_fd = (uint32_t)group;
    where.attach_bpf_fd = (uint32_t)program;
    where.attach_type = BPF_CGROUP_DEVICE;
    where.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, &where) < 0)
        return fail(err, errno, "cgroup '%s': set the device rules", g->path);
    return 0;
}

int cgroup_attach_device_program(const struct cgroup *g, const struct oci_device_rule *rules,
                                 size_t n, struct error *err)
{
    if (n > RULES_MAX)
        return fail_plain(err, E2BIG, "linux.resources.devices: more than %d rules", RULES_MAX);
    auto(arena) struct arena a = {0};
    struct program p = {arena_array(&a, struct bpf_insn, (n + 2) * PER_RULE), 0};
    emit_begin(&p);
    bool fits_all = false;
    for (size_t i = n; i-- && !fits_all;)
        fits_all = emit_rule(&p, &rules[i]);
    if (!fits_all)
        emit_return(&p, 1);
    return attach(g, &p, err);
}
