/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's annotations and resources say about how it runs. */
#pragma once

#include <stdint.h>

#include "wasm/profile.h"

struct error;
struct oci_spec;

#define ANNOTATION_PROFILE "warren.wasm/profile"

/* The annotation's word. Without one, busy where the container asks for a whole CPU (shares of 1024 or more, or a quota of its period or
 * more) or its module begins with BUSY_MEMORY bytes; else dense. -EINVAL names the annotation. */
int choose_profile(const struct oci_spec *spec, uint64_t memory, enum wasm_profile *ret,
                   struct error *err);

#define BUSY_MEMORY (UINT64_C(16) << 20)
