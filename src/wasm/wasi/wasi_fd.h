/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the published witx that the descriptor and path functions share. */
#pragma once

#include <stdint.h>

#include "wasm/wasi/wasi.h"

enum {
    RIGHT_FD_DATASYNC = 1u << 0,
    RIGHT_FD_READ = 1u << 1,
    RIGHT_FD_SEEK = 1u << 2,
    RIGHT_FDSTAT_SET_FLAGS = 1u << 3,
    RIGHT_FD_SYNC = 1u << 4,
    RIGHT_FD_TELL = 1u << 5,
    RIGHT_FD_WRITE = 1u << 6,
    RIGHT_FD_ADVISE = 1u << 7,
    RIGHT_FD_ALLOCATE = 1u << 8,
    RIGHT_PATH_CREATE_DIRECTORY = 1u << 9,
    RIGHT_PATH_CREATE_FILE = 1u << 10,
    RIGHT_PATH_LINK_SOURCE = 1u << 11,
    RIGHT_PATH_LINK_TARGET = 1u << 12,
    RIGHT_PATH_OPEN = 1u << 13,
    RIGHT_FD_READDIR = 1u << 14,
    RIGHT_PATH_READLINK = 1u << 15,
    RIGHT_PATH_RENAME_SOURCE = 1u << 16,
    RIGHT_PATH_RENAME_TARGET = 1u << 17,
    RIGHT_PATH_FILESTAT_GET = 1u << 18,
    RIGHT_PATH_FILESTAT_SET_SIZE = 1u << 19,
    RIGHT_PATH_FILESTAT_SET_TIMES = 1u << 20,
    RIGHT_FD_FILESTAT_GET = 1u << 21,
    RIGHT_FD_FILESTAT_SET_SIZE = 1u << 22,
    RIGHT_FD_FILESTAT_SET_TIMES = 1u << 23,
    RIGHT_PATH_SYMLINK = 1u << 24,
    RIGHT_PATH_REMOVE_DIRECTORY = 1u << 25,
    RIGHT_PATH_UNLINK_FILE = 1u << 26,
    RIGHT_POLL = 1u << 27,
    RIGHT_SOCK_SHUTDOWN = 1u << 28,
    RIGHT_SOCK_ACCEPT = 1u << 29,

    RIGHTS_FILE_READ = RIGHT_FD_READ | RIGHT_FD_SEEK | RIGHT_FDSTAT_SET_FLAGS | RIGHT_FD_SYNC |
                       RIGHT_FD_TELL | RIGHT_FD_ADVISE | RIGHT_FD_FILESTAT_GET | RIGHT_POLL,
    RIGHTS_FILE_WRITE = RIGHT_FD_DATASYNC | RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE |
                        RIGHT_FD_FILESTAT_SET_SIZE | RIGHT_FD_FILESTAT_SET_TIMES,
    RIGHTS_DIR_READ = RIGHT_PATH_OPEN | RIGHT_FD_READDIR | RIGHT_PATH_READLINK |
                      RIGHT_PATH_FILESTAT_GET | RIGHT_FD_FILESTAT_GET | RIGHT_PATH_LINK_SOURCE,
    RIGHTS_DIR_WRITE =
        RIGHT_PATH_CREATE_DIRECTORY | RIGHT_PATH_CREATE_FILE | RIGHT_PATH_LINK_TARGET |
        RIGHT_PATH_RENAME_SOURCE | RIGHT_PATH_RENAME_TARGET | RIGHT_PATH_FILESTAT_SET_SIZE |
        RIGHT_PATH_FILESTAT_SET_TIMES | RIGHT_FD_FILESTAT_SET_TIMES | RIGHT_PATH_SYMLINK |
        RIGHT_PATH_REMOVE_DIRECTORY | RIGHT_PATH_UNLINK_FILE | RIGHT_FD_SYNC,
    RIGHTS_DIR = RIGHTS_DIR_READ | RIGHTS_DIR_WRITE,
    RIGHTS_ALL = RIGHTS_FILE_READ | RIGHTS_FILE_WRITE | RIGHTS_DIR,
};

enum {
    FDFLAG_APPEND = 1,
    FDFLAG_DSYNC = 2,
    FDFLAG_NONBLOCK = 4,
    FDFLAG_RSYNC = 8,
    FDFLAG_SYNC = 16,
    FDFLAGS_ALL = 31
};
enum { OFLAG_CREAT = 1, OFLAG_DIRECTORY = 2, OFLAG_EXCL = 4, OFLAG_TRUNC = 8, OFLAGS_ALL = 15 };
enum { LOOKUP_FOLLOW = 1 };
enum { FST_ATIM = 1, FST_ATIM_NOW = 2, FST_MTIM = 4, FST_MTIM_NOW = 8, FST_ALL = 15 };
enum {
    FILETYPE_UNKNOWN,
    FILETYPE_BLOCK_DEVICE,
    FILETYPE_CHARACTER_DEVICE,
    FILETYPE_DIRECTORY,
    FILETYPE_REGULAR,
    FILETYPE_SOCKET_DGRAM,
    FILETYPE_SOCKET_STREAM,
    FILETYPE_SYMLINK,
};

struct files_request;
struct files_stat;
struct job;
uint8_t wasi_filetype(uint32_t mode);
uint32_t wasi_store_stat(const struct wasi_call *c, uint64_t at, const struct files_stat *st);
/* Sends the request: WASI_PARK, or why not. */
uint32_t wasi_ask(struct wasi_call *c, struct files_request *r);
uint32_t wasi_ask_about(struct wasi_call *c, struct files_request *r,
                        int fd); /* with a descriptor */
/* What the guest waited for, in a resumed call: WASI_PARK where it is not there yet, the failure, or WASI_SUCCESS and the job, the
 * caller's to free (ret may be NULL). */
uint32_t wasi_answer(struct wasi_call *c, struct job **ret);
/* The same of FILES_STAT, stored at. */
uint32_t wasi_stat_answer(struct wasi_call *c, uint64_t at);
/* WASI's times and flags as utimensat(2) wants them; WASI_INVAL where both of a pair or unknown flags are set. */
uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint64_t flags, struct timespec times[2]);
