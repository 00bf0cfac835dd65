/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about holders share; supervisor.h has what others use. */
#pragma once

#include "wasm/supervisor/supervisor.h"

/* Among the sandboxer's; NULL where memory is out. */
struct holder *holder_new(struct wasm *w, const char *key, const char *name);
/* Not while it is used (holder.users): the last use frees a dead one. */
void holder_free(struct holder *h);
/* The worker is gone, and so are its names: what it held has ended. arg is the holder; once. */
void holder_died(void *arg);
/* It has no pods: it ends where it gets none for a while. */
void holder_idle(struct holder *h);
/* Of libuv's handles that were malloced. */
void holder_handle_closed(uv_handle_t *h);

/* The name of the socket of its files process, malloced. */
char *holder_files_name(const struct holder *h);
/* Which tenant it is for is in a file: what the worker would say is not believed. */
int holder_keep_key(const struct holder *h, struct error *err);
int holder_recall_key(struct holder *h, struct error *err);

/* [parks] Starts its worker, connects, and greets. */
int holder_start(struct wasm *w, struct holder *h, struct error *err);
int holder_connect(struct holder *h, struct error *err);
/* [parks] The worker tells what it holds, then answers. -EPROTO: it is of another version, or tells too much. */
int holder_say_hello(struct holder *h, struct error *err);
/* A frame that its worker sent by itself; arg is the holder. */
void holder_told(void *arg, struct wire_reader *r);
