/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/arena.h"

struct oci_seccomp;

/* The built-in profile: docker's effect for a process with these capabilities. In a. */
struct oci_seccomp *seccomp_default_profile(uint64_t capabilities, struct arena *a);
