/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/record.h"

/* NULL is "". -ENOENT names those that are configured. */
int handler_find(struct engine *e, const char *name, struct handler **ret, struct error *err);
