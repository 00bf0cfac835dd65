/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/record.h"

/* [parks] SIGKILL for all in it, and waits until its end is reported. The caller has a reference.
 * -ETIMEDOUT. */
int container_kill(struct engine *e, struct container_record *c, struct error *err);
