/* SPDX-License-Identifier: Apache-2.0 */
/* An image's config: image-spec's JSON and struct image. */
#pragma once

#include <json-c/json.h>

#include "image/image.h"

enum { IMAGE_LAYERS_MAX = 500 /* overlayfs takes no more lower directories */ };

/* A new image (no tags, one reference, size 0) of a config and the digest of its manifest.
 * *ret_diff_ids: its layers', malloced. The config's digest is the id. */
int config_read(const void *json, size_t len, const char *manifest_digest, struct image **ret,
                char ***ret_diff_ids, struct error *err);
/* A copy with other tags, whose digests are those tags' repositories at the manifest's digest. NULL
 * where memory is out. */
struct image *config_retag(const struct image *image, char *const *tags);

/* The "config" object of image-spec; what base_config (may be NULL) has and struct image_config
 * knows not is kept. */
json_object *config_object(const struct image_config *c, json_object *base_config);
