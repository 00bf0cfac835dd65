/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with what its header wants before it. Test names are
 * sentences about what a user of the room sees. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail /* base/error.h has its own */
