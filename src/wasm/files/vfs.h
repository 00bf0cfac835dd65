/* SPDX-License-Identifier: Apache-2.0 */
/* The file tree that a guest sees: a rootfs of layers, merged here without a mount, and the bind mounts on it.
 *
 * A mount is a stack of host directories, topmost first; the first may be the upper directory, which alone is written to and is
 * made at the first write. Lower ones are merged as overlayfs does: a 0/0 character device hides a name, a
 * directory whose overlay.opaque attribute is "y" hides what lies below it. A bind mount is a stack of one directory that is written in
 * place, or a file.
 *
 * Every tree has /dev/null, zero, full, random and urandom, unless something is mounted at /dev.
 *
 * Paths are walked one component at a time, symlinks are read here and stay in the tree; a name in a host
 * directory is opened by openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so that nobody who changes the directory meanwhile leads
 * out. A place in the tree is its absolute path; no descriptor is held. Descriptors of host directories are shared by
 * all trees of the process and bounded in number.
 *
 * Where the tree is used for somebody, the kernel says what they may. A directory is searched, and what is merged of layers is used, if
 * they may do so with the topmost of it, as overlayfs has it; what a bind mount has is opened and changed as they. What the tree needs for
 * itself (whiteouts, copies) is done with the process' own rights.
 *
 * A vfs is used by one thread at a time. Results are 0 or -errno; -EPERM is a way out of base. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cleanup.h"

struct error;
struct identity;
struct vfs_layer; /* a host directory, shared */

typedef unsigned __int128 vfs_mask; /* a bit a layer */
enum { VFS_LAYERS_MAX = 128, VFS_MOUNTS_MAX = 256 };

struct vfs_mount {
    char *destination; /* absolute and plain; "" is the root */
    struct vfs_layer **layers;
    unsigned count;
    bool overlay; /* layers[0] is the upper directory where has_upper; whiteouts count */
    bool has_upper;
    bool read_only;
    bool file;     /* layers[0] is a file */
    char **opaque; /* "N:PATH" as opaque.h has them; NULL for none */
    char *work;    /* where copies are made before they are renamed into the upper directory */
};

struct vfs {
    struct vfs_mount *mounts; /* mounts[0] is the root */
    unsigned count;
    const struct identity
        *who;       /* whose rights count, the caller's; NULL: all that the process has */
    unsigned steps; /* of the walk under way */
};

struct vfs_mount_spec {
    const char *destination;
    char *const *layers;      /* absolute host paths, topmost first, without the upper one */
    const char *upper, *work; /* NULL for none */
    char *const *opaque;      /* as opaque.h has them; NULL for none */
    bool read_only;
};

struct vfs *vfs_new(void);
void vfs_free(struct vfs *v);
CLEANUP_FREE(vfs, struct vfs);
/* The root comes first. */
int vfs_add(struct vfs *v, const struct vfs_mount_spec *spec, struct error *err);

/* A directory's name in the tree, malloced: "/data//x/" becomes "/data/x", "/" becomes "". NULL where it has "." or "..", or memory is
 * out. */
char *vfs_plain_path(const char *path);

/* A place that has been looked up. */
struct vfs_node {
    char *path; /* absolute and plain ("/" is ""); malloced */
    const struct vfs_mount
        *mount;      /* NULL: a directory that is there only because a mount lies below it */
    unsigned top;    /* the layer that has it */
    vfs_mask layers; /* of a directory: those that make it up */
    bool exists;     /* else only its directory does */
    bool slash;      /* the path ended with one: what is made there can be a directory only */
    bool dots;       /* or with "." or "..": no name to remove */
    struct stat st;
};
void vfs_node_done(struct vfs_node *n);
CLEANUP_DONE(vfs_node, struct vfs_node);

/* Looks path up from the directory base (absolute and plain, in the tree), which it cannot leave. follow: also a symlink in the last place.
 * A missing last component is 0 with exists false; -ENOENT where more is missing. */
int vfs_lookup(struct vfs *v, const char *base, const char *path, bool follow,
               struct vfs_node *ret);

/* The descriptor of a node: of a directory or a file, flags as open(2)'s (O_CREAT, O_EXCL, O_TRUNC among them). A lower
 * file that is opened for writing is copied up first. */
int vfs_open(struct vfs *v, struct vfs_node *n, int flags, mode_t mode);
int vfs_readlink(struct vfs *v, const struct vfs_node *n, char *buffer, size_t size);
int vfs_mkdir(struct vfs *v, struct vfs_node *n, mode_t mode);
int vfs_unlink(struct vfs *v, struct vfs_node *n, bool directory);
int vfs_symlink(struct vfs *v, struct vfs_node *n, const char *target);
int vfs_link(struct vfs *v, struct vfs_node *from, struct vfs_node *to);
int vfs_rename(struct vfs *v, struct vfs_node *from, struct vfs_node *to);
int vfs_utimes(struct vfs *v, struct vfs_node *n, const struct timespec times[2]);

/* Where a listing goes on; zero at its beginning. What is made or removed meanwhile may be missed, nothing else is. */
struct vfs_cursor {
    uint32_t stage;
    uint64_t offset;
};
struct vfs_entry {
    const char *name; /* good during the call */
    uint64_t inode;
    struct vfs_cursor next; /* behind it */
    uint8_t type;           /* DT_* */
};
/* Not 0: not taken, and the listing stops. */
typedef int vfs_take(void *arg, const struct vfs_entry *e);
/* Hands what a directory has from the cursor on, merged, with "." and "..", to take: 0 at the end, what take said where it stopped;
 * the cursor is then at the first that was not taken. */
int vfs_list(struct vfs *v, const struct vfs_node *n, struct vfs_cursor *cursor, vfs_take *take,
             void *arg);
/* 1 where nothing shows in the directory, else 0. */
int vfs_is_empty(struct vfs *v, const struct vfs_node *n);

/* Between vfs' files */
struct vfs_layer *vfs_layer_get(const char *path); /* with a reference; NULL where memory is out */
void vfs_layer_put(struct vfs_layer *l);
/* Its descriptor, until unpinned; -errno where it cannot be opened (an upper directory that is not there yet: -ENOENT). */
int vfs_layer_pin(struct vfs_layer *l);
void vfs_layer_unpin(struct vfs_layer *l);
const char *vfs_layer_path(const struct vfs_layer *l);
/* A device that every tree has, at this path; NULL where there is none, or something hides it. */
const struct vfs_mount *vfs_device_at(const struct vfs *v, const char *path);
bool vfs_has_devices(const struct vfs *v);
const char *vfs_device(size_t i); /* the i-th one's path, NULL after the last */
/* The node's path below its mount, "." for its root. */
const char *vfs_below(const struct vfs_node *n);
/* openat2 below dir, never over a symlink. */
int vfs_open_at(int dir, const char *path, int flags, mode_t mode);
bool vfs_is_whiteout(const struct stat *st);
/* Fills in what the layers of n->mount that are in mask have at n->path. */
int vfs_find(struct vfs_node *n, vfs_mask mask);
/* The directory of this path below the mount, in the layer that is written to, made there (with all above it) as it is in the layers;
 * a descriptor. */
int vfs_open_upper(struct vfs *v, const struct vfs_mount *m, const char *below);
/* Brings a lower file or symlink into the upper directory. */
int vfs_copy_up(struct vfs *v, struct vfs_node *n);
/* May whom the tree is used for do mode (R_OK, W_OK, X_OK) with what is there? */
int vfs_may(struct vfs *v, const struct vfs_node *n, int mode);
/* Looks the last component of n up in the lower layers alone: what would show if the upper one had it not. */
int vfs_lower_has(struct vfs *v, const struct vfs_node *n, bool *ret);
