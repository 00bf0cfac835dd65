/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a container of a foreign sandboxer: the sandboxer writes FIFOs, the engine reads them into the log. */
#pragma once

struct error;
struct foreign_log;

/* Reads DIR/stdout and DIR/stderr (either may be missing) into the log at address, until foreign_log_end and all is read. */
int foreign_log_open(struct foreign_log **ret, const char *dir, const char *address,
                     struct error *err);
/* The container has ended: what is in the FIFOs is written, then all is released by itself. NULL is allowed. */
void foreign_log_end(struct foreign_log *log);
/* The engine leaves: at once. */
void foreign_log_drop(struct foreign_log *log);
