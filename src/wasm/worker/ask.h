/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the files process, from guests that are parked until the answer. A tag is for one request only: an answer that nobody
 * waits for any more is dropped, and its descriptor closed. */
#pragma once

#include "wasm/files/request.h"

struct error;
struct guest;

/* Takes the socket over. Control thread. */
int ask_init(int fd, struct error *err);
/* Sends a request of g, whose tag and container are filled in: 0, g has a job, and is to be parked; or -errno. Who holds g. The job's code
 * is the answer's, its bytes what came with it. */
int ask_files(struct guest *g, struct files_request *r);
/* With a descriptor, of which a copy goes. */
int ask_files_about(struct guest *g, struct files_request *r, int fd);
