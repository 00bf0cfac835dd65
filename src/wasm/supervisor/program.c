/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/program.h"

#include <stddef.h>
#include <unistd.h>

#include "base/base.h"

char **program_add_args(const struct program *p, char **args)
{
    *args++ = (char *)(uintptr_t) "--uids";
    *args++ = (char *)(uintptr_t)p->uids;
    if (p->required)
        *args++ = (char *)(uintptr_t) "--isolation-required";
    if (p->debug)
        *args++ = (char *)(uintptr_t) "--debug";
    return args;
}

char **program_environment(void)
{
    static const char *const kept[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    static char *environment[ARRAY_SIZE(kept) + 1];
    size_t n = 0;
    for (char **e = environ; e && *e; e++)
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
            if (str_after(*e, kept[i]) && n < ARRAY_SIZE(kept))
                environment[n++] = *e;
    environment[n] = NULL;
    return environment;
}
