/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping compiled code that does not check an epoch: modules of the busy profile.
 *
 * A thread that runs such a guest is sent a signal. Where its handler finds the thread in a function of the module, it makes the
 * guest wait there, for as long as that is asked for, or sets it down on an instruction of the module which traps: Wasmtime
 * then ends the call as by any trap. In a function nothing is held and the chain of frame pointers is whole, so both are safe at
 * any instruction. Elsewhere (a host function, a bulk memory operation, a trampoline) it sees to it that the same happens when that
 * returns to the module: the return address is found on the stack, by the call before it and the caller's frame pointer below it, and
 * changed to a routine of ours. What is found there beside it are remains of earlier calls, and to change those changes nothing.
 * A callee takes its arguments off the stack when it returns: the routine knows by the frame pointer which of the addresses was its
 * own. Who wants the guest to stop sends again until it has.
 *
 * It relies on what Wasmtime keeps to itself: that a compiled module is an ELF file whose symbols tell functions from
 * trampolines, and how a function begins. interrupt_works() tries it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct runtime_space;
struct wasmtime_module;
struct interrupt_code; /* where a module's functions are, and where one traps */

/* NULL where the module has no place to trap, or memory is out. */
struct interrupt_code *interrupt_code_new(const struct wasmtime_module *m);
void interrupt_code_free(struct interrupt_code *c); /* NULL is allowed */

/* A guest's changed return addresses: they may outlive a turn, since what is called may park. */
struct interrupt_returns {
    unsigned count;
    struct {
        uintptr_t *at, address;
        uintptr_t frame; /* the caller's frame pointer */
    } list[32];
};

/* A guest on a thread. */
struct interrupt_target {
    const struct interrupt_code *code;
    const struct runtime_space *space; /* its stack */
    struct interrupt_returns *returns;
    const _Atomic uint8_t *kill; /* not 0: it is to trap */
    _Atomic uint32_t hold;       /* not 0: it is to stay where it is */
    _Atomic bool held;           /* it does */
    volatile bool returning;     /* the thread's own, and its handler's */
};

/* What this thread runs from here to interrupt_end() is t's. */
void interrupt_begin(struct interrupt_target *t);
void interrupt_end(void);
/* Tells the thread to look at its target. Any thread. */
void interrupt_send(pid_t thread);
/* Ends a hold. Any thread. */
void interrupt_release(struct interrupt_target *t);

/* Whether it works with this Wasmtime: tried once, by holding and stopping an endless loop. Some ms; before any target is begun. Control
 * thread. */
bool interrupt_works(void);

/* The handler; interrupt_works() calls it. */
bool interrupt_init(void);
