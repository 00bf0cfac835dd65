/* SPDX-License-Identifier: Apache-2.0 */
/* Archives for tests: tars made in memory, honest and not. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"
#include "image/digest.h"

#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        int status_ = (call);                                                                      \
        if (status_ < 0)                                                                           \
            print_error("%s\n", (err).message);                                                    \
        assert_int_equal(status_, 0);                                                              \
    } while (0)

struct archive;
struct pack {
    struct archive *tar;
    struct buffer out;
};

/* filter: NULL, "gzip" or "zstd". */
void pack_open(struct pack *p, const char *filter);
void pack_file(struct pack *p, const char *name, const void *data, size_t len);
void pack_text(struct pack *p, const char *name, const char *text);
/* type: S_IF...; link: a symlink's target, or with type 0 a hard link's. */
void pack_node(struct pack *p, const char *name, mode_t mode, const char *link, unsigned major,
               unsigned minor);
void pack_xattr(struct pack *p, const char *name, const char *xattr, const char *value);
/* Ends it; out is whole then. */
void pack_close(struct pack *p);
void pack_done(struct pack *p);
CLEANUP_DONE(pack, struct pack);
/* A descriptor that reads the bytes. */
int pack_memory(const void *data, size_t len);

/* A docker archive of one image. layers: uncompressed tars; filter compresses each layer in it. tag
 * may be NULL. Closed. */
void pack_docker(struct pack *p, const char *tag, const struct pack *layers, size_t count,
                 const char *layer_filter, const char *filter);
/* An OCI layout of one image for a platform ("linux/amd64"), with its index nested where asked for.
 */
void pack_oci(struct pack *p, const char *name, const struct pack *layer, const char *platform,
              bool nested);

/* A store under a new temporary directory, emptied and removed by test_store_free(). */
struct image_store;
struct test_store {
    char dir[64];
    struct image_store *store;
};
void test_store_new(struct test_store *t);
void test_store_reopen(struct test_store *t);
void test_store_free(struct test_store *t);
/* How many entries a directory of the store has. */
int test_store_count(const struct test_store *t, const char *below);
