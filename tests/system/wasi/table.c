/* SPDX-License-Identifier: Apache-2.0 */
/* The table of descriptors, preopens, and what fd_readdir gives of a directory. */
#include "wasi.h"

#include <stdlib.h>

static void closing(void)
{
    uint32_t again, fd = make_file("f", "text"), second;
    OK(open_at(dir, "f", 0, &second));
    OK(wasi_fd_close(fd));
    IS(wasi_fd_close(fd), E(BADF));
    OK(open_at(dir, "f", 0, &again));
    CHECK(again == fd); /* the lowest that is free, as open(2) does */
    OK(wasi_fd_close(again));
    OK(wasi_fd_close(second));
    IS(wasi_fd_close(99), E(BADF));
    IS(wasi_fd_close(UINT32_MAX), E(BADF));
}

static void renumber(void)
{
    uint32_t n, a = make_file("a", "of a"), b = make_file("b", "of b");
    uint64_t at;
    char text[4];
    OK(wasi_fd_renumber(a, a));
    OK(wasi_fd_tell(a, &at));
    OK(wasi_fd_renumber(a, b));
    IS(wasi_fd_tell(a, &at), E(BADF));
    OK(wasi_fd_pread(b, IOV(text, 4), 0, &n));
    CHECK(n == 4 && !memcmp(text, "of a", 4));
    IS(wasi_fd_renumber(b, a), E(BADF)); /* to what is closed */
    IS(wasi_fd_renumber(a, b), E(BADF));
    IS(wasi_fd_renumber(b, 250), E(BADF));
    IS(wasi_fd_renumber(b, UINT32_MAX), E(BADF));
    OK(wasi_fd_tell(b, &at));
    OK(wasi_fd_close(b));
}

static void limit(void)
{
    enum { MANY = 1000 };
    static uint32_t fds[MANY];
    uint32_t count = 0, r = 0;
    wasi_fd_close(make_file("f", "text"));
    while (count < MANY && !(r = open_at(dir, "f", 0, &fds[count])))
        count++;
    CHECK(count >= 100);
    CHECK(r == E(MFILE) || (r == 0 && count == MANY)); /* where there is a limit, it says so */
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (fds[i] == fds[k])
                CHECK(!"a descriptor given twice");
    for (uint32_t i = 0; i < count; i++)
        OK(wasi_fd_close(fds[i]));
    OK(open_at(dir, "f", 0, &fds[0]));
    OK(wasi_fd_close(fds[0]));
}

static void prestat(void)
{
    __wasi_prestat_t p;
    uint8_t text[64] = {0};
    uint32_t fd = 3;
    for (;; fd++) {
        uint32_t r = wasi_fd_prestat_get(fd, &p);
        if (r) {
            IS(r, E(BADF)); /* what ends libc's search */
            break;
        }
        CHECK(p.tag == __WASI_PREOPENTYPE_DIR && p.u.dir.pr_name_len < sizeof text);
        OK(wasi_fd_prestat_dir_name(fd, text, p.u.dir.pr_name_len));
        CHECK(text[0] == '/' && text[p.u.dir.pr_name_len] == 0);
        IS(wasi_fd_prestat_dir_name(fd, text, p.u.dir.pr_name_len - 1), E(NAMETOOLONG));
        memset(text, 0, sizeof text);
        OK(wasi_fd_prestat_dir_name(fd, text, sizeof text)); /* longer than needed */
        CHECK(text[p.u.dir.pr_name_len] == 0);
        memset(text, 0, sizeof text);
    }
    CHECK(fd > pre);
    IS(wasi_fd_prestat_get(0, &p), E(BADF));
    IS(wasi_fd_prestat_get(dir, &p), E(BADF)); /* open, and no preopen */
    CHECK(wasi_fd_prestat_dir_name(1, text, sizeof text) != 0);
    IS(wasi_fd_prestat_get(UINT32_MAX, &p), E(BADF));
}

enum { FILES = 120 };

static void fill(void)
{
    for (int i = 0; i < FILES; i++) {
        char path[32];
        snprintf(path, sizeof path, "file-%d-%.*s", i, i % 20, "abcdefghijklmnopqrst");
        wasi_fd_close(make_file(path, ""));
    }
}

/* Walks dir with a buffer of this size; counts the names of fill's files into seen. The count of all. */
static unsigned walk(uint32_t size, uint8_t seen[FILES])
{
    uint8_t *buffer = malloc(size);
    uint64_t cookie = 0;
    unsigned count = 0;
    memset(seen, 0, FILES);
    for (int calls = 0; calls < 1000; calls++) {
        uint32_t used = 0, at = 0, before = count;
        if (wasi_fd_readdir(dir, buffer, size, cookie, &used) || used > size)
            break;
        while (used - at >= 24) {
            __wasi_dirent_t e;
            memcpy(&e, buffer + at, sizeof e);
            if (e.d_namlen > used - at - 24)
                break; /* cut: asked for again from the last cookie */
            int number;
            char text[64] = "";
            memcpy(text, buffer + at + 24, e.d_namlen < 63 ? e.d_namlen : 63);
            if (sscanf(text, "file-%d-", &number) == 1 && number >= 0 && number < FILES)
                seen[number]++;
            cookie = e.d_next;
            at += 24 + e.d_namlen;
            count++;
        }
        if (used < size)
            break;
        if (count == before)
            break; /* no progress: too small for one entry */
    }
    free(buffer);
    return count;
}

static void readdir_sizes(void)
{
    static const uint32_t sizes[] = {64, 65, 100, 511, 4096, 65536};
    uint8_t seen[FILES];
    fill();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        IS(walk(sizes[i], seen), FILES + 2); /* . and .. */
        for (int k = 0; k < FILES; k++)
            CHECK(seen[k] == 1);
    }
}

static void readdir_small(void)
{
    uint8_t text[64];
    uint32_t used = 99;
    fill();
    OK(wasi_fd_readdir(dir, text, 0, 0, &used));
    CHECK(used == 0);
    for (uint32_t size = 1; size <= 24; size++) { /* not even a head: cut, and full */
        OK(wasi_fd_readdir(dir, text, size, 0, &used));
        CHECK(used == size);
    }
}

static void readdir_cookies(void)
{
    static uint8_t a[8192], b[8192];
    uint32_t used = 0, n = 0;
    __wasi_dirent_t e;
    fill();
    OK(wasi_fd_readdir(dir, a, sizeof a, 0, &used));
    memcpy(&e, a, sizeof e);
    uint32_t first = 24 + e.d_namlen;
    OK(wasi_fd_readdir(dir, b, sizeof b, e.d_next, &n));
    CHECK(n == used - first && !memcmp(a + first, b, n)); /* from the second on */
    OK(wasi_fd_readdir(dir, b, sizeof b, e.d_next, &n));
    CHECK(n == used - first); /* and again */
    OK(wasi_fd_readdir(dir, b, sizeof b, UINT64_C(1) << 60, &n));
    CHECK(n == 0);
}

static void readdir_changes(void)
{
    uint8_t seen[FILES];
    fill();
    IS(walk(300, seen), FILES + 2);
    OK(wasi_path_unlink_file(dir, P("file-0-")));
    OK(wasi_path_create_directory(dir, P("new")));
    OK(wasi_path_create_directory(dir, P("new-2")));
    IS(walk(300, seen), FILES + 3); /* cookie 0 reads anew */
    CHECK(seen[0] == 0 && seen[1] == 1);
}

static void readdir_types(void)
{
    static uint8_t text[1024];
    uint32_t used = 0, at = 0, right = 0;
    wasi_fd_close(make_file("f", ""));
    OK(wasi_path_create_directory(dir, P("d")));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    OK(wasi_fd_readdir(dir, text, sizeof text, 0, &used));
    while (at < used) {
        __wasi_dirent_t e;
        __wasi_filestat_t st;
        char path[8] = "";
        memcpy(&e, text + at, sizeof e);
        memcpy(path, text + at + 24, e.d_namlen < 7 ? e.d_namlen : 7);
        at += 24 + e.d_namlen;
        if (path[0] == '.')
            continue;
        OK(wasi_path_filestat_get(dir, 0, P(path), &st));
        CHECK(e.d_ino == st.ino && e.d_type == st.filetype);
        right++;
    }
    CHECK(right == 3);
    uint32_t fd;
    OK(open_at(dir, "f", 0, &fd));
    EITHER(wasi_fd_readdir(fd, text, sizeof text, 0, &used), E(NOTDIR), E(BADF));
    EITHER(wasi_fd_readdir(1, text, sizeof text, 0, &used), E(NOTDIR), E(BADF));
    IS(wasi_fd_readdir(99, text, sizeof text, 0, &used), E(BADF));
}

const struct test table_tests[] = {{"fd_close", closing},
                                   {"fd_renumber", renumber},
                                   {"fd_limit", limit},
                                   {"fd_prestat_get", prestat},
                                   {0}};
const struct test readdir_tests[] = {
    {"readdir_sizes", readdir_sizes},     {"readdir_small", readdir_small},
    {"readdir_cookies", readdir_cookies}, {"readdir_changes", readdir_changes},
    {"readdir_types", readdir_types},     {0}};
