/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/compiler.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "wasm/compiled.h"
#include "wasm/supervisor/program.h"

enum { COMPILE_S = 300, MESSAGE_MAX = 8192 };

struct compiler {
    uv_process_t process;
    struct co *co;
    bool ended;
    int64_t status;
    int signal;
};

static void compiler_ended(uv_process_t *p, int64_t status, int signal)
{
    struct compiler *c = container_of(p, struct compiler, process);
    c->ended = true;
    c->status = status;
    c->signal = signal;
    if (c->co)
        co_wake(c->co);
}

static void compiler_closed(uv_handle_t *h)
{
    free(container_of((uv_process_t *)h, struct compiler, process));
}

static int spawn(struct compiler *c, const struct program *program, enum wasm_profile profile,
                 const int fds[3], struct error *err)
{
    char *args[4 + PROGRAM_ARGS] = {(char *)(uintptr_t)program->path,
                                    (char *)(uintptr_t) "--compile",
                                    (char *)(uintptr_t)wasm_profile_name(profile)};
    program_add_args(program, args + 3);
    uv_stdio_container_t stdio[3];
    for (int i = 0; i < 3; i++)
        stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fds[i]};
    uv_process_options_t options = {.file = program->path,
                                    .args = args,
                                    .env = program_environment(),
                                    .exit_cb = compiler_ended,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    int r = uv_spawn(loop_uv(), &c->process, &options);
    return r < 0 ? fail(err, r, "start '%s' to compile", program->path) : 0;
}

static int result_of(const struct compiler *c, int messages, const char *name, struct error *err)
{
    if (!c->signal && c->status == 0)
        return 0;
    autofree char *text = calloc(1, MESSAGE_MAX);
    ssize_t n = text ? pread(messages, text, MESSAGE_MAX - 1, 0) : 0;
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = 0;
    if (c->signal)
        return fail_plain(err, EIO, "compile '%s': the compiler was ended by signal %d", name,
                          c->signal);
    return fail_plain(err, c->status == COMPILE_INVALID ? ENOEXEC : EIO, "compile '%s': %s", name,
                      n > 0 ? text : "the compiler failed");
}

int compiler_run(const struct program *program, enum wasm_profile profile, int in, int out,
                 const char *name, struct error *err)
{
    autoclose int messages = memfd_create("warren-compile", MFD_CLOEXEC);
    struct compiler *c = calloc(1, sizeof *c);
    if (messages < 0 || !c || lseek(in, 0, SEEK_SET) < 0) {
        free(c);
        return fail(err, ENOMEM, "compile '%s'", name);
    }
    c->co = co_self();
    int r = spawn(c, program, profile, (const int[3]){in, out, messages}, err);
    int64_t deadline = clock_mono_ns() + COMPILE_S * NSEC_PER_SEC;
    while (!r && !c->ended)
        if (!co_park_until(deadline) && !c->ended) {
            uv_process_kill(&c->process, SIGKILL);
            deadline = INT64_MAX;
        }
    if (!r)
        r = result_of(c, messages, name, err);
    c->co = NULL;
    uv_close((uv_handle_t *)&c->process, compiler_closed);
    return r;
}
