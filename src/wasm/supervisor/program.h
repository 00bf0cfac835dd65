/* SPDX-License-Identifier: Apache-2.0 */
/* How warren-wasm-worker is started: what it is told about its confinement, and an environment without ours. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct program {
    const char *path;
    char uids[16]; /* the first of the range that its processes' uids are of; "0" for ours */
    bool required, debug;
};

enum { PROGRAM_ARGS = 4 };
/* Puts them at args, PROGRAM_ARGS at most, and returns where the next goes; they point into p. */
char **program_add_args(const struct program *p, char **args);
/* Nothing of ours but what sanitizers read. Good until the environment changes. */
char **program_environment(void);
