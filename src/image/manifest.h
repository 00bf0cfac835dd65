/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes and docker's manifest.json. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

struct error;

struct descriptor {
    char *media_type;        /* "" where it says none */
    char *digest;            /* valid */
    char *name;              /* an index's: what its annotations call the image; may be NULL */
    char *os, *architecture; /* NULL where it says none */
    bool attestation;        /* buildkit's, which is no image */
};

struct manifest {
    bool index; /* entries are manifests; else entries[0] is the config and the rest are layers */
    struct descriptor *entries;
    size_t count;
};

void manifest_done(struct manifest *m);
CLEANUP_DONE(manifest, struct manifest);

/* what names the document for messages. */
int manifest_read(const char *what, const void *json, size_t len, struct manifest *ret,
                  struct error *err);

/* linux/amd64 before wasm; 0 where this machine has no use for it. */
int platform_rank(const char *os, const char *architecture);

struct manifest_blob {
    const char *media_type;
    char digest[72];
    uint64_t size;
};
/* Appends an image manifest of a config and layers. */
int manifest_write(const struct manifest_blob *config, const struct manifest_blob *layers,
                   size_t count, struct buffer *out);
#define MEDIA_INDEX        "application/vnd.oci.image.index.v1+json"
#define MEDIA_MANIFEST     "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_CONFIG       "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER        "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_LAYER_GZIP   MEDIA_LAYER "+gzip"
#define MEDIA_LAYER_ZSTD   MEDIA_LAYER "+zstd"
#define MEDIA_DOCKER_LIST  "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER       "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
