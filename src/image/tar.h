/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a tar, plain or compressed (gzip, zstd, xz, bzip2), from a descriptor, hashing what the
 * decompressor gives. The names in an archive are bytes: programs stay in the C locale, where
 * libarchive leaves them as they are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "image/digest.h"

struct archive;
struct archive_entry;
struct error;

struct tar_input {
    struct archive *filter; /* decompresses */
    struct archive *tar;
    struct digester digest;
    const char *broken; /* what the decompressor said, owned by it */
    int fd;
    bool ended;        /* the decompressor has no more */
    bool cut;          /* the archive ended behind its last file's data, without the padding */
    uint64_t expected; /* size of the current entry's data */
    uint64_t entries, entries_max;
};

/* fd stays the caller's; it is read from where it stands. entries_max: more are refused. */
int tar_input_open(struct tar_input *t, int fd, uint64_t entries_max, struct error *err);
void tar_input_done(struct tar_input *t);
CLEANUP_DONE(tar_input, struct tar_input);
/* 1 and the entry (the reader's, until the next call), 0 at the end, or an error. */
int tar_input_next(struct tar_input *t, struct archive_entry **ret, struct error *err);
/* The entry's data into fd, with its holes, hashed into digest where it is not NULL. *ret_size: the
 * file's length. */
int tar_input_copy(struct tar_input *t, int fd, struct digester *digest, uint64_t *ret_size,
                   struct error *err);
/* Reads what follows the last entry; digest is then that of all that was uncompressed (a layer's
 * diff id). */
int tar_input_finish(struct tar_input *t, char digest[DIGEST_TEXT], struct error *err);

/* The path of an entry below its root, as a tar means it: no leading "/" or "./", no "..", no "//";
 * "" is the root. -EINVAL where it leads out of the root, or is longer or deeper than anything
 * honest. Malloced. */
int tar_clean_path(const char *name, char **ret, struct error *err);
/* An entry's name fit for a message: printable ASCII, shortened. Returns text. */
enum { TAR_NAME_TEXT = 200 };
const char *tar_show_name(const char *name, char text[TAR_NAME_TEXT]);
