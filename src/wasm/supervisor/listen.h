/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that a container's module finds listening: opened here, in the pod's network, and handed to its worker. Loop's thread;
 * functions park. */
#pragma once

#include "wasm/wire_create.h"

struct error;
struct oci_spec;

#define ANNOTATION_LISTEN "warren.wasm/listen"

struct listening {
    int fds[WIRE_SOCKETS_MAX];
    unsigned count;
};
/* Closes them. */
void listening_done(struct listening *l);

/* What the annotation names: addresses with commas between, "tcp://HOST:PORT" (HOST an address, one of IPv6 in brackets, or empty
 * for all) or "unix://PATH" (on a volume of the container's that can be written to). netns is the path of the network namespace, "" for what
 * the spec says: the one it names, or the host's. -EINVAL and what the kernel says name the address. */
int listen_open(const struct oci_spec *spec, const char *netns, struct listening *ret,
                struct error *err);
