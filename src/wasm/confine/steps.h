/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of confinement, one at a time. -errno where the kernel, or this user, cannot; nothing has changed then. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* namespaces.c */
/* Our directory in /proc (O_PATH), or -1: for step_user_namespace(), which may come after the root is left. */
int step_open_self(void);
/* A user namespace in which we keep our uid and gid and have every capability. */
int step_user_namespace(int self);
/* CLONE_NEW... */
int step_unshare(int flags);
/* An empty read-only root in place of ours. In a mount namespace of our own. */
int step_empty_root(void);
/* Becomes uid, and the gid of the same number, without groups; the capabilities go. */
int step_uid(uint32_t uid);

/* rights.c */
enum {
    RIGHT_CHOWN = 0,
    RIGHT_DAC_OVERRIDE = 1,
    RIGHT_FOWNER = 3,
    RIGHT_FSETID = 4,
    RIGHT_SETGID = 6,
    RIGHT_SETUID = 7
};
/* Capabilities but those of the mask go, from all sets; the bounding set becomes empty. */
int step_capabilities(uint64_t kept);
int step_no_new_privileges(void);
/* No core dump, no ptrace by processes of our uid, our memory is not to be read in /proc. */
int step_not_dumpable(void);

/* landlock.c */
/* Every access that this kernel's Landlock knows is denied, to all that is not open yet. */
int step_landlock(void);

/* filter.c */
enum filter { FILTER_WORKER, FILTER_FILES, FILTER_COMPILER };
/* Needs no_new_privs. The system calls of filters.c's list alone; another ends the process, named on standard error first where debug is
 * set. Under sanitizers, which make calls of their own, it fails instead. */
int step_filter(enum filter f, bool debug);
