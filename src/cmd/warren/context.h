/* SPDX-License-Identifier: Apache-2.0 */
/* A build's context as a tar, written by a thread while the client reads it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct error;
struct context;

/* dir: the context's directory; "-": standard input, a tar or a Dockerfile. dockerfile: as the user wrote it; NULL: the
 * context's own. */
int context_open(const char *dir, const char *dockerfile, struct context **ret, struct error *err);
/* What the Dockerfile is called in the tar. The context's. */
const char *context_dockerfile(const struct context *c);
/* The next bytes; 0 at the end; -1 where the tar could not be written, which context_close() tells. */
ssize_t context_read(void *context, void *data, size_t size);
/* Bytes read so far. */
unsigned long long context_sent(const struct context *c);
/* Ends the thread. Returns what went wrong, 0 where nothing did. */
int context_close(struct context *c, struct error *err);
