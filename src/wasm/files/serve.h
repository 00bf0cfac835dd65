/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the worker. Threads; who runs it may block on a disk. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

/* The answer to the packet, which fd came with (the caller's; -1 for none) and *ret_fd goes with (-1 for none, the caller's to close). Never fails: what is wrong is in it. */
void serve_request(const void *packet, size_t len, int fd, struct buffer *answer, int *ret_fd);
