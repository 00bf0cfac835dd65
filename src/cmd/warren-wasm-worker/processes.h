/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that this program becomes, each confined before it reads what is not ours. What is returned is the exit status. */
#pragma once

#include "wasm/profile.h"

struct confine;
struct files_options;
struct worker_options;

/* Compiles the module on descriptor 0 to descriptor 1, in a child, and ends as that does. */
int compile_apart(const struct confine *confine, enum wasm_profile profile);

/* Starts the files process, which starts the worker, and returns; in these two when they end. name: argv[0], which is written to. */
int hold_apart(struct worker_options *worker, struct files_options *files,
               const struct confine *confine, char *name);
