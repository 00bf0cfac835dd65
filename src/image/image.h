/* SPDX-License-Identifier: Apache-2.0 */
/* image: content-addressed store of images: blobs, unpacked layers, names.
 *
 * On disk, under the store's directory (0700):
 *     blobs/sha256/HEX            manifests, configs and (as they came) compressed layers
 *     layers/CHAINID/             a layer unpacked once, ready as an overlay's lower directory
 * (whiteouts as 0/0 devices, opaque directories by trusted.overlay.opaque), shared by all images
 * that have it ingest/                     what is under way; emptied at open images.db SQLite:
 * names, images, layers; synchronous=FULL A thing appears under its final name only when it is
 * whole and synced, so a crash or a full disk leaves nothing half-made.
 *
 * Threads: every function may be called from any thread. Those marked [disk] block: call them by
 * co_pool(). The others answer from memory. A struct image is immutable and counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cleanup.h"

struct error;
struct image_store;

struct image_config { /* image-spec config.md; NULL or empty where the image says nothing */
    char *os, *architecture, *variant;
    char *user, *working_dir, *stop_signal;
    char **env, **entrypoint, **cmd, **shell;
    char **volumes, **exposed_ports;
    char **labels; /* "key=value" */
};

/* A deep copy; what memory was out for is NULL. */
void image_config_copy(struct image_config *to, const struct image_config *from);
void image_config_done(struct image_config *c);
CLEANUP_DONE(image_config, struct image_config);

struct image {
    char *id;       /* sha256:HEX of the config */
    char **tags;    /* docker.io/library/busybox:latest, ...: a snapshot; changed tags make a new
                       struct */
    char **digests; /* name@sha256:HEX of the manifest */
    char *manifest_digest;
    int64_t created_ns; /* of the config, 0 where it says none */
    uint64_t size;      /* bytes of unpacked layers */
    struct image_config config;
    char **layers;       /* chain ids ("sha256:HEX"), lowest first */
    unsigned references; /* the store's */
};

/* [disk] */
int image_store_open(struct image_store **ret, const char *dir, struct error *err);
void image_store_free(struct image_store *s);
CLEANUP_FREE(image_store, struct image_store);

/* A reference as users write it: name, name:tag, name@digest, an id or an unambiguous prefix of one
 * (4 digits at least). "busybox" means docker.io/library/busybox:latest, as docker has it;
 * "localhost/x" and "a.b/x" name a host. -ENOENT names what was looked for; -EINVAL a bad
 * reference. The caller unrefs. */
int image_find(struct image_store *s, const char *reference, struct image **ret, struct error *err);
struct image *image_ref(struct image *image);
void image_unref(struct image *image);
static inline void cleanup_image(struct image **image)
{
    if (*image)
        image_unref(*image);
}
/* All of them, newest first, NULL-terminated; each to be unref'd, the array freed. */
int image_list(struct image_store *s, struct image ***ret, struct error *err);

/* Full form of a reference ("docker.io/library/busybox:latest"); short form for people
 * ("busybox:latest"). Malloced. */
int image_reference_expand(const char *reference, char **ret, struct error *err);
char *image_reference_short(const char *expanded);

/* The overlay's lower directories of an image, topmost first, absolute paths, malloced array of
 * malloced strings. */
int image_lower_dirs(struct image_store *s, const struct image *image, char ***ret,
                     struct error *err);

/* progress may be NULL; called from the calling thread. total 0: unknown. */
struct image_progress {
    void (*update)(void *arg, const char *id, const char *action, uint64_t done, uint64_t total);
    void *arg;
};

/* [disk] Loads an OCI layout or a docker archive (docker save), plain or gzip or zstd, from fd.
 * *ret_names: what was loaded (expanded names, or ids where the archive names none). A bad archive
 * leaves the store as it was. */
int image_load(struct image_store *s, int fd, const struct image_progress *progress,
               char ***ret_names, struct error *err);
/* [disk] Writes a docker archive that is an OCI layout as well. */
int image_save(struct image_store *s, char *const *references, int fd, struct error *err);

/* [disk] A new image on base (NULL: scratch): its layers and one more per layers[i], a readable
 * descriptor of an uncompressed tar. config as given (os and architecture are filled in where
 * empty); what the base's config has and struct image_config knows not is kept. history follows the
 * base's: one entry an instruction, those without a layer marked. Where the store has an image that
 * is the same but for its times, that one is returned. */
struct image_history {
    const char *created_by;
    bool empty_layer;
};
int image_create(struct image_store *s, const struct image *base, const int *layers,
                 size_t layer_count, const struct image_history *history, size_t history_count,
                 const struct image_config *config, struct image **ret, struct error *err);
/* [disk] Names an image; the name moves where another image had it. */
int image_tag(struct image_store *s, const struct image *image, const char *reference,
              struct error *err);
/* [disk] Removes a name; the last name (or an id) removes the image and the layers nobody else has,
 * unless it is pinned (-EBUSY says by what; a name, with force, goes all the same). *ret_untagged and *ret_deleted: what went;
 * may be NULL. */
int image_remove(struct image_store *s, const char *reference, bool force, char ***ret_untagged,
                 char ***ret_deleted, struct error *err);
/* A container uses the image: it is kept while user (a container's id) is among its pins. In memory
 * only: the engine pins again at its start. user is not copied: it stays where it is until the unpin, or the store's end. */
int image_pin(struct image_store *s, const char *image_id, const char *user, struct error *err);
void image_unpin(struct image_store *s, const char *image_id, const char *user);

/* Bytes of a layer's files by its chain id; 0 where the store has it not. */
uint64_t image_layer_size(struct image_store *s, const char *chain_id);
/* RFC 3339, as configs have it, to nanoseconds since 1970; 0 where it is NULL or cannot be read. */
int64_t image_parse_time(const char *text);
/* [disk] Appends a manifest or config, whole and checked; for what struct image has not (history,
 * docker's inspect). */
int image_read_blob(struct image_store *s, const char *digest, struct buffer *out,
                    struct error *err);

/* [disk] A new directory on the store's file system, for what is made before it is an image; what a crash leaves of it is
 * removed at the next open. *ret_path: malloced; the caller removes the directory. */
int image_scratch_dir(struct image_store *s, char **ret_path, struct error *err);

struct image_usage {
    uint64_t bytes, inodes;
    char *mountpoint; /* the store's directory; owned by the store */
};
/* [disk] */
int image_store_usage(struct image_store *s, struct image_usage *ret, struct error *err);
