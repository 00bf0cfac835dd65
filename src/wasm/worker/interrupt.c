/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/interrupt.h"

#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

enum { SYMBOL_MAX = 64 };

/* Function bodies, as offsets in the image, ascending and apart from each other. */
struct range {
    uint32_t start, end;
};

struct interrupt_code {
    uintptr_t image;
    uintptr_t trap; /* the address of an instruction that traps */
    size_t len;     /* of the image */
    size_t count;
    struct range ranges[];
};

/* What looks at another's stack, or runs on it, minds no marks that sanitizers left there. */
#define UNCHECKED __attribute__((no_sanitize("address")))

/* Reading the image */

struct image {
    const uint8_t *data;
    size_t len;
    const Elf64_Shdr *text, *symbols, *names;
};

static const Elf64_Shdr *section_at(const struct image *i, size_t number)
{
    const Elf64_Ehdr *e = (const void *)i->data;
    if (number >= e->e_shnum)
        return NULL;
    const Elf64_Shdr *s = (const void *)(i->data + e->e_shoff + number * sizeof *s);
    return s->sh_offset <= i->len && s->sh_size <= i->len - s->sh_offset ? s : NULL;
}

static bool find_sections(struct image *i)
{
    const Elf64_Ehdr *e = (const void *)i->data;
    if (i->len < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_shoff > i->len ||
        e->e_shoff % _Alignof(Elf64_Shdr) || e->e_shentsize != sizeof(Elf64_Shdr) ||
        (size_t)e->e_shnum * sizeof(Elf64_Shdr) > i->len - e->e_shoff)
        return false;
    for (size_t n = 0; n < e->e_shnum; n++) {
        const Elf64_Shdr *s = section_at(i, n);
        if (s && s->sh_type == SHT_SYMTAB && s->sh_offset % _Alignof(Elf64_Sym) == 0) {
            i->symbols = s;
            i->names = section_at(i, s->sh_link);
        } else if (s && s->sh_type == SHT_PROGBITS && s->sh_flags & SHF_EXECINSTR) {
            i->text = s;
        }
    }
    return i->text && i->symbols && i->names;
}

/* "wasm[0]::function[7]" and the like; trampolines have other names. */
static bool is_function(const struct image *i, const Elf64_Sym *s)
{
    char name[SYMBOL_MAX];
    if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_name >= i->names->sh_size ||
        s->st_value > i->text->sh_size || s->st_size > i->text->sh_size - s->st_value)
        return false;
    size_t left = i->names->sh_size - s->st_name;
    size_t n = left < sizeof name - 1 ? left : sizeof name - 1;
    memcpy(name, i->data + i->names->sh_offset + s->st_name, n);
    name[n] = 0;
    return str_after(name, "wasm[") && strstr(name, "]::function[");
}

static int by_start(const void *a, const void *b)
{
    uint32_t x = ((const struct range *)a)->start, y = ((const struct range *)b)->start;
    return (x > y) - (x < y);
}

static struct interrupt_code *read_functions(const struct image *i)
{
    size_t symbols = i->symbols->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *s = (const void *)(i->data + i->symbols->sh_offset);
    struct interrupt_code *c = malloc(sizeof *c + symbols * sizeof c->ranges[0]);
    if (!c)
        return NULL;
    *c = (struct interrupt_code){.image = (uintptr_t)i->data, .len = i->len};
    for (size_t n = 0; n < symbols; n++) {
        uint64_t start = i->text->sh_offset + s[n].st_value;
        if (s[n].st_size && is_function(i, &s[n]) && start + s[n].st_size <= UINT32_MAX)
            c->ranges[c->count++] =
                (struct range){(uint32_t)start, (uint32_t)(start + s[n].st_size)};
    }
    qsort(c->ranges, c->count, sizeof c->ranges[0], by_start);
    return c;
}

/* A function with a frame begins by comparing the stack pointer with its limit, and jumps to a ud2 of its own where it is
 * beyond: an instruction that Wasmtime surely knows as a trap. 0: this one does not. */
static uint32_t trap_of(const struct image *i, const struct range *r)
{
    static const uint8_t compare[] = {0x4c, 0x3b, 0xd4, 0x0f, 0x87}; /* cmp r10, rsp; ja */
    static const uint8_t ud2[] = {0x0f, 0x0b};
    enum { PROLOGUE = 64 };
    for (uint32_t at = r->start; at < r->start + PROLOGUE; at++) {
        int32_t distance;
        uint32_t next = at + sizeof compare + sizeof distance;
        if (next > r->end)
            break;
        if (memcmp(i->data + at, compare, sizeof compare) != 0)
            continue;
        memcpy(&distance, i->data + at + sizeof compare, sizeof distance);
        int64_t target = (int64_t)next + distance;
        if (target >= next && target <= (int64_t)(r->end - sizeof ud2) &&
            memcmp(i->data + target, ud2, sizeof ud2) == 0)
            return (uint32_t)target;
    }
    return 0;
}

struct interrupt_code *interrupt_code_new(const struct wasmtime_module *m)
{
    void *start, *end;
    wasmtime_module_image_range(m, &start, &end);
    struct image i = {.data = start, .len = (size_t)((uint8_t *)end - (uint8_t *)start)};
    if (!find_sections(&i))
        return NULL;
    struct interrupt_code *c = read_functions(&i);
    uint32_t trap = 0;
    for (size_t n = 0; c && !trap && n < c->count; n++)
        trap = trap_of(&i, &c->ranges[n]);
    if (!trap) {
        free(c);
        return NULL;
    }
    c->trap = c->image + trap;
    return c;
}

void interrupt_code_free(struct interrupt_code *c)
{
    free(c);
}

/* The handler; and what it calls: nothing but futex(2) */

static _Thread_local struct interrupt_target *running;

static bool in_function(const struct interrupt_code *c, uintptr_t pc)
{
    size_t low = 0, high = c->count;
    if (pc < c->image || pc - c->image > UINT32_MAX)
        return false;
    uint32_t at = (uint32_t)(pc - c->image);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at < c->ranges[middle].start)
            high = middle;
        else if (at >= c->ranges[middle].end)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

/* Whether a call lies before this address in a function, of which it is the return address. Only indirect calls, and direct ones
 * of what is no function, can lead out of the module. */
UNCHECKED static bool is_return(const struct interrupt_code *c, uintptr_t address)
{
    int32_t distance;
    const uint8_t *p = (const uint8_t *)address;
    if (!in_function(c, address) || !in_function(c, address - 7))
        return false;
    memcpy(&distance, p - sizeof distance, sizeof distance);
    if (p[-5] == 0xe8) /* call rel32 */
        return !in_function(c, address + (uintptr_t)(intptr_t)distance);
    /* call r/m64: ff /2, in a register, at it, with 8 and 32 bits of displacement */
    return (p[-2] == 0xff && (p[-1] & 0x38) == 0x10) || (p[-3] == 0xff && (p[-2] & 0xf8) == 0x50) ||
           (p[-6] == 0xff && (p[-5] & 0xf8) == 0x90);
}

/* The bounds of the section of the next two, which the linker gives. */
extern const char __start_interrupt_text[], __stop_interrupt_text[];

/* Where returns go that are changed: keeps all registers, and goes on where interrupt_returned() says. */
__attribute__((visibility("hidden"))) void interrupt_return(void);
__asm__(".pushsection interrupt_text, \"ax\", @progbits\n"
        ".globl interrupt_return\n"
        ".hidden interrupt_return\n"
        ".type interrupt_return, @function\n"
        "interrupt_return:\n"
        "    lea -8(%rsp), %rsp\n" /* where the return address was */
        "    push %rax\n push %rcx\n push %rdx\n push %rbx\n push %rbp\n push %rsi\n push %rdi\n"
        "    push %r8\n push %r9\n push %r10\n push %r11\n push %r12\n push %r13\n push %r14\n "
        "push %r15\n"
        "    mov %rsp, %rbp\n"
        "    sub $256, %rsp\n"
        "    and $-16, %rsp\n"
        "    movaps %xmm0, (%rsp)\n movaps %xmm1, 16(%rsp)\n movaps %xmm2, 32(%rsp)\n"
        "    movaps %xmm3, 48(%rsp)\n movaps %xmm4, 64(%rsp)\n movaps %xmm5, 80(%rsp)\n"
        "    movaps %xmm6, 96(%rsp)\n movaps %xmm7, 112(%rsp)\n movaps %xmm8, 128(%rsp)\n"
        "    movaps %xmm9, 144(%rsp)\n movaps %xmm10, 160(%rsp)\n movaps %xmm11, 176(%rsp)\n"
        "    movaps %xmm12, 192(%rsp)\n movaps %xmm13, 208(%rsp)\n movaps %xmm14, 224(%rsp)\n"
        "    movaps %xmm15, 240(%rsp)\n"
        "    lea 120(%rbp), %rdi\n"
        "    mov 80(%rbp), %rsi\n" /* as it was */
        "    call interrupt_returned\n"
        "    mov %rax, 120(%rbp)\n"
        "    movaps (%rsp), %xmm0\n movaps 16(%rsp), %xmm1\n movaps 32(%rsp), %xmm2\n"
        "    movaps 48(%rsp), %xmm3\n movaps 64(%rsp), %xmm4\n movaps 80(%rsp), %xmm5\n"
        "    movaps 96(%rsp), %xmm6\n movaps 112(%rsp), %xmm7\n movaps 128(%rsp), %xmm8\n"
        "    movaps 144(%rsp), %xmm9\n movaps 160(%rsp), %xmm10\n movaps 176(%rsp), %xmm11\n"
        "    movaps 192(%rsp), %xmm12\n movaps 208(%rsp), %xmm13\n movaps 224(%rsp), %xmm14\n"
        "    movaps 240(%rsp), %xmm15\n"
        "    mov %rbp, %rsp\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %r11\n pop %r10\n pop %r9\n pop %r8\n"
        "    pop %rdi\n pop %rsi\n pop %rbp\n pop %rbx\n pop %rdx\n pop %rcx\n pop %rax\n"
        "    ret\n"
        ".size interrupt_return, . - interrupt_return\n"
        ".popsection\n");

/* Those that are still there. */
UNCHECKED static void forget_gone(struct interrupt_returns *r, const uintptr_t *stack_pointer)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < r->count; i++)
        if (r->list[i].at >= stack_pointer && *r->list[i].at == (uintptr_t)interrupt_return)
            r->list[kept++] = r->list[i];
    r->count = kept;
}

/* Changes what may be the return address into the module. Who is called has saved the caller's frame pointer below it, but at its
 * first instruction and at its last one. */
UNCHECKED static void catch_return(struct interrupt_target *t, uintptr_t stack_pointer,
                                   uintptr_t frame_pointer)
{
    struct interrupt_returns *r = t->returns;
    uintptr_t low = (uintptr_t)t->space->stack, top = low + RUNTIME_STACK;
    if (!low || stack_pointer <= low || stack_pointer >= top)
        return;
    uintptr_t *p = (uintptr_t *)(stack_pointer & ~(uintptr_t)7);
    forget_gone(r, p);
    for (; p < (uintptr_t *)top && r->count < ARRAY_SIZE(r->list); p++) {
        uintptr_t frame = p == (uintptr_t *)stack_pointer ? frame_pointer : p[-1];
        if (frame <= (uintptr_t)p || frame >= top || !is_return(t->code, *p))
            continue;
        r->list[r->count].at = p;
        r->list[r->count].frame = frame;
        r->list[r->count++].address = *p;
        *p = (uintptr_t)interrupt_return;
    }
}

static void hold_here(struct interrupt_target *t)
{
    uint32_t hold;
    atomic_store(&t->held, true);
    while ((hold = atomic_load(&t->hold)) && !atomic_load(t->kill))
        syscall(SYS_futex, &t->hold, FUTEX_WAIT_PRIVATE, hold, NULL, NULL, 0);
    atomic_store(&t->held, false);
}

/* A changed return to the function of this frame: its address was at, or as far below as the callee took arguments off. */
__attribute__((used)) uintptr_t interrupt_returned(uintptr_t *at, uintptr_t frame);
__attribute__((section("interrupt_text"))) UNCHECKED uintptr_t interrupt_returned(uintptr_t *at,
                                                                                  uintptr_t frame)
{
    struct interrupt_target *t = running;
    struct interrupt_returns *r = t->returns;
    uintptr_t address = 0, *found = NULL;
    t->returning = true;
    atomic_signal_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < r->count; i++) {
        if (r->list[i].at > at) {
            if (*r->list[i].at == (uintptr_t)interrupt_return)
                *r->list[i].at = r->list[i].address;
        } else if (r->list[i].frame == frame && (!found || r->list[i].at > found)) {
            found = r->list[i].at;
            address = r->list[i].address;
        }
    }
    if (!found)
        abort(); /* the stack is not what it was */
    r->count = 0;
    hold_here(t);
    if (atomic_load(t->kill))
        address = t->code->trap;
    atomic_signal_fence(memory_order_seq_cst);
    t->returning = false;
    return address;
}

/* The routine above runs: it looks for itself, and what is on its stack is not to be changed. */
static bool is_returning(const struct interrupt_target *t, uintptr_t pc)
{
    return t->returning ||
           (pc >= (uintptr_t)__start_interrupt_text && pc < (uintptr_t)__stop_interrupt_text);
}

static void look(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    struct interrupt_target *t = running;
    ucontext_t *u = context;
    int saved = errno;
    if (t && in_function(t->code, (uintptr_t)u->uc_mcontext.gregs[REG_RIP])) {
        hold_here(t);
        if (atomic_load(t->kill))
            u->uc_mcontext.gregs[REG_RIP] = (greg_t)t->code->trap;
    } else if (t && !is_returning(t, (uintptr_t)u->uc_mcontext.gregs[REG_RIP]) &&
               (atomic_load(&t->hold) || atomic_load(t->kill))) {
        catch_return(t, (uintptr_t)u->uc_mcontext.gregs[REG_RSP],
                     (uintptr_t)u->uc_mcontext.gregs[REG_RBP]);
    }
    errno = saved;
}

static int interrupt_signal(void)
{
    return SIGURG; /* what nobody else uses, and is harmless where it comes unasked */
}

bool interrupt_init(void)
{
    /* on the stack that Wasmtime gives threads for its own handlers: the guest's may be nearly used up */
    struct sigaction a = {.sa_sigaction = look, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigfillset(&a.sa_mask);
    return sigaction(interrupt_signal(), &a, NULL) == 0;
}

void interrupt_begin(struct interrupt_target *t)
{
    running = t;
    atomic_signal_fence(memory_order_seq_cst);
}

void interrupt_end(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    running = NULL;
}

void interrupt_send(pid_t thread)
{
    syscall(SYS_tgkill, getpid(), thread, interrupt_signal());
}

void interrupt_release(struct interrupt_target *t)
{
    atomic_store(&t->hold, 0);
    syscall(SYS_futex, &t->hold, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
