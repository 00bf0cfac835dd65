/* SPDX-License-Identifier: Apache-2.0 */
/* The sandboxers that warrend starts itself: those whose technique has no address in daemon.json.
 * One that is there already (an earlier warrend was killed) is used as it is; one that ends is
 * started again. Loop's thread. */
#pragma once

#include <stddef.h>

#include "engine/engine.h"
#include "settings.h"

struct sandboxers;

/* Starts what the configuration asks for and makes the engine's table of handlers. *ret_handlers:
 * owned by *ret, the peers in it by the engine. */
int sandboxers_start(struct sandboxers **ret, const struct settings *config,
                     const struct engine_handler **ret_handlers, size_t *ret_count,
                     struct error *err);
/* Lets go those of our own directory (SIGTERM), whoever started them; what they hold goes on. NULL is allowed. */
void sandboxers_stop(struct sandboxers *s);
