/* SPDX-License-Identifier: Apache-2.0 */
/* What is at a sandboxer and should not be: a sandbox or process that the engine knows nothing of
 * (any more), a start that failed half way and could not be undone, a container that has ended and
 * whose exit is recorded. A janitor a sandboxer ends and forgets them there, again and again until
 * it works. */
#pragma once

#include "engine/record.h"

/* seq: the pod's row in the store, deleted when all is gone, with the directories of the pod and of
 * its containers (NULL-terminated ids, may be NULL); 0: no row, no directories. */
void leftover_sandbox(struct engine_peer *ep, const char *id, int64_t seq, char *const *containers);
/* running: it may have to be killed first. */
void leftover_container(struct engine_peer *ep, const char *sandbox_id, const char *id,
                        bool running);
/* A container's row with its directory, likewise. */
void leftover_container_row(struct engine_peer *ep, const char *sandbox_id, const char *id,
                            int64_t seq);
/* [parks] Removes the directories of such containers of a sandbox that is gone: its rows, theirs too, go next. */
void leftover_remove_files(struct engine_peer *ep, const char *sandbox_id);
void leftover_exec(struct engine_peer *ep, const char *sandbox_id, const char *id,
                   const char *exec_id);
/* Something has changed (the sandboxer is back, the engine closes): look again now. */
void leftover_wake(struct engine_peer *ep);
/* Frees the list; no janitor may be there. */
void leftover_free_all(struct engine_peer *ep);
