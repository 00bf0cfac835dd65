/* SPDX-License-Identifier: Apache-2.0 */
/* Making, removing, renaming and linking names. */
#include "wasi.h"

#define DIR_TYPE __WASI_FILETYPE_DIRECTORY

static void create_directory(void)
{
    OK(wasi_path_create_directory(dir, P("d")));
    IS(wasi_path_create_directory(dir, P("d")), E(EXIST));
    OK(wasi_path_create_directory(dir, P("slash/")));
    IS(type_of("slash"), DIR_TYPE);
    wasi_fd_close(make_file("f", "text"));
    IS(wasi_path_create_directory(dir, P("f")), E(EXIST));
    IS(wasi_path_create_directory(dir, P("f/d")), E(NOTDIR));
    IS(wasi_path_create_directory(dir, P("none/d")), E(NOENT));
    IS(wasi_path_create_directory(dir, P("")), E(NOENT));
    CHECK(wasi_path_create_directory(dir, P(".")) != 0);
    OK(wasi_path_symlink(P("target"), dir, P("dangling")));
    IS(wasi_path_create_directory(dir, P("dangling")), E(EXIST));
    OK(wasi_path_create_directory(dir, P("d/e/")));
    OK(wasi_path_create_directory(dir, P("d/e/../g")));
    IS(type_of("d/g"), DIR_TYPE);
}

static void remove_directory(void)
{
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_create_directory(dir, P("d/e")));
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_symlink(P("d"), dir, P("s")));
    IS(wasi_path_remove_directory(dir, P("d")), E(NOTEMPTY));
    IS(wasi_path_remove_directory(dir, P("f")), E(NOTDIR));
    IS(wasi_path_remove_directory(dir, P("s")), E(NOTDIR));
    IS(wasi_path_remove_directory(dir, P("none")), E(NOENT));
    IS(wasi_path_remove_directory(dir, P("")), E(NOENT));
    CHECK(wasi_path_remove_directory(dir, P("d/e/.")) != 0);
    OK(wasi_path_remove_directory(dir, P("d/e/")));
    OK(wasi_path_remove_directory(dir, P("d")));
    IS(type_of("d"), 255);
    OK(wasi_path_create_directory(dir, P("d"))); /* and again */
    IS(wasi_path_remove_directory(dir, P("d/none")), E(NOENT));
}

static void unlink_file(void)
{
    char text[4];
    uint32_t n, fd = make_file("f", "text");
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    OK(wasi_path_symlink(P("d"), dir, P("sd")));
    IS(wasi_path_unlink_file(dir, P("d")), E(ISDIR));
    IS(wasi_path_unlink_file(dir, P("f/")), E(NOTDIR));
    IS(wasi_path_unlink_file(dir, P("none")), E(NOENT));
    IS(wasi_path_unlink_file(dir, P("")), E(NOENT));
    OK(wasi_path_unlink_file(dir, P("s"))); /* the link, not what it names */
    OK(wasi_path_unlink_file(dir, P("sd")));
    IS(type_of("d"), DIR_TYPE);
    IS(strcmp(content("f"), "text"), 0);
    OK(wasi_path_unlink_file(dir, P("f")));
    IS(type_of("f"), 255);
    OK(wasi_fd_pread(fd, IOV(text, 4), 0, &n)); /* what is open stays */
    CHECK(n == 4 && !memcmp(text, "text", 4));
}

static void symlink_(void)
{
    char text[16];
    uint32_t n = 0;
    OK(wasi_path_symlink(P("x"), dir, P("s")));
    IS(wasi_path_symlink(P("y"), dir, P("s")), E(EXIST));
    wasi_fd_close(make_file("f", "text"));
    IS(wasi_path_symlink(P("y"), dir, P("f")), E(EXIST));
    IS(wasi_path_symlink(P("y"), dir, P("none/s")), E(NOENT));
    IS(wasi_path_symlink(P("y"), dir, P("")), E(NOENT));
    IS(wasi_path_symlink(P(""), dir, P("empty")), E(NOENT));
    CHECK(wasi_path_symlink(P("y"), dir, P("new/")) != 0);
    OK(wasi_path_symlink(P("/etc/motd"), dir, P("absolute"))); /* a guest's root is its own */
    OK(wasi_path_readlink(dir, P("absolute"), text, sizeof text, &n));
    CHECK(n == 9 && !memcmp(text, "/etc/motd", 9));
    IS(wasi_path_symlink(P("y"), 99, P("s")), E(BADF));
    IS(wasi_path_symlink(P("y"), 1, P("s")), E(NOTDIR));
}

static void link_(void)
{
    __wasi_filestat_t a, b;
    uint32_t n, fd = make_file("f", "text");
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    OK(wasi_path_link(dir, 0, P("f"), dir, P("d/g")));
    OK(wasi_path_filestat_get(dir, 0, P("f"), &a));
    OK(wasi_path_filestat_get(dir, 0, P("d/g"), &b));
    CHECK(a.ino == b.ino && a.nlink == 2 && b.nlink == 2);
    OK(wasi_fd_pwrite(fd, IOV("T", 1), 0, &n));
    IS(strcmp(content("d/g"), "Text"), 0);
    IS(wasi_path_link(dir, 0, P("f"), dir, P("d/g")), E(EXIST));
    IS(wasi_path_link(dir, 0, P("none"), dir, P("new")), E(NOENT));
    IS(wasi_path_link(dir, 0, P("f"), dir, P("none/new")), E(NOENT));
    EITHER(wasi_path_link(dir, 0, P("d"), dir, P("new")), E(PERM), E(ACCES));
    IS(wasi_path_link(dir, 0, P("f/"), dir, P("new")), E(NOTDIR));
    IS(wasi_path_link(dir, 0, P("f"), dir, P("new/")), E(NOENT));
    OK(wasi_path_link(dir, 0, P("s"), dir, P("s2"))); /* the symlink itself */
    IS(type_of("s2"), __WASI_FILETYPE_SYMBOLIC_LINK);
    EITHER(wasi_path_link(dir, FOLLOW, P("s"), dir, P("f2")), 0, E(INVAL));
}

static void rename_files(void)
{
    wasi_fd_close(make_file("a", "of a"));
    wasi_fd_close(make_file("b", "of b"));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_rename(dir, P("a"), dir, P("a")));
    IS(strcmp(content("a"), "of a"), 0);
    OK(wasi_path_rename(dir, P("a"), dir, P("b")));
    IS(strcmp(content("b"), "of a"), 0);
    IS(type_of("a"), 255);
    OK(wasi_path_rename(dir, P("b"), dir, P("d/c")));
    IS(strcmp(content("d/c"), "of a"), 0);
    IS(wasi_path_rename(dir, P("none"), dir, P("x")), E(NOENT));
    IS(wasi_path_rename(dir, P("d/c"), dir, P("none/x")), E(NOENT));
    IS(wasi_path_rename(dir, P("d/c"), dir, P("d")), E(ISDIR));
    IS(wasi_path_rename(dir, P("d/c/"), dir, P("x")), E(NOTDIR));
    IS(wasi_path_rename(dir, P("d/c"), dir, P("x/")), E(NOTDIR));
    IS(wasi_path_rename(dir, P(""), dir, P("x")), E(NOENT));
    IS(wasi_path_rename(dir, P("d/c"), dir, P("")), E(NOENT));
    OK(wasi_path_symlink(P("none"), dir, P("s")));
    OK(wasi_path_rename(dir, P("s"), dir, P("t"))); /* the link itself */
    IS(type_of("t"), __WASI_FILETYPE_SYMBOLIC_LINK);
    IS(wasi_path_rename(99, P("t"), dir, P("x")), E(BADF));
    IS(wasi_path_rename(dir, P("t"), 99, P("x")), E(BADF));
}

static void rename_directories(void)
{
    OK(wasi_path_create_directory(dir, P("a")));
    wasi_fd_close(make_file("a/f", "text"));
    OK(wasi_path_create_directory(dir, P("empty")));
    OK(wasi_path_create_directory(dir, P("full")));
    OK(wasi_path_create_directory(dir, P("full/x")));
    wasi_fd_close(make_file("file", "text"));
    IS(wasi_path_rename(dir, P("a"), dir, P("full")), E(NOTEMPTY));
    IS(wasi_path_rename(dir, P("a"), dir, P("file")), E(NOTDIR));
    IS(wasi_path_rename(dir, P("a"), dir, P("a/inside")), E(INVAL));
    OK(wasi_path_rename(dir, P("a"), dir, P("empty")));
    IS(strcmp(content("empty/f"), "text"), 0);
    OK(wasi_path_rename(dir, P("empty/"), dir, P("new/")));
    IS(strcmp(content("new/f"), "text"), 0);
    IS(type_of("empty"), 255);
}

const struct test change_tests[] = {{"path_create_directory", create_directory},
                                    {"path_remove_directory", remove_directory},
                                    {"path_unlink_file", unlink_file},
                                    {"path_symlink", symlink_},
                                    {"path_link", link_},
                                    {"rename_files", rename_files},
                                    {"rename_directories", rename_directories},
                                    {0}};
