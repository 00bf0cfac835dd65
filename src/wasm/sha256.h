/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), so that workers and the supervisor need no libcrypto. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_HEX = 65 };

struct sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, uint8_t digest[SHA256_LEN]);

void sha256_of(const void *data, size_t len, uint8_t digest[SHA256_LEN]);
/* Lower case, with a NUL. */
void sha256_hex(const uint8_t digest[SHA256_LEN], char text[SHA256_HEX]);
