/* SPDX-License-Identifier: Apache-2.0 */
/* docker: the Docker Engine API, as far as Warren has it: ping, version, info, images, build. Containers, networks and volumes are
 * refused with a sentence.
 *
 * A request is a coroutine (rpc/http.h). What blocks runs on a thread of the pool with a pipe each way (job.h), so that
 * bodies of any size pass through without being held. */
#pragma once

struct http_request;
struct image_store;

enum { DOCKER_API_MAJOR = 1, DOCKER_API_MINOR = 47, DOCKER_API_MINOR_MIN = 24 };

struct docker {
    struct image_store *images; /* borrowed */
};

/* An http_handler; context is the struct docker. */
void docker_serve(struct http_request *r, void *context);
