/* SPDX-License-Identifier: Apache-2.0 */
/* build: images from Dockerfiles, without running anything.
 *
 * A build reads its context, a tar, into a temporary directory; parses the Dockerfile; and goes through it instruction by
 * instruction. Each ADD, COPY and (where the directory is new) WORKDIR writes a layer: a tar with sorted entries whose
 * times are the files' own, so that the same context gives the same layers. What a path of the image under way means is found by
 * looking through the layers from the top (tree.h), as overlayfs would. At the end image_create() makes the image.
 *
 * RUN, ONBUILD, HEALTHCHECK and ADD of addresses are refused, with file and line.
 *
 * Everything here blocks and belongs on a thread of the pool; a build shares nothing with another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"

struct error;

struct build_options {
    struct image_store *images;
    int context;            /* a tar, plain or compressed, read to its end */
    const char *dockerfile; /* its path in the context; NULL: "Dockerfile" */
    char *const *tags;      /* as the user wrote them; may be NULL */
    char *const *args;      /* "NAME=value" of --build-arg; may be NULL */
    char *const *labels;    /* "key=value"; may be NULL */
    const char *target;     /* the stage to end with; NULL: the last */
    const bool
        *cancelled; /* set (atomically) by who writes the context, before its end, where it is
                             * not whole; may be NULL */
    bool quiet;     /* only the id is said */
    /* What is said: lines of docker's JSON stream, without their newline's end; may be NULL. */
    void (*say)(void *arg, const char *line, size_t len);
    void *arg;
};

/* *ret: the image, tagged; the caller unrefs. A build that fails leaves nothing. Errors in the Dockerfile begin with
 * "Dockerfile:LINE: ". */
int build_run(const struct build_options *options, struct image **ret, struct error *err);
