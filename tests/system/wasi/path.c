/* SPDX-License-Identifier: Apache-2.0 */
/* Paths: what is asked of them, and how none leads out. */
#include "wasi.h"

static void filestat(void)
{
    __wasi_filestat_t st;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    OK(wasi_path_filestat_get(dir, 0, P("f"), &st));
    CHECK(st.filetype == __WASI_FILETYPE_REGULAR_FILE && st.size == 4 && st.nlink == 1);
    OK(wasi_path_filestat_get(dir, 0, P("s"), &st));
    CHECK(st.filetype == __WASI_FILETYPE_SYMBOLIC_LINK && st.size == 1);
    OK(wasi_path_filestat_get(dir, FOLLOW, P("s"), &st));
    CHECK(st.filetype == __WASI_FILETYPE_REGULAR_FILE);
    OK(wasi_path_filestat_get(dir, 0, P("d/"), &st));
    CHECK(st.filetype == __WASI_FILETYPE_DIRECTORY);
    OK(wasi_path_filestat_get(dir, 0, P("."), &st));
    CHECK(st.filetype == __WASI_FILETYPE_DIRECTORY);
    IS(wasi_path_filestat_get(dir, 0, P("f/"), &st), E(NOTDIR));
    IS(wasi_path_filestat_get(dir, 0, P("f/g"), &st), E(NOTDIR));
    IS(wasi_path_filestat_get(dir, 0, P("none"), &st), E(NOENT));
    IS(wasi_path_filestat_get(dir, 0, P(""), &st), E(NOENT));
    IS(wasi_path_filestat_get(1, 0, P("f"), &st), E(NOTDIR));
    IS(wasi_path_filestat_get(99, 0, P("f"), &st), E(BADF));
}

static void set_times(void)
{
    __wasi_filestat_t st, link;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    OK(wasi_path_filestat_set_times(dir, 0, P("f"), 1, 2, 5));
    OK(wasi_path_filestat_get(dir, 0, P("f"), &st));
    CHECK(st.atim == 1 && st.mtim == 2);
    OK(wasi_path_filestat_set_times(dir, FOLLOW, P("s"), 3, 4, 5));
    OK(wasi_path_filestat_get(dir, 0, P("f"), &st));
    CHECK(st.atim == 3 && st.mtim == 4);
    OK(wasi_path_filestat_set_times(dir, 0, P("s"), 5, 6, 5)); /* the link's own */
    OK(wasi_path_filestat_get(dir, 0, P("f"), &st));
    OK(wasi_path_filestat_get(dir, 0, P("s"), &link));
    CHECK(st.mtim == 4 && link.mtim == 6);
    OK(wasi_path_filestat_set_times(dir, 0, P("f"), 9, 9, 2 | 8));
    OK(wasi_path_filestat_get(dir, 0, P("f"), &st));
    CHECK(st.atim > UINT64_C(1700000000000000000) && st.mtim > UINT64_C(1700000000000000000));
    IS(wasi_path_filestat_set_times(dir, 0, P("f"), 0, 0, 3), E(INVAL));
    IS(wasi_path_filestat_set_times(dir, 0, P("f"), 0, 0, 12), E(INVAL));
    IS(wasi_path_filestat_set_times(dir, 0, P("none"), 0, 0, 5), E(NOENT));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_filestat_set_times(dir, 0, P("d"), 7, 8, 5));
    OK(wasi_path_filestat_get(dir, 0, P("d"), &st));
    CHECK(st.mtim == 8);
}

static void read_link(void)
{
    char text[16];
    uint32_t n = 0;
    OK(wasi_path_symlink(P("some/target"), dir, P("s")));
    OK(wasi_path_readlink(dir, P("s"), text, sizeof text, &n));
    CHECK(n == 11 && !memcmp(text, "some/target", 11));
    memset(text, '#', sizeof text);
    OK(wasi_path_readlink(dir, P("s"), text, 4, &n));
    CHECK(n == 4 && !memcmp(text, "some#", 5));
    wasi_fd_close(make_file("f", "text"));
    IS(wasi_path_readlink(dir, P("f"), text, sizeof text, &n), E(INVAL));
    IS(wasi_path_readlink(dir, P("none"), text, sizeof text, &n), E(NOENT));
    IS(wasi_path_readlink(dir, P(""), text, sizeof text, &n), E(NOENT));
    IS(wasi_path_readlink(99, P("s"), text, sizeof text, &n), E(BADF));
}

/* No function takes these: they lead above the directory. */
static void leaves(const char *path)
{
    __wasi_filestat_t st;
    uint32_t fd, n;
    char text[16];
    IS(open_at(dir, path, 0, &fd), E(PERM));
    IS(open_at(dir, path, __WASI_OFLAGS_CREAT, &fd), E(PERM));
    IS(wasi_path_filestat_get(dir, 0, P(path), &st), E(PERM));
    IS(wasi_path_filestat_set_times(dir, 0, P(path), 1, 1, 5), E(PERM));
    IS(wasi_path_create_directory(dir, P(path)), E(PERM));
    IS(wasi_path_remove_directory(dir, P(path)), E(PERM));
    IS(wasi_path_unlink_file(dir, P(path)), E(PERM));
    IS(wasi_path_readlink(dir, P(path), text, sizeof text, &n), E(PERM));
    IS(wasi_path_symlink(P("f"), dir, P(path)), E(PERM));
    IS(wasi_path_link(dir, 0, P(path), dir, P("new")), E(PERM));
    IS(wasi_path_link(dir, 0, P("f"), dir, P(path)), E(PERM));
    IS(wasi_path_rename(dir, P(path), dir, P("new")), E(PERM));
    IS(wasi_path_rename(dir, P("f"), dir, P(path)), E(PERM));
    IS(type_of("new"), 255);
    IS(strcmp(content("f"), "text"), 0);
}

static void dots(void)
{
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    leaves("../other");
    leaves("d/../../other");
    leaves("./../other");
    leaves("../escape_dots/f"); /* even where it comes back */
    leaves("d/../../../../../../../../etc/passwd");
}

static void absolute(void)
{
    wasi_fd_close(make_file("f", "text"));
    leaves("/f");
    leaves("//f");
    leaves("/");
    leaves("/etc/passwd");
}

static void by_symlink(void)
{
    __wasi_filestat_t st;
    uint32_t fd;
    static const char *const ways[] = {"up/f", "two/f", "root/etc/passwd", "in/out/f"};
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P(".."), dir, P("up")));
    OK(wasi_path_symlink(P("d/../../x"), dir, P("two")));
    OK(wasi_path_symlink(P("d"), dir, P("in")));
    OK(wasi_path_symlink(P("../../x"), dir, P("d/out")));
    if (wasi_path_symlink(P("/"), dir, P("root"))) /* some hosts make no absolute ones */
        OK(wasi_path_symlink(P("../.."), dir, P("root")));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        leaves(ways[i]);
    IS(open_at(dir, "up", __WASI_OFLAGS_DIRECTORY, &fd), E(PERM));
    IS(wasi_path_filestat_get(dir, FOLLOW, P("two"), &st), E(PERM));
    OK(wasi_path_filestat_get(dir, 0, P("up"), &st)); /* the link itself is in */
    OK(wasi_path_unlink_file(dir, P("up")));
}

const struct test path_tests[] = {{"path_filestat_get", filestat},
                                  {"path_filestat_set_times", set_times},
                                  {"path_readlink", read_link},
                                  {0}};
const struct test escape_tests[] = {
    {"escape_dots", dots}, {"escape_absolute", absolute}, {"escape_symlink", by_symlink}, {0}};
