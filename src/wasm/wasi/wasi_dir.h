/* SPDX-License-Identifier: Apache-2.0 */
/* Listing directories, piece by piece. */
#pragma once

#include "wasm/wasi/wasi.h"

struct wasi_listing;
/* NULL is allowed. */
void wasi_listing_free(struct wasi_listing *l);

wasi_function wasi_fd_readdir;
