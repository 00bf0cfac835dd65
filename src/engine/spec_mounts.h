/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts and devices of a spec. */
#pragma once

#include "engine/spec.h"
#include "oci/spec.h"

/* Fills spec->mounts: what Linux programs expect (not for wasm), the pod's files under /etc, the
 * container's own. */
int spec_mounts(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                struct error *err);
/* Fills spec->linux_->devices and the device rules. */
int spec_devices(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                 struct error *err);
