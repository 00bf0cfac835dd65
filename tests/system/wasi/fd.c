/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of and set on an open descriptor. */
#include "wasi.h"

static void advise(void)
{
    uint32_t fd = make_file("f", "text");
    for (uint32_t advice = 0; advice < 6; advice++)
        OK(wasi_fd_advise(fd, 0, 0, advice));
    OK(wasi_fd_advise(fd, 1000, 1000, 0));
    IS(wasi_fd_advise(fd, 0, 0, 6), E(INVAL));
    IS(wasi_fd_advise(99, 0, 0, 0), E(BADF));
    CHECK(wasi_fd_advise(1, 0, 0, 0) != 0);
}

static void allocate(void)
{
    __wasi_filestat_t st;
    uint32_t fd = make_file("f", "text");
    OK(wasi_fd_allocate(fd, 0, 100));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 100);
    OK(wasi_fd_allocate(fd, 10, 10));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 100); /* never shorter */
    IS(strcmp(content("f"), "text"), 0);
    IS(wasi_fd_allocate(fd, 0, 0), E(INVAL));
    CHECK(wasi_fd_allocate(fd, UINT64_MAX, 1) != 0);
    CHECK(wasi_fd_allocate(fd, INT64_MAX, INT64_MAX) != 0);
    IS(wasi_fd_allocate(99, 0, 1), E(BADF));
    CHECK(wasi_fd_allocate(dir, 0, 1) != 0);
}

static void fdstat(void)
{
    __wasi_fdstat_t st;
    uint32_t fd = make_file("f", "text");
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_filetype == __WASI_FILETYPE_REGULAR_FILE && st.fs_flags == 0);
    CHECK(st.fs_rights_base & __WASI_RIGHTS_FD_READ && st.fs_rights_base & __WASI_RIGHTS_FD_WRITE);
    OK(wasi_fd_fdstat_get(dir, &st));
    CHECK(st.fs_filetype == __WASI_FILETYPE_DIRECTORY);
    CHECK(st.fs_rights_base & __WASI_RIGHTS_PATH_OPEN);
    OK(wasi_fd_fdstat_get(1, &st));
    CHECK(st.fs_filetype == __WASI_FILETYPE_CHARACTER_DEVICE);
    CHECK(!(st.fs_rights_base & (__WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL))); /* isatty(3) */
    IS(wasi_fd_fdstat_get(99, &st), E(BADF));
    IS(wasi_fd_fdstat_get(UINT32_MAX, &st), E(BADF));
}

static void set_flags(void)
{
    __wasi_fdstat_t st;
    uint64_t at;
    uint32_t n, fd = make_file("f", "text");
    OK(wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_flags == __WASI_FDFLAGS_APPEND);
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(wasi_fd_write(fd, IOV("er", 2), &n));
    IS(strcmp(content("f"), "texter"), 0);
    OK(wasi_fd_fdstat_set_flags(fd, 0));
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_flags == 0);
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(wasi_fd_write(fd, IOV("T", 1), &n));
    IS(strcmp(content("f"), "Texter"), 0);
    OK(wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK));
    EITHER(wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_SYNC), E(NOTSUP), E(INVAL));
    EITHER(wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_DSYNC), E(NOTSUP), E(INVAL));
    IS(wasi_fd_fdstat_set_flags(fd, 32), E(INVAL));
    IS(wasi_fd_fdstat_set_flags(99, 0), E(BADF));
}

/* Rights can be given away, and are gone. */
static void set_rights(void)
{
    __wasi_fdstat_t st;
    uint64_t at;
    uint32_t n, fd = make_file("f", "text");
    char text[4];
    OK(wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK, 0));
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_rights_base == (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK));
    EITHER(wasi_fd_write(fd, IOV("x", 1), &n), E(BADF), E(NOTCAPABLE));
    IS(wasi_fd_filestat_set_size(fd, 0), E(NOTCAPABLE));
    IS(wasi_fd_allocate(fd, 0, 1), E(NOTCAPABLE));
    IS(wasi_fd_tell(fd, &at), E(NOTCAPABLE));
    IS(wasi_fd_filestat_get(fd, &(__wasi_filestat_t){0}), E(NOTCAPABLE));
    OK(wasi_fd_pread(fd, IOV(text, 4), 0, &n));
    IS(wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_WRITE, 0), E(NOTCAPABLE));
    IS(wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ, 1), E(NOTCAPABLE));
    IS(wasi_fd_fdstat_set_rights(99, 0, 0), E(BADF));
}

/* Of a directory: what it has not, is not done below it; what it does not hand on, what is opened there has not. */
static void dir_rights(void)
{
    __wasi_fdstat_t st;
    __wasi_filestat_t fst;
    uint32_t d, fd, n;
    char text[8];
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_open(pre, 0, P(name), __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_PATH_OPEN,
                      __WASI_RIGHTS_FD_READ, 0, &d));
    OK(wasi_path_open(d, 0, P("f"), 0, RIGHTS_ALL, RIGHTS_ALL, 0, &fd));
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_rights_base == __WASI_RIGHTS_FD_READ && st.fs_rights_inheriting == 0);
    EITHER(wasi_fd_write(fd, IOV("x", 1), &n), E(BADF), E(NOTCAPABLE));
    IS(wasi_path_filestat_get(d, 0, P("f"), &fst), E(NOTCAPABLE));
    IS(wasi_path_unlink_file(d, P("f")), E(NOTCAPABLE));
    IS(wasi_path_rename(d, P("f"), dir, P("g")), E(NOTCAPABLE));
    IS(wasi_path_rename(dir, P("f"), d, P("g")), E(NOTCAPABLE));
    IS(wasi_path_link(dir, 0, P("f"), d, P("g")), E(NOTCAPABLE));
    IS(wasi_path_create_directory(d, P("g")), E(NOTCAPABLE));
    IS(wasi_path_remove_directory(d, P("g")), E(NOTCAPABLE));
    IS(wasi_path_symlink(P("f"), d, P("g")), E(NOTCAPABLE));
    IS(wasi_path_readlink(d, P("f"), text, 8, &n), E(NOTCAPABLE));
    IS(wasi_path_filestat_set_times(d, 0, P("f"), 1, 1, 5), E(NOTCAPABLE));
    IS(wasi_fd_readdir(d, text, 8, 0, &n), E(NOTCAPABLE));
    IS(open_at(d, "new", __WASI_OFLAGS_CREAT, &fd), E(NOTCAPABLE));
    IS(open_at(d, "f", __WASI_OFLAGS_TRUNC, &fd), E(NOTCAPABLE));
}

static void filestat(void)
{
    __wasi_filestat_t st, by_path;
    uint32_t fd = make_file("f", "text");
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.filetype == __WASI_FILETYPE_REGULAR_FILE && st.size == 4 && st.nlink == 1);
    OK(wasi_path_filestat_get(dir, 0, P("f"), &by_path));
    CHECK(st.ino == by_path.ino && st.dev == by_path.dev && st.mtim == by_path.mtim);
    OK(wasi_fd_filestat_get(dir, &st));
    CHECK(st.filetype == __WASI_FILETYPE_DIRECTORY);
    OK(wasi_path_filestat_get(pre, 0, P(name), &by_path));
    CHECK(st.ino == by_path.ino && st.dev == by_path.dev);
    OK(wasi_fd_filestat_get(1, &st));
    CHECK(st.filetype == __WASI_FILETYPE_CHARACTER_DEVICE);
    IS(wasi_fd_filestat_get(99, &st), E(BADF));
}

static void set_size(void)
{
    __wasi_filestat_t st;
    uint32_t n, fd = make_file("f", "text");
    char text[8];
    OK(wasi_fd_filestat_set_size(fd, 2));
    IS(strcmp(content("f"), "te"), 0);
    OK(wasi_fd_filestat_set_size(fd, 6));
    OK(wasi_fd_pread(fd, IOV(text, 8), 0, &n));
    CHECK(n == 6 && !memcmp(text, "te\0\0\0\0", 6));
    EITHER(wasi_fd_filestat_set_size(fd, UINT64_MAX), E(INVAL), E(FBIG));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 6);
    n = wasi_fd_filestat_set_size(fd, INT64_MAX); /* tmpfs has files of that size, ext4 has not */
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(n ? st.size == 6 : st.size == INT64_MAX);
    CHECK(wasi_fd_filestat_set_size(dir, 0) != 0);
    IS(wasi_fd_filestat_set_size(99, 0), E(BADF));
}

enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };

static void set_times(void)
{
    __wasi_filestat_t st;
    uint32_t fd = make_file("f", "text");
    OK(wasi_fd_filestat_set_times(fd, UINT64_C(1000000000), UINT64_C(2000000001), ATIM | MTIM));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.atim == UINT64_C(1000000000) && st.mtim == UINT64_C(2000000001));
    OK(wasi_fd_filestat_set_times(fd, 5, 5, MTIM));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.atim == UINT64_C(1000000000) && st.mtim == 5);
    OK(wasi_fd_filestat_set_times(fd, 5, 5, 0));
    uint64_t before = now_ns(0) - 1000000000;
    OK(wasi_fd_filestat_set_times(fd, 5, 5, ATIM | MTIM_NOW));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.atim == 5 && st.mtim > before && st.mtim < now_ns(0) + 1000000000);
    IS(wasi_fd_filestat_set_times(fd, 0, 0, ATIM | ATIM_NOW), E(INVAL));
    IS(wasi_fd_filestat_set_times(fd, 0, 0, MTIM | MTIM_NOW), E(INVAL));
    IS(wasi_fd_filestat_set_times(fd, 0, 0, 16), E(INVAL));
    OK(wasi_fd_filestat_set_times(dir, 7, 8, ATIM | MTIM));
    OK(wasi_fd_filestat_get(dir, &st));
    CHECK(st.mtim == 8);
    IS(wasi_fd_filestat_set_times(99, 0, 0, 0), E(BADF));
}

static void syncing(void)
{
    uint32_t fd = make_file("f", "text");
    OK(wasi_fd_sync(fd));
    OK(wasi_fd_datasync(fd));
    OK(wasi_fd_sync(dir));
    IS(wasi_fd_sync(99), E(BADF));
    IS(wasi_fd_datasync(99), E(BADF));
    CHECK(wasi_fd_sync(1) != E(BADF));
}

const struct test fd_tests[] = {{"fd_advise", advise},
                                {"fd_allocate", allocate},
                                {"fd_fdstat_get", fdstat},
                                {"fd_fdstat_set_flags", set_flags},
                                {"fd_fdstat_set_rights", set_rights},
                                {"dir_rights", dir_rights},
                                {"fd_filestat_get", filestat},
                                {"fd_filestat_set_size", set_size},
                                {"fd_filestat_set_times", set_times},
                                {"fd_sync", syncing},
                                {0}};
