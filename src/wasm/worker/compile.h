/* SPDX-License-Identifier: Apache-2.0 */
/* The agreement with the process that compiles: the module on its input, the compiled file on its output, what is wrong on its
 * error output, and this exit status where the module is not valid. */
#pragma once

enum { COMPILE_INVALID = 65 };
