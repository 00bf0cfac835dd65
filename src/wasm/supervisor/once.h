/* SPDX-License-Identifier: Apache-2.0 */
/* Work on a module that is done once for all who ask for it meanwhile. Loop's thread. */
#pragma once

#include "base/list.h"
#include "wasm/compiled.h"

struct error;

/* Calls fn(arg, err), which may park, and returns its result; who asks for the same key in the same list meanwhile waits and gets
 * that result as well. running: a list of its own for each kind of work, which must outlive the call. */
int once(struct list *running, const struct compiled_key *key,
         int (*fn)(void *arg, struct error *err), void *arg, struct error *err);
