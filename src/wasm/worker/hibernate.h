/* SPDX-License-Identifier: Apache-2.0 */
/* Hibernation: a guest that is parked for long gives the pages of its stack and of its memory back, and keeps what they held
 * as a difference to a reference: another guest of its module, as that was when it was first hibernated. A parked
 * daemon of 30 KB becomes one of 10.
 *
 * It relies on one thing that Wasmtime keeps to itself: that a suspended fiber's stack pointer is stored 16 bytes below the stack's
 * top, and that nothing below the stack pointer is needed. hibernate_works() tries it. A guest must be woken before
 * its future is polled or deleted.
 *
 * References belong to the module and are never changed once made. One thread hibernates; any may wake. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest;
struct hibernated;
struct references;
struct runtime_space;

/* Before the process gives up the file system, and after its last fork. */
void hibernate_init(void);

/* Whether Wasmtime's fibers are as described above: tried once, by a guest that is hibernated and woken. The hibernating thread. */
bool hibernate_works(void);

/* Who holds the guest (parked, instantiated) calls. False: it stays as it is, since it has much more than
 * is worth packing, or memory is out. */
bool hibernate_guest(struct guest *g);
/* Where it is hibernated: as before. */
void hibernate_wake(struct guest *g);
/* Bytes that it takes. */
size_t hibernate_size(const struct hibernated *h);
void hibernate_free_references(struct references *r); /* NULL is allowed */

/* Of what lies in s; NULL where it stays as it is. *refs is made at first. */
struct hibernated *hibernate_pack(const struct runtime_space *s, struct references **refs);
void hibernate_unpack(const struct runtime_space *s, const struct hibernated *h);
