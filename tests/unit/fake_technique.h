/* SPDX-License-Identifier: Apache-2.0 */
/* A technique that runs nothing: for tests of the servers in front of one, and for the program
 * fake-sandboxer.
 *
 * What a container does is its spec's process.args: ["exit", "3"] ends at once with 3, ["sleep",
 * "0.5"] ends with 0 after that time, ["missing"] is not found; all else runs until it is killed.
 * With chaos, every function takes a random number of the loop's turns, some fail, and processes
 * and holders end when nobody expects it; all of it from the seed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/technique.h"

struct fake {
    uint64_t random; /* the seed, then its state; 0: no chaos */
    unsigned fail_percent;
    const struct buffer *adopt_sandbox,
        *adopt_process;          /* records that recover() gives back; may be NULL */
    size_t sandboxes, processes; /* what it holds */
    size_t broken;               /* breaches of the contract that it saw; each is printed */
    struct buffer last_sandbox_record, last_process_record;
};

extern const struct technique fake_technique; /* t is a struct fake */

uint32_t fake_random(struct fake *f, uint32_t below);
/* The holder of a running sandbox dies. */
void fake_kill_holder(struct sandbox *sb);
