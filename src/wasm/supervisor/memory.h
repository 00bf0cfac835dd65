/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a module begins with, read from its sections without a compiler. */
#pragma once

#include <stdint.h>

/* Bytes of the first memory that the module open at fd defines; 0 where there is none, or the file is not as it
 * should be (who compiles it says so). */
uint64_t module_memory(int fd);
