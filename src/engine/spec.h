/* SPDX-License-Identifier: Apache-2.0 */
/* From CRI's descriptions and an image's config to the OCI runtime spec that travels to the
 * sandboxer. Pure: same inputs, same text. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "cri.pb-c.h"
#include "image/image.h"

struct error;

struct spec_input {
    const char *pod_id, *container_id;
    const Runtime__V1__PodSandboxConfig *pod;
    const Runtime__V1__ContainerConfig *container;
    const struct image_config *image;
    bool wasm; /* handlers whose technique wants no Linux defaults: no mounts of /proc and its like
                */
    const char *etc_dir; /* host directory with the pod's hostname, hosts and resolv.conf; NULL:
                            none to mount */
};

/* Appends the spec as JSON. -EINVAL names the field that is bad ("linux.resources.cpu_shares:
 * ..."). command and args follow CRI: command replaces the entrypoint and drops the image's cmd;
 * args replaces the cmd. A user name is passed on in annotations-free form: process.user.username
 * beside uid, resolved inside the rootfs by who starts it. */
int spec_build(const struct spec_input *in, struct buffer *out, struct error *err);
/* The OCI process of an exec: the container's with other args. */
int spec_build_exec(const struct spec_input *in, char *const *argv, bool terminal,
                    struct buffer *out, struct error *err);
/* OCI LinuxResources of CRI's, JSON. */
int spec_build_resources(const Runtime__V1__LinuxContainerResources *r, struct buffer *out,
                         struct error *err);
