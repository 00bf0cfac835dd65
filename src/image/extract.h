/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks a tar below a directory, entry by entry. Whatever the archive says, nothing is written
 * outside that directory: names and hard links are cleaned first, and every path is then resolved
 * by openat2 with the directory as root. Nobody else may write there meanwhile. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;
struct tar_input;

struct extract_options {
    bool layer; /* an image's layer: ".wh." names become overlay's whiteouts */
    bool plain; /* owner, devices, xattrs and setuid are left out: a build's context */
};

/* The archive to its last entry. *ret_bytes: of regular files. Errors name the entry. */
int tar_extract(struct tar_input *t, int root, const struct extract_options *options,
                uint64_t *ret_bytes, struct error *err);
