/* SPDX-License-Identifier: Apache-2.0 */
/* Time, in nanoseconds. */
#pragma once

#include <stdint.h>

#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)

/* CLOCK_REALTIME and CLOCK_MONOTONIC. */
int64_t clock_wall_ns(void);
int64_t clock_mono_ns(void);

/* For simulations: from now on both clocks say what now() says; NULL: the kernel's again. */
void clock_replace(int64_t (*now)(void));

enum { CLOCK_TEXT_MAX = 40 };
/* RFC 3339 with nine digits after the second, in UTC ("2026-01-02T03:04:05.000000001Z"); returns
 * text. */
char *clock_format(int64_t wall_ns, char text[CLOCK_TEXT_MAX]);
