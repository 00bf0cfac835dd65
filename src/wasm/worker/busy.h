/* SPDX-License-Identifier: Apache-2.0 */
/* How many busy guests there may be: each takes some of the process's mappings and 4 GiB of its addresses, of which dense guests need the
 * rest. Any thread. */
#pragma once

#include <stdbool.h>

/* Reads the kernel's limit. Before the process gives up the file system. */
void busy_init(void);
/* Counts one more; false where there are busy_most() already. */
bool busy_take(void);
void busy_give(void);
unsigned busy_most(void);
