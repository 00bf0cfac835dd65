/* SPDX-License-Identifier: Apache-2.0 */
/* swapcontext makes a system call for the signal mask, which nobody here changes: it only puts a new fiber onto its stack,
 * and every switch after that is a longjmp (as QEMU's coroutines have it). */
#undef _FORTIFY_SOURCE /* its longjmp takes a jump to another stack for an error */
#include "loop/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "loop/loop.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* clang's way of saying it, in gcc's words */
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SWITCH_START(save, to, size)  __sanitizer_start_switch_fiber(save, to, size)
#define SWITCH_DONE(save, from, size) __sanitizer_finish_switch_fiber(save, from, size)
#define STACK_CLEAN(stack, size)      __asan_unpoison_memory_region(stack, size)
#else
#define SWITCH_START(save, to, size)  ((void)0)
#define SWITCH_DONE(save, from, size) ((void)0)
#define STACK_CLEAN(stack, size)      ((void)0)
#endif

enum { GUARD = 4096 };

/* On the fiber's stack for good: one function after the other. */
static void enter(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | low);
    SWITCH_DONE(NULL, &f->host->stack, &f->host->stack_size);
    for (;;) {
        f->fn(f->arg);
        f->finished = true;
        fiber_leave(f);
    }
}

static _Noreturn void begin(struct fiber *f)
{
    ucontext_t *c = &f->host->first;
    f->begun = true;
    if (getcontext(c) < 0)
        abort();
    c->uc_stack.ss_sp = f->stack + GUARD;
    c->uc_stack.ss_size = CO_STACK;
    c->uc_link = NULL;
    makecontext(c, (void (*)(void))enter, 2, (unsigned)((uintptr_t)f >> 32),
                (unsigned)(uintptr_t)f);
    setcontext(c);
    abort();
}

void fiber_init(struct fiber *f, struct fiber_host *host)
{
    *f = (struct fiber){.host = host};
    f->stack = mmap(NULL, CO_STACK + GUARD, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (f->stack == MAP_FAILED || mprotect(f->stack, GUARD, PROT_NONE) < 0)
        abort();
}

void fiber_done(struct fiber *f)
{
    STACK_CLEAN(f->stack, CO_STACK + GUARD);
    munmap(f->stack, CO_STACK + GUARD);
}

void fiber_leave(struct fiber *f)
{
    struct fiber_host *h = f->host;
    SWITCH_START(&f->fake_stack, h->stack, h->stack_size);
    if (!_setjmp(f->place))
        _longjmp(h->place, 1);
    SWITCH_DONE(f->fake_stack, &h->stack, &h->stack_size);
}

void fiber_set(struct fiber *f, void (*fn)(void *arg), void *arg)
{
    f->fn = fn;
    f->arg = arg;
    f->finished = false;
}

void fiber_resume(struct fiber *f)
{
    struct fiber_host *h = f->host;
    SWITCH_START(&h->fake_stack, f->stack + GUARD, CO_STACK);
    if (!_setjmp(h->place)) {
        if (!f->begun)
            begin(f);
        _longjmp(f->place, 1);
    }
    SWITCH_DONE(h->fake_stack, NULL, NULL);
}
