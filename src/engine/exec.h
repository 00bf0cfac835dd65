/* SPDX-License-Identifier: Apache-2.0 */
/* Execs under way, as the sandboxers' reports see them. */
#pragma once

#include "engine/record.h"

struct exec {
    char id[65], container_id[65];
    struct engine_peer *peer;
    uint32_t epoch, seen;
    bool asking; /* create and start are not through */
    bool exited, lost;
    int exit_code;
    struct co *co; /* to be woken */
};

void exec_ended(struct exec *x, int exit_code);
/* The sandboxer came back without it. */
void exec_lost(struct exec *x);
