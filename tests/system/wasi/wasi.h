/* SPDX-License-Identifier: Apache-2.0 */
/* The guest wasi-test: checks every function of WASI preview 1, by its import and not by libc's, since libc hides half of
 * what a host may get wrong. A test is a function that notes each check that fails and goes on; the program prints
 * "ok NAME" or "not ok NAME: the first that failed" for it. It has a directory of its own, open at `dir`.
 *
 * Source of names, types and numbers: the published witx of wasi_snapshot_preview1; numbers by wasi-libc's <wasi/api.h>. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

#define IMPORT(name)                                                                               \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))                   \
    uint32_t wasi_##name

IMPORT(args_get)(void *pointers, void *text);
IMPORT(args_sizes_get)(void *count, void *size);
IMPORT(environ_get)(void *pointers, void *text);
IMPORT(environ_sizes_get)(void *count, void *size);
IMPORT(clock_res_get)(uint32_t id, void *ns);
IMPORT(clock_time_get)(uint32_t id, uint64_t precision, void *ns);
IMPORT(fd_advise)(uint32_t fd, uint64_t at, uint64_t len, uint32_t advice);
IMPORT(fd_allocate)(uint32_t fd, uint64_t at, uint64_t len);
IMPORT(fd_close)(uint32_t fd);
IMPORT(fd_datasync)(uint32_t fd);
IMPORT(fd_fdstat_get)(uint32_t fd, void *stat);
IMPORT(fd_fdstat_set_flags)(uint32_t fd, uint32_t flags);
IMPORT(fd_fdstat_set_rights)(uint32_t fd, uint64_t base, uint64_t inheriting);
IMPORT(fd_filestat_get)(uint32_t fd, void *stat);
IMPORT(fd_filestat_set_size)(uint32_t fd, uint64_t size);
IMPORT(fd_filestat_set_times)(uint32_t fd, uint64_t atim, uint64_t mtim, uint32_t flags);
IMPORT(fd_pread)(uint32_t fd, const void *iov, uint32_t count, uint64_t at, void *n);
IMPORT(fd_prestat_get)(uint32_t fd, void *prestat);
IMPORT(fd_prestat_dir_name)(uint32_t fd, void *text, uint32_t size);
IMPORT(fd_pwrite)(uint32_t fd, const void *iov, uint32_t count, uint64_t at, void *n);
IMPORT(fd_read)(uint32_t fd, const void *iov, uint32_t count, void *n);
IMPORT(fd_readdir)(uint32_t fd, void *to, uint32_t size, uint64_t cookie, void *used);
IMPORT(fd_renumber)(uint32_t from, uint32_t to);
IMPORT(fd_seek)(uint32_t fd, int64_t offset, uint32_t whence, void *at);
IMPORT(fd_sync)(uint32_t fd);
IMPORT(fd_tell)(uint32_t fd, void *at);
IMPORT(fd_write)(uint32_t fd, const void *iov, uint32_t count, void *n);
IMPORT(path_create_directory)(uint32_t fd, const char *path, uint32_t len);
IMPORT(path_filestat_get)(uint32_t fd, uint32_t lookup, const char *path, uint32_t len, void *st);
IMPORT(path_filestat_set_times)
(uint32_t fd, uint32_t lookup, const char *path, uint32_t len, uint64_t atim, uint64_t mtim,
 uint32_t flags);
IMPORT(path_link)
(uint32_t fd, uint32_t lookup, const char *path, uint32_t len, uint32_t to_fd, const char *to,
 uint32_t to_len);
IMPORT(path_open)
(uint32_t fd, uint32_t lookup, const char *path, uint32_t len, uint32_t oflags, uint64_t rights,
 uint64_t inheriting, uint32_t fdflags, void *opened);
IMPORT(path_readlink)
(uint32_t fd, const char *path, uint32_t len, void *to, uint32_t size, void *used);
IMPORT(path_remove_directory)(uint32_t fd, const char *path, uint32_t len);
IMPORT(path_rename)
(uint32_t fd, const char *path, uint32_t len, uint32_t to_fd, const char *to, uint32_t to_len);
IMPORT(path_symlink)
(const char *target, uint32_t target_len, uint32_t fd, const char *path, uint32_t len);
IMPORT(path_unlink_file)(uint32_t fd, const char *path, uint32_t len);
IMPORT(poll_oneoff)(const void *subscriptions, void *events, uint32_t count, void *n);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) void
wasi_proc_exit(uint32_t code);
IMPORT(proc_raise)(uint32_t signal);
IMPORT(random_get)(void *to, uint32_t len);
IMPORT(sched_yield)(void);
IMPORT(sock_accept)(uint32_t fd, uint32_t flags, void *opened);
IMPORT(sock_recv)
(uint32_t fd, const void *iov, uint32_t count, uint32_t flags, void *n, void *flags_out);
IMPORT(sock_send)(uint32_t fd, const void *iov, uint32_t count, uint32_t flags, void *n);
IMPORT(sock_shutdown)(uint32_t fd, uint32_t how);

#define E(name) __WASI_ERRNO_##name
/* A path as its two arguments. */
#define P(text)    (text), (uint32_t)strlen(text)
#define RIGHTS_ALL ((UINT64_C(1) << 29) - 1)
#define RIGHTS_DIR                                                                                 \
    (RIGHTS_ALL & ~(__WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_ALLOCATE |                           \
                    __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | __WASI_RIGHTS_FD_DATASYNC))
#define FOLLOW      1u
#define IOV(p, len) (&(__wasi_iovec_t){(uint8_t *)(uintptr_t)(p), (len)}), 1

void check(const char *file, int line, const char *what, uint32_t is, uint32_t wanted);
/* Where more than one answer is right: another that is. */
void check_either(const char *file, int line, const char *what, uint32_t is, uint32_t a,
                  uint32_t b);
#define IS(call, wanted)   check(__FILE__, __LINE__, #call, (call), (wanted))
#define EITHER(call, a, b) check_either(__FILE__, __LINE__, #call, (call), (a), (b))
#define OK(call)           IS(call, 0)
#define CHECK(is)          check(__FILE__, __LINE__, #is, (is) ? 0 : UINT32_MAX, 0)

struct test {
    const char *name;
    void (*run)(void);
};
extern const struct test process_tests[], poll_tests[], fd_tests[], io_tests[], table_tests[],
    readdir_tests[], open_tests[], path_tests[], escape_tests[], change_tests[], memory_tests[];

void check_sockets(void);

extern uint32_t pre, dir; /* the preopen that is tested, and the test's own directory below it */
extern const char *name;  /* of the test, and of that directory */

/* path_open with all rights that there are for it, symlinks followed. */
uint32_t open_at(uint32_t at, const char *path, uint32_t oflags, uint32_t *fd);
/* A new file in dir, open for all. */
uint32_t make_file(const char *path, const char *text);
/* What a file in dir holds, for as long as no other is read; "?" where it cannot be read. */
const char *content(const char *path);
/* Its type, 255 where it is not there. */
uint8_t type_of(const char *path);
uint64_t now_ns(uint32_t clock);
