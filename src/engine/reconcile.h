/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxers report, against the records. */
#pragma once

#include "engine/record.h"

/* arg is the struct engine_peer. */
extern const struct peer_observer reconcile_observer;
