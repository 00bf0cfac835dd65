/* SPDX-License-Identifier: Apache-2.0 */
/* The short-lived process that compiles one module; see wasm/compiled.h. Loop's thread. */
#pragma once

#include "wasm/profile.h"

struct error;
struct program;

/* Runs program --compile PROFILE with the module in (from its beginning) as input and out as output. -ENOEXEC where the module is not valid.
 * Parks, COMPILE_S at most. name is for messages. */
int compiler_run(const struct program *program, enum wasm_profile profile, int in, int out,
                 const char *name, struct error *err);
