/* SPDX-License-Identifier: Apache-2.0 */
/* What users call images: the grammar and the normalisation of distribution's references. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

struct error;

struct reference {
    char *repository; /* "docker.io/library/busybox" */
    char *tag;        /* NULL where none was written */
    char *digest;     /* "sha256:...", NULL where none was written */
};

void reference_done(struct reference *r);
CLEANUP_DONE(reference, struct reference);

/* -EINVAL with "invalid reference format..." */
int reference_parse(const char *text, struct reference *ret, struct error *err);

/* "sha256:" and 64 lowercase hexadecimal digits. */
bool digest_is_valid(const char *digest);
/* What image ids may be written as: 4 to 64 lowercase hexadecimal digits, with or without
 * "sha256:". NULL where text is none, else its digits. */
const char *reference_id_digits(const char *text);
