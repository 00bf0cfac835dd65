/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a root that is not ours, for programs that have no glibc; base/file.h has the like for others. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* openat2 with "/" and symlinks meaning root; no magic links. The descriptor (O_CLOEXEC) or -errno. */
int root_open(int root, const char *path, int flags);
/* Opens path (O_PATH) and makes what is missing of it: directories of mode 0755, the last one a file of
 * mode 0644 where file is set. The descriptor or -errno. */
int root_make(int root, const char *path, bool file);
/* Opens path's directory, made where missing, and sets *ret_name to its last component. */
int root_make_parent(int root, const char *path, const char **ret_name);
