/* SPDX-License-Identifier: Apache-2.0 */
/* A page as its difference to another: what hibernation keeps of stacks and memories, which differ little between the
 * guests of one module. In 64-bit words, each of which is as in the reference, zero, the reference's moved by a distance
 * (a pointer into the area itself), or a literal. Bytes in, bytes out; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DELTA_PAGE = 4096, DELTA_MAX = 8 + 64 + 128 + DELTA_PAGE };

/* Writes what makes page of reference into out; how many bytes, 0 where the two are equal. A reference of NULL is zeros.
 * moved: how far page's area lies from the reference's, 0 where pointers into it do not matter. */
size_t delta_pack(uint8_t out[DELTA_MAX], const uint8_t page[DELTA_PAGE], const uint8_t *reference,
                  uint64_t moved);
/* Writes the whole page; how many bytes of delta were read, of which there must be len; 0 where it is malformed. */
size_t delta_unpack(uint8_t page[DELTA_PAGE], const uint8_t *delta, size_t len,
                    const uint8_t *reference, uint64_t moved);
