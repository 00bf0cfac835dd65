/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in seccomp profile: docker's effect for a process with these capabilities. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"

struct error;
struct oci_seccomp;

/* As the spec would have it, in a. */
struct oci_seccomp *seccomp_default_profile(uint64_t capabilities, struct arena *a);
/* Appends it as struct sock_filter. */
int seccomp_default_program(uint64_t capabilities, struct arena *a, struct buffer *program,
                            struct error *err);
