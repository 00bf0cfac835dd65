/* SPDX-License-Identifier: Apache-2.0 */
/* How a guest's memory is made and reached. Dense: it costs what it touches and nothing of the kernel's; each access is
 * compared with its size. Busy: 4 GiB of addresses with guard pages for each, and no comparison: for guests that compute. A module is compiled
 * for one of them. */
#pragma once

#include <stdbool.h>
#include <string.h>

enum wasm_profile { WASM_DENSE, WASM_BUSY };
enum { WASM_PROFILES = 2 };

static inline const char *wasm_profile_name(enum wasm_profile p)
{
    return p == WASM_BUSY ? "busy" : "dense";
}

static inline bool wasm_profile_parse(const char *name, enum wasm_profile *ret)
{
    *ret = strcmp(name, "busy") == 0 ? WASM_BUSY : WASM_DENSE;
    return strcmp(name, wasm_profile_name(*ret)) == 0;
}
