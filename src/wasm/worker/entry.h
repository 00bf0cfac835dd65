/* SPDX-License-Identifier: Apache-2.0 */
/* What of a module can be called: functions that it exports, of no parameters and no results. */
#pragma once

#include <stdbool.h>

struct error;
struct wasmtime_module;

bool entry_is_there(const struct wasmtime_module *m, const char *name);
/* -ENOENT with those that there are. */
int entry_check(const struct wasmtime_module *m, const char *name, struct error *err);
