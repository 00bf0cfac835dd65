/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "rpc/rpc.h"
#include "warren_sandbox.pb-c.h"

/* The handler of Extension.Watch: a snapshot unless the request's cursor goes on, then events until the client leaves. */
rpc_handler sandbox_watch;
