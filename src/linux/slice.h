/* SPDX-License-Identifier: Apache-2.0 */
/* How soon a thread runs after it has woken. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Asks for turns of ns of the CPU (0.1 to 100 ms) for a thread, 0: this one: the shorter its turns, the sooner a thread that wakes is
 * preferred to those that compute. Its share stays the same. Linux 6.12 has it (sched_setattr(2): sched_runtime of SCHED_OTHER);
 * others ignore it, and so does this where it is refused. */
void linux_set_slice(pid_t thread, uint64_t ns);
