/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target's input, taken from its front. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static struct {
    const uint8_t *at;
    size_t left;
} in;

/* A number of n bytes, 8 at most; what is missing at the end is 0. */
static inline uint64_t take(size_t n)
{
    uint64_t v = 0;
    n = n < in.left ? n : in.left;
    memcpy(&v, in.at, n);
    in.at += n;
    in.left -= n;
    return v;
}
