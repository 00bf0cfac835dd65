/* SPDX-License-Identifier: Apache-2.0 */
/* Files and paths. Functions take a directory descriptor first (AT_FDCWD where the path is our
 * own). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

struct error;

/* Appends the whole file to b, at most max bytes; -EFBIG where it is longer. */
int file_read(int dir, const char *path, size_t max, struct buffer *b, struct error *err);

/* Writes data over an existing kernel or cgroup file by one write(2). */
int file_write(int dir, const char *path, const char *text, struct error *err);

/* Replaces path by data so that a reader sees the old or the new whole: temporary name, rename.
 * sync: also durable over a power cut (fsync of file and directory). */
int file_replace(int dir, const char *path, const void *data, size_t len, mode_t mode, bool sync,
                 struct error *err);

/* mkdir -p. Existing directories are left as they are. */
int dir_make(int dir, const char *path, mode_t mode, struct error *err);

/* rm -rf, never leaving the file system of path, never following a symlink; a path that is not
 * there is no error. Mount points below are not entered: -EBUSY then. */
int dir_remove(int dir, const char *path, struct error *err);

/* Writes all of data, over short writes and EINTR. 0 or -errno. For blocking descriptors. */
int fd_write_all(int fd, const void *data, size_t len);

struct msghdr;
/* The descriptors that came with m, which recvmsg(2) filled: the first room of them in fds, the others are closed. How many came. */
size_t fd_received(const struct msghdr *m, int *fds, size_t room);

/* Opens path below dir as if dir were "/": openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), so
 * that no symlink in an image leads out. flags get O_CLOEXEC. The descriptor or -errno. */
int path_open_in_root(int dir, const char *path, int flags, mode_t mode);

/* mkdir -p below dir as if dir were "/", symlinks resolved inside. Returns an O_PATH descriptor of
 * the last directory, or -errno. */
int path_make_in_root(int dir, const char *path, mode_t mode);
