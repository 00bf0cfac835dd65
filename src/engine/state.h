/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to pods and containers: the change in memory, in the store (soon), the event, and
 * who waits is woken. Nothing here parks. */
#pragma once

#include "engine/record.h"

struct ending {
    int exit_code;
    int64_t finished_ns;
    bool oom_killed;
    const char *message; /* NULL or "": none; copied */
};

void engine_emit(struct engine *e, enum engine_event_type type, int64_t at_ns,
                 const struct pod *pod, const struct container *container);

/* Writes the container's state to the store soon. */
void container_save(struct engine *e, const struct container_record *c);
/* [parks] And waits until that is done. */
int container_save_now(struct engine *e, const struct container_record *c, struct error *err);
void container_started(struct engine *e, struct container_record *c, pid_t pid, int64_t started_ns);
/* Kept for later while it is being started. Does nothing to one that has ended, unless that was a
 * guess. */
void container_ended(struct engine *e, struct container_record *c, const struct ending *how);
/* The end that was kept while it was being started. */
void container_end_now(struct engine *e, struct container_record *c);
/* Nobody knows it any more. why is for the user. */
void container_lost(struct engine *e, struct container_record *c, const char *why);
/* Its start failed: EXITED with 127 where the program is not there, else 128. */
void container_start_failed(struct engine *e, struct container_record *c, const struct error *why);

void pod_save(struct engine *e, const struct pod_record *p);
/* The sandbox has ended; kept for later while the pod is being made. */
void pod_ended(struct engine *e, struct pod_record *p, int64_t at_ns);
