/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of a keeper: starting it, finding it again, asking it, hearing from it. One socket and one libuv handle a pod. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "namespace/wire.h"

struct error;
struct holder;

struct holder_observer { /* called on the loop, outside of coroutines */
    void (*exited)(void *arg, const char *id, const char *exec_id, uint32_t status,
                   int64_t exited_ns, bool oom_killed, const char *message);
    void (*process)(void *arg, const struct wire_process *p); /* of WIRE_LIST */
    /* The keeper has ended (or lost its mind: then it is killed). The holder is freed after this. */
    void (*gone)(void *arg);
};

/* dir: a descriptor of DIR; program: the keeper's, as a descriptor; id is the pod's. Does not wait for anything but the exec. */
int holder_spawn(int dir, int program, const char *id, const struct holder_observer *observer,
                 void *arg, struct holder **ret, struct error *err);
/* -ECONNREFUSED where the keeper of that socket has ended. */
int holder_connect(int dir, const char *name, const struct holder_observer *observer, void *arg,
                   struct holder **ret, struct error *err);
/* Forgets the keeper, which goes on. NULL is allowed. Who waits in holder_call gets -ENOTCONN. */
void holder_free(struct holder *h);
/* 0 of one that was connected to, until WIRE_LIST has told (SO_PEERCRED says who called listen(), an earlier sandboxer). */
pid_t holder_pid(const struct holder *h);
void holder_set_pid(struct holder *h, pid_t pid);
/* Who is told from now on. */
void holder_observe(struct holder *h, const struct holder_observer *observer, void *arg);

/* [parks] Asks and returns the keeper's answer: payload after code and message is appended to ret (NULL: of no interest). */
int holder_call(struct holder *h, enum wire_type type, const struct buffer *payload,
                struct buffer *ret, struct error *err);

/* The socket's name in DIR, malloced: short, and from it the id can be had again. -ENAMETOOLONG where neither 64 hexadecimal
 * digits nor at most 44 characters. */
int holder_name(const char *id, char **ret, struct error *err);
/* The id, malloced; NULL where name is no keeper's. */
char *holder_id(const char *name);
