/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the memory of ended guests back on a thread of its own: the kernel needs 60 ms for a GiB that was used, and nobody should learn of
 * an end so much later, or wait meanwhile. */
#pragma once

#include <stdbool.h>

struct error;
struct wasmtime_store;

/* As many bytes of linear memory are worth it. */
enum { REAP_LEAST = 1 << 20 };

int reap_init(struct error *err);
/* Deletes store, in which nothing is suspended. busy: it counts among the busy ones until then. Any thread. */
void reap(struct wasmtime_store *store, bool busy);
