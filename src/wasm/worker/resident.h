/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

struct guest;

/* Bytes of memory that the guest's linear memory takes just now: its resident pages, or what hibernation keeps of it. Beside a turn that
 * makes it grow, a number of a moment ago. Control thread. */
uint64_t guest_resident(struct guest *g);
