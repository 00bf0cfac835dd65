/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: accepting, and telling the protocols apart. */
#pragma once

#include "rpc/server.h"

/* Closes the listeners and the connections that have said nothing yet. */
void listen_close(struct rpc_server *s);

/* Which of the protocols (a set) a connection beginning so speaks; 0 while more bytes are needed,
 * negative where it is none of them. */
int protocol_of(const uint8_t *data, size_t len, unsigned protocols);
