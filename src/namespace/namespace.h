/* SPDX-License-Identifier: Apache-2.0 */
/* namespace: pods by Linux namespaces and cgroups, as the technique of sandbox/technique.h.
 *
 * Model: each pod has a keeper (keeper.h), a process of its own that outlives us; struct holder is our end of it. What a
 * container is to be is worked out here, where libraries are at hand (container/container.h's recipe), and sent to the keeper,
 * which clones it. The cgroups are made and removed here. DIR holds nothing but the keepers' sockets, named after their pods, so that
 * they are found again; a socket nobody answers at is a dead keeper's, and what is left of its pod is ended. */
#pragma once

#include "sandbox/technique.h"

struct error;
struct namespaces; /* the technique's t */

struct namespace_options {
    const char *dir; /* exists, 0700 */
    const char
        *keeper; /* the program; NULL: warren-keeper beside our own, or in ../libexec/warren */
    const char *cgroup_parent; /* NULL: "warren" */
};
/* Loads the keeper's program into sealed memory, so that no container can change what the next pod's keeper runs. */
int namespaces_new(const struct namespace_options *options, struct namespaces **ret,
                   struct error *err);
void namespaces_free(struct namespaces *t);

extern const struct technique namespace_technique;
