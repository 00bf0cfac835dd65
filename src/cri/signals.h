/* SPDX-License-Identifier: Apache-2.0 */
/* CRI's numbers of signals and the names that images use. */
#pragma once

#include "cri.pb-c.h"

/* "SIGTERM", "TERM" or "15" as CRI's enum; SIGNAL_RUNTIME_DEFAULT where name is NULL, "" or none.
 */
Runtime__V1__Signal cri_signal_named(const char *name);
