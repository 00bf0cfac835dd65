/* SPDX-License-Identifier: Apache-2.0 */
/* base: what C lacks. Nothing here knows a container. No global state but the diagnostics' level
 * and the map's seed; everything may be used from any thread on data of its own. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
