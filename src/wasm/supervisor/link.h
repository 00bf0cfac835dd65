/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor's connection to one worker. Loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "loop/loop.h"
#include "wasm/wire.h"

struct error;

struct link_handler {
    /* A frame that is no reply to a call: an exit, or an item before the reply to HELLO. */
    void (*told)(void *arg, struct wire_reader *r);
    /* The worker has ended. Called once; the link is not to be used any more. */
    void (*died)(void *arg);
    void *arg;
};

struct link; /* counted */

/* Takes fd, connected and non-blocking. */
int link_new(struct link **ret, int fd, const struct link_handler *handler, struct error *err);
/* As if the worker had ended. */
void link_cut(struct link *l);
/* Closes it without a call of died. NULL is allowed. */
void link_free(struct link *l);

struct link_reply {
    struct buffer bytes;
    struct wire_reader reader; /* after code and message */
};
void link_reply_done(struct link_reply *r);
CLEANUP_DONE(link_reply, struct link_reply);

/* A tag for the next frame. */
uint32_t link_tag(struct link *l);
/* Sends the frame with this tag and parks until its reply, whose code is returned. reply may be NULL. -ENOTCONN where the worker is
 * gone. */
int link_call(struct link *l, uint32_t tag, const struct buffer *frame, struct link_reply *reply,
              struct error *err);
/* As link_call(); a descriptor that came with the reply is in *ret_fd, else -1. */
int link_call_for_fd(struct link *l, uint32_t tag, const struct buffer *frame,
                     struct link_reply *reply, int *ret_fd, struct error *err);
enum { LINK_FDS_MAX = 8 };
/* As link_call(), with descriptors, which are taken over. */
int link_call_fds(struct link *l, uint32_t tag, const struct buffer *frame, const int *fds,
                  unsigned count, struct link_reply *reply, struct error *err);
/* The same; where the deadline (clock_mono_ns) passes, the worker is taken for ended: -ETIMEDOUT. */
int link_call_until(struct link *l, uint32_t tag, const struct buffer *frame, const int *fds,
                    unsigned count, int64_t deadline_ns, struct link_reply *reply,
                    struct error *err);
/* Sends a request of tag 0, which is not answered, and parks until the kernel has all of it: the worker gets it whatever becomes of
 * us. -ENOTCONN. */
int link_post(struct link *l, const struct buffer *frame, struct error *err);
/* A socket for the worker that does not wake it, for link_post_quietly(). */
int link_make_quiet(struct link *l, int *ret_fd, struct error *err);
/* As link_post(), but a worker that sleeps does so until the next frame: the kernel has it until then. */
int link_post_quietly(struct link *l, const struct buffer *frame, struct error *err);
/* Sends and waits for nothing. */
void link_tell(struct link *l, const struct buffer *frame);
