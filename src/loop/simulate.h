/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, simulated: loop.h's functions (but loop_uv, loop_run, loop_stop) on a virtual clock. Of the coroutines that are
 * ready the next is drawn from a seed; where none is, time jumps to the next deadline; co_pool's function runs in place, after
 * and before waits of random length. The same seed gives the same run. Programs link it in place of the loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Begins at the same virtual time every time. No coroutine may be left. */
void simulate_begin(uint64_t seed);
/* 0 to n-1 (n > 0), from the seed. */
uint32_t simulate_random(uint32_t n);
/* Runs at most that many turns of coroutines. False where nothing is ready and nobody waits for a time. */
bool simulate_run(uint64_t turns);
/* Until *done, at most that many turns; false where it did not get there. */
bool simulate_until(const bool *done, uint64_t turns);
/* Forgets all coroutines where they are; what they own is lost. */
void simulate_abandon(void);
/* The clocks are the kernel's again. */
void simulate_end(void);
