/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's socket that wakes nobody (wire.h). Control thread. */
#pragma once

/* Takes the socket over, or -1; the one before is let go. */
void quiet_begin(int fd);
/* Serves what has come. Before a frame of the connection is served, which may be about it. */
void quiet_read(void);
/* The same, and nothing comes any more. */
void quiet_end(void);
