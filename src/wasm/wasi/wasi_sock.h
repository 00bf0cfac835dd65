/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of guests: those that the engine listens on for them, and what is accepted from these. Non-blocking here; a guest that
 * would block is parked. */
#pragma once

#include "wasm/wasi/wasi.h"

/* Of a worker: what its guests' sockets may take of its descriptors. */
enum { SOCKETS_MAX = 8192 };

/* Takes the listening socket fd over, as the guest's next descriptor. -EMFILE where the worker holds SOCKETS_MAX. */
int wasi_sock_listener(struct wasi *w, int fd, struct error *err);
/* Of a descriptor that is a socket. */
void wasi_sock_close(struct wasi_fd *f);
/* fd_read and fd_write on a socket: a vector at args[1] and [2], the length to args[3]. */
uint32_t wasi_sock_read(struct wasi_call *c, struct wasi_fd *f);
uint32_t wasi_sock_write(struct wasi_call *c, struct wasi_fd *f);
