/* SPDX-License-Identifier: Apache-2.0 */
/* The service of echo.proto. */
#pragma once

#include "echo.pb-c.h"
#include "rpc/rpc.h"

/* What the handlers saw. */
struct echo_counts {
    unsigned calls, cancelled, sent;
};

extern struct echo_counts echo_counts;
extern const struct rpc_service echo_service;
