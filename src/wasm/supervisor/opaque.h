/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories of a layer are opaque. Only who has CAP_SYS_ADMIN may read the attribute that says so, and workers have it not:
 * the supervisor looks a layer through once, and tells them. Loop's thread; functions park. */
#pragma once

#include <stddef.h>

struct arena;
struct error;
struct opaque;

struct opaque *opaque_new(void); /* NULL where memory is out */
void opaque_free(struct opaque *o);

/* Of these layers, topmost first: "N:PATH" for each opaque directory PATH of the N-th, in arena memory, NULL-terminated; NULL where there are
 * none. The last layer hides nothing, and is not looked at. */
int opaque_list(struct opaque *o, char *const *layers, struct arena *a, char ***ret,
                struct error *err);
