/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t (*replaced)(void);

void clock_replace(int64_t (*now)(void))
{
    replaced = now;
}

static int64_t read_clock(clockid_t clock)
{
    if (replaced)
        return replaced();
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

char *clock_format(int64_t wall_ns, char text[CLOCK_TEXT_MAX])
{
    time_t seconds = wall_ns / NSEC_PER_SEC;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, CLOCK_TEXT_MAX - n, ".%09dZ", (int)(wall_ns % NSEC_PER_SEC));
    return text;
}
