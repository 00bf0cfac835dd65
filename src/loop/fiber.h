/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of its own to run a function on, and the switch to and from it: what is below a coroutine, in the loop and in the
 * simulation. ASan is told of the switches. */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

/* Who resumes fibers; one a thread. */
struct fiber_host {
    jmp_buf place; /* where fiber_resume() is */
    ucontext_t
        first; /* puts a new fiber onto its stack; here, since that function's frame is never left */
    void *fake_stack;
    const void *stack;
    size_t stack_size;
};

struct fiber {
    jmp_buf place; /* where it left */
    struct fiber_host *host;
    void (*fn)(void *arg);
    void *arg;
    char *stack;
    void *fake_stack;
    bool begun;    /* it is on its stack */
    bool finished; /* fn has returned */
};

/* Maps the stack; ends the process where there is no memory. */
void fiber_init(struct fiber *f, struct fiber_host *host);
/* Also of one whose function has not returned: its frames are simply gone. */
void fiber_done(struct fiber *f);
/* The next resume begins fn(arg). */
void fiber_set(struct fiber *f, void (*fn)(void *arg), void *arg);
/* Runs it until it leaves or its function returns. */
void fiber_resume(struct fiber *f);
/* From inside: back to who resumed it. */
void fiber_leave(struct fiber *f);
