/* SPDX-License-Identifier: Apache-2.0 */
/* sha256, as registries write it. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

enum { DIGEST_TEXT = 72 }; /* "sha256:", 64 digits, NUL */

struct digester {
    void *context;
};

/* 0 or -ENOMEM. */
int digester_init(struct digester *d);
void digester_done(struct digester *d);
CLEANUP_DONE(digester, struct digester);
void digester_update(struct digester *d, const void *data, size_t len);
/* Once, at the end. */
void digester_text(struct digester *d, char text[DIGEST_TEXT]);

void digest_of(const void *data, size_t len, char text[DIGEST_TEXT]);
/* image-spec config.md, "Layer ChainID": parent is NULL for the lowest layer. */
void digest_chain(const char *parent, const char *diff_id, char text[DIGEST_TEXT]);
