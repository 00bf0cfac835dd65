/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of JSON that a build or a load answers with. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

struct stream {
    struct buffer line;       /* what has come of the next one */
    bool quiet;               /* texts are kept, not shown */
    char *image_id;           /* of a build; owned */
    char *error;              /* what went wrong, owned; NULL */
    void (*begin)(void *arg); /* called before the first line; may be NULL */
    void *arg;
};

/* A client_call's write; arg is a struct stream. */
int stream_write(void *arg, const void *data, size_t len);
void stream_done(struct stream *s);
CLEANUP_DONE(stream, struct stream);
