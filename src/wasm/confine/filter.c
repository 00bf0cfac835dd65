/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/confine/filter.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "linux/sys.h"
#include "wasm/confine/steps.h"
#include "wasm_filters.h"

/* linux/seccomp.h and linux/bpf_common.h */
enum { FLAG_TSYNC = 1, RETURN = 0x06, JUMP_IF_EQUAL = 0x15 };
#define KILL_PROCESS UINT32_C(0x80000000)
#define TRAP         UINT32_C(0x00030000)
#define ERRNO        UINT32_C(0x00050000)

static const struct {
    const struct filter_instruction *program;
    size_t count;
} filters[] = {
    [FILTER_WORKER] = {worker_filter, ARRAY_SIZE(worker_filter)},
    [FILTER_FILES] = {files_filter, ARRAY_SIZE(files_filter)},
    [FILTER_COMPILER] = {compiler_filter, ARRAY_SIZE(compiler_filter)},
};

/* Async-signal-safe. */
static void name_call(int signal, siginfo_t *info, void *context)
{
    static const char text[] = "this process made the system call ";
    char line[sizeof text + 32], digits[16];
    size_t n = sizeof text - 1, d = 0;
    (void)signal;
    (void)context;
    memcpy(line, text, n);
    for (unsigned v = (unsigned)info->si_syscall; d == 0 || v; v /= 10)
        digits[d++] = (char)('0' + v % 10);
    while (d)
        line[n++] = digits[--d];
    memcpy(line + n, ", which it may not\n", 19);
    n += 19;
    if (write(STDERR_FILENO, line, n) < 0)
        _exit(128 + SIGSYS);
    _exit(128 + SIGSYS);
}

static uint32_t otherwise(bool debug)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)debug;
    return ERRNO | EPERM;
#else
    return debug ? TRAP : KILL_PROCESS;
#endif
}

int step_filter(enum filter f, bool debug)
{
    size_t count = filters[f].count;
    auto(buffer) struct buffer copy = {0};
    if (buffer_append(&copy, filters[f].program, count * sizeof *filters[f].program) < 0)
        return -ENOMEM;
    struct filter_instruction *program = (struct filter_instruction *)(void *)copy.data;
    for (size_t i = 0; i < count; i++) {
        if (program[i].code == RETURN && program[i].value == KILL_PROCESS)
            program[i].value = otherwise(debug);
        if (program[i].code == JUMP_IF_EQUAL && program[i].value == FILTER_OWN_PID)
            program[i].value = (uint32_t)getpid();
    }
    if (debug) {
        struct sigaction action = {.sa_sigaction = name_call, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &action, NULL);
    }
    return sys_seccomp_filter(FLAG_TSYNC, program, (unsigned short)count) < 0 ? -errno : 0;
}
