/* SPDX-License-Identifier: Apache-2.0 */
/* path_open. */
#include "wasi.h"

enum {
    CREAT = __WASI_OFLAGS_CREAT,
    DIRECTORY = __WASI_OFLAGS_DIRECTORY,
    EXCL = __WASI_OFLAGS_EXCL,
    TRUNC = __WASI_OFLAGS_TRUNC
};

static void create(void)
{
    uint32_t fd;
    IS(open_at(dir, "f", 0, &fd), E(NOENT));
    IS(open_at(dir, "f", EXCL, &fd), E(NOENT));
    IS(open_at(dir, "f", TRUNC, &fd), E(NOENT));
    OK(open_at(dir, "f", CREAT | EXCL, &fd));
    IS(open_at(dir, "f", CREAT | EXCL, &fd), E(EXIST));
    IS(open_at(dir, "f", CREAT | EXCL | TRUNC, &fd), E(EXIST));
    OK(open_at(dir, "f", CREAT, &fd));
    IS(open_at(dir, "f/", CREAT, &fd), E(NOTDIR));
    EITHER(open_at(dir, "new/", CREAT, &fd), E(ISDIR), E(NOENT));
    IS(open_at(dir, "none/f", CREAT, &fd), E(NOENT));
    IS(open_at(dir, "f/g", CREAT, &fd), E(NOTDIR));
    IS(type_of("new"), 255);
    OK(wasi_path_open(dir, 0, P("read"), CREAT, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    IS(type_of("read"), __WASI_FILETYPE_REGULAR_FILE);
}

static void truncate(void)
{
    uint32_t fd;
    wasi_fd_close(make_file("f", "text"));
    OK(open_at(dir, "f", 0, &fd));
    IS(strcmp(content("f"), "text"), 0);
    OK(open_at(dir, "f", CREAT, &fd));
    IS(strcmp(content("f"), "text"), 0);
    IS(open_at(dir, "f", CREAT | EXCL | TRUNC, &fd), E(EXIST));
    IS(strcmp(content("f"), "text"), 0); /* not emptied on the way */
    OK(open_at(dir, "f", TRUNC, &fd));
    IS(strcmp(content("f"), ""), 0);
}

static void directory(void)
{
    uint32_t fd;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(open_at(dir, "d", DIRECTORY, &fd));
    OK(wasi_path_open(dir, 0, P("d"), 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    OK(open_at(dir, "d/", DIRECTORY, &fd));
    IS(open_at(dir, "f", DIRECTORY, &fd), E(NOTDIR));
    IS(open_at(dir, "none", DIRECTORY, &fd), E(NOENT));
    IS(open_at(dir, "d", CREAT | EXCL, &fd), E(EXIST));
    IS(open_at(dir, "d", TRUNC, &fd), E(ISDIR));
    IS(wasi_path_open(dir, 0, P("d"), 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd), E(ISDIR));
    IS(open_at(dir, "d", DIRECTORY | CREAT, &fd), E(INVAL));
    IS(open_at(dir, "none", DIRECTORY | CREAT, &fd), E(INVAL));
    IS(type_of("none"), 255);
    CHECK(open_at(dir, "d", DIRECTORY | TRUNC, &fd) != 0);
    IS(open_at(1, "f", 0, &fd), E(NOTDIR));
    OK(open_at(dir, "f", 0, &fd));
    IS(open_at(fd, "f", 0, &fd), E(NOTDIR));
    IS(open_at(99, "f", 0, &fd), E(BADF));
}

static void append(void)
{
    uint32_t fd, n;
    uint64_t at;
    __wasi_fdstat_t st;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_open(dir, 0, P("f"), 0, RIGHTS_ALL, 0, __WASI_FDFLAGS_APPEND, &fd));
    OK(wasi_fd_fdstat_get(fd, &st));
    CHECK(st.fs_flags == __WASI_FDFLAGS_APPEND);
    OK(wasi_fd_write(fd, IOV("er", 2), &n));
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 6);
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(wasi_fd_write(fd, IOV("s", 1), &n));
    IS(strcmp(content("f"), "texters"), 0);
    OK(wasi_path_open(dir, 0, P("f"), TRUNC, RIGHTS_ALL, 0, __WASI_FDFLAGS_APPEND, &fd));
    OK(wasi_fd_write(fd, IOV("new", 3), &n));
    IS(strcmp(content("f"), "new"), 0);
    OK(wasi_path_open(dir, 0, P("g"), CREAT, RIGHTS_ALL, 0,
                      __WASI_FDFLAGS_SYNC | __WASI_FDFLAGS_DSYNC | __WASI_FDFLAGS_RSYNC, &fd));
    OK(wasi_fd_write(fd, IOV("new", 3), &n));
}

static void names(void)
{
    uint32_t fd;
    static char path[5000];
    memset(path, 'a', sizeof path - 1);
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    static const char *const good[] = {"./f", ".//f", "d/../f", "d/./../f", "d//..//f", "././f"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        IS(strcmp(content(good[i]), "text"), 0);
    OK(open_at(dir, ".", DIRECTORY, &fd));
    OK(open_at(dir, "d/..", DIRECTORY, &fd));
    IS(open_at(dir, "", 0, &fd), E(NOENT));
    IS(open_at(dir, "f/", 0, &fd), E(NOTDIR));
    IS(open_at(dir, "f/.", 0, &fd), E(NOTDIR));
    IS(open_at(dir, "f/..", 0, &fd), E(NOTDIR));
    IS(open_at(dir, "none/../f", 0, &fd), E(NOENT));
    IS(open_at(dir, path, 0, &fd), E(NAMETOOLONG));
    path[256] = 0;
    IS(open_at(dir, path, CREAT, &fd), E(NAMETOOLONG));
    path[255] = 0;
    OK(open_at(dir, path, CREAT, &fd));
    EITHER(wasi_path_open(dir, 0, "f\0g", 3, 0, RIGHTS_ALL, 0, 0, &fd), E(INVAL), E(ILSEQ));
    OK(open_at(dir, "ünïcode \t\n\"\\", CREAT, &fd));
    IS(open_at(dir, "ünïcode \t\n\"\\", CREAT | EXCL, &fd), E(EXIST));
}

static void symlinks(void)
{
    uint32_t fd;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P("f"), dir, P("to-f")));
    OK(wasi_path_symlink(P("d"), dir, P("to-d")));
    OK(wasi_path_symlink(P("none"), dir, P("to-none")));
    OK(wasi_path_symlink(P("../f"), dir, P("d/up")));
    IS(strcmp(content("to-f"), "text"), 0);
    IS(strcmp(content("d/up"), "text"), 0);
    IS(strcmp(content("to-d/up"), "text"), 0);
    IS(wasi_path_open(dir, 0, P("to-f"), 0, RIGHTS_ALL, 0, 0, &fd), E(LOOP));
    EITHER(wasi_path_open(dir, 0, P("to-d"), DIRECTORY, 0, 0, 0, &fd), E(LOOP), E(NOTDIR));
    OK(open_at(dir, "to-d", DIRECTORY, &fd));
    IS(open_at(dir, "to-f/", 0, &fd), E(NOTDIR));
    IS(open_at(dir, "to-none", 0, &fd), E(NOENT));
    IS(open_at(dir, "to-f", CREAT | EXCL, &fd), E(EXIST));
    IS(open_at(dir, "to-none", CREAT | EXCL, &fd), E(EXIST));
    OK(open_at(dir, "to-none", CREAT, &fd)); /* the target is made */
    IS(type_of("none"), __WASI_FILETYPE_REGULAR_FILE);
    IS(type_of("to-none"), __WASI_FILETYPE_SYMBOLIC_LINK);
}

static void loops(void)
{
    uint32_t fd;
    __wasi_filestat_t st;
    char from[16] = "f", to[16];
    OK(wasi_path_symlink(P("self"), dir, P("self")));
    OK(wasi_path_symlink(P("b"), dir, P("a")));
    OK(wasi_path_symlink(P("a"), dir, P("b")));
    IS(open_at(dir, "self", 0, &fd), E(LOOP));
    IS(open_at(dir, "a", 0, &fd), E(LOOP));
    IS(open_at(dir, "a", CREAT, &fd), E(LOOP));
    IS(open_at(dir, "a/x", CREAT, &fd), E(LOOP));
    IS(wasi_path_filestat_get(dir, FOLLOW, P("a"), &st), E(LOOP));
    OK(wasi_path_filestat_get(dir, 0, P("a"), &st));
    wasi_fd_close(make_file("f", "text"));
    for (int i = 0; i < 50; i++, strcpy(from, to)) {
        snprintf(to, sizeof to, "link-%d", i);
        OK(wasi_path_symlink(P(from), dir, P(to)));
    }
    IS(strcmp(content("link-30"), "text"), 0);
    IS(open_at(dir, "link-49", 0, &fd), E(LOOP)); /* Linux' bound is 40 */
}

static void flags(void)
{
    uint32_t fd;
    wasi_fd_close(make_file("f", "text"));
    IS(wasi_path_open(dir, 2, P("f"), 0, RIGHTS_ALL, 0, 0, &fd), E(INVAL));
    IS(wasi_path_open(dir, 0, P("f"), 16, RIGHTS_ALL, 0, 0, &fd), E(INVAL));
    IS(wasi_path_open(dir, 0, P("f"), 0, RIGHTS_ALL, 0, 32, &fd), E(INVAL));
}

const struct test open_tests[] = {
    {"open_create", create}, {"open_truncate", truncate},   {"open_directory", directory},
    {"open_append", append}, {"open_names", names},         {"open_symlinks", symlinks},
    {"open_loops", loops},   {"open_unknown_flags", flags}, {0}};
