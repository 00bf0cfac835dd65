/* SPDX-License-Identifier: Apache-2.0 */
/* How many busy guests there may be: each takes a thread while it computes, some of the process's mappings and 4 GiB of its addresses,
 * of which dense guests need the rest. */
#pragma once

#include <stdbool.h>

/* Reads the kernel's limit. Before the process gives up the file system. */
void busy_init(void);
/* Counts one more; false where there are busy_most() already, or compiled code cannot be interrupted (the first call tries it, which
 * takes some ms). Control thread. */
bool busy_take(void);
void busy_give(void); /* any thread */
unsigned busy_most(void);
