/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities by name. */
#pragma once

enum { CAPABILITY_COUNT = 41 };
/* "CAP_CHOWN", in any case, with or without the prefix. -1 where there is none of that name. */
int capability_find(const char *name);
const char *capability_name(int cap);
