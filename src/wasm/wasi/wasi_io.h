/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, seeking: host functions that wasi_fd.c has in its table. */
#pragma once

#include "wasm/wasi/wasi.h"

wasi_function wasi_fd_pread, wasi_fd_pwrite, wasi_fd_read, wasi_fd_write, wasi_fd_seek,
    wasi_fd_tell;
