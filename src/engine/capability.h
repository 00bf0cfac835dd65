/* SPDX-License-Identifier: Apache-2.0 */
/* The capabilities of a container: docker's default, with what CRI adds and drops. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct error;

/* add and drop as CRI has them: "NET_ADMIN" or "CAP_NET_ADMIN" in any case, "ALL". *ret:
 * NULL-terminated, in the arena. -EINVAL names an unknown one. */
int capability_list(struct arena *a, bool privileged, char *const *add, size_t n_add,
                    char *const *drop, size_t n_drop, char ***ret, struct error *err);
