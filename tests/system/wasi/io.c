/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, seeking. */
#include "wasi.h"

#include <stdlib.h>

static void reading(void)
{
    uint32_t n = 9, d, fd = make_file("f", "0123456789");
    uint64_t at;
    char a[4] = "", b[4] = "", c[8] = "";
    __wasi_iovec_t v[] = {
        {(uint8_t *)a, 3}, {(uint8_t *)b, 0}, {(uint8_t *)b, 2}, {(uint8_t *)c, 8}};
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(wasi_fd_read(fd, v, 0, &n));
    CHECK(n == 0);
    OK(wasi_fd_read(fd, v, 4, &n));
    CHECK(n == 10 && !strcmp(a, "012") && !strcmp(b, "34") && !memcmp(c, "56789", 6));
    OK(wasi_fd_read(fd, v, 4, &n));
    CHECK(n == 0); /* the end */
    OK(wasi_fd_seek(fd, 8, __WASI_WHENCE_SET, &at));
    OK(wasi_fd_read(fd, v, 1, &n));
    CHECK(n == 2);
    EITHER(wasi_fd_read(dir, v, 1, &n), E(ISDIR), E(BADF));
    IS(wasi_fd_read(99, v, 1, &n), E(BADF));
    OK(wasi_path_open(dir, 0, P("f"), 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &d));
    EITHER(wasi_fd_read(d, v, 1, &n), E(BADF), E(NOTCAPABLE));
}

static void writing(void)
{
    uint32_t n = 9, d, fd = make_file("f", "");
    __wasi_ciovec_t v[] = {{(uint8_t *)"ab", 2}, {(uint8_t *)"", 0}, {(uint8_t *)"cde", 3}};
    OK(wasi_fd_write(fd, v, 0, &n));
    CHECK(n == 0);
    OK(wasi_fd_write(fd, v, 3, &n));
    CHECK(n == 5);
    IS(strcmp(content("f"), "abcde"), 0);
    EITHER(wasi_fd_write(dir, v, 1, &n), E(ISDIR), E(BADF));
    IS(wasi_fd_write(99, v, 1, &n), E(BADF));
    EITHER(wasi_fd_write(0, v, 1, &n), E(BADF), E(NOTCAPABLE));
    OK(wasi_path_open(dir, 0, P("f"), 0, __WASI_RIGHTS_FD_READ, 0, 0, &d));
    EITHER(wasi_fd_write(d, v, 1, &n), E(BADF), E(NOTCAPABLE));
    OK(wasi_fd_write(1, v, 0, &n));
    CHECK(n == 0);
}

/* All of it, however often it takes. */
static void write_all(uint32_t fd, const uint8_t *p, uint32_t len)
{
    for (uint32_t n = 0; len; p += n, len -= n) {
        uint32_t r = wasi_fd_write(fd, IOV(p, len), &n);
        IS(r, 0);
        if (r || !n)
            return;
    }
}

static void large(void)
{
    enum { SIZE = 3 << 20, PIECE = 997 };
    uint8_t *a = malloc(SIZE), *b = calloc(1, SIZE);
    static __wasi_iovec_t v[2000];
    uint32_t n, fd = make_file("f", "");
    uint64_t at;
    OK(wasi_random_get(a, SIZE));
    write_all(fd, a, SIZE);
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    for (uint32_t done = 0; done < SIZE; done += n) {
        uint32_t count = 0; /* more buffers than any host takes at once */
        for (uint32_t i = done; i < SIZE && count < 2000; i += PIECE, count++)
            v[count] = (__wasi_iovec_t){b + i, SIZE - i < PIECE ? SIZE - i : PIECE};
        n = 0;
        uint32_t r = wasi_fd_read(fd, v, count, &n);
        IS(r, 0);
        if (r || !n)
            break;
    }
    CHECK(!memcmp(a, b, SIZE));
    free(a);
    free(b);
}

static void pread_(void)
{
    uint32_t n = 9, fd = make_file("f", "0123456789");
    uint64_t at = 0;
    char a[4] = "", b[4] = "";
    __wasi_iovec_t v[] = {{(uint8_t *)a, 3}, {(uint8_t *)b, 3}};
    OK(wasi_fd_pread(fd, v, 2, 2, &n));
    CHECK(n == 6 && !strcmp(a, "234") && !strcmp(b, "567"));
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 10); /* where it was */
    OK(wasi_fd_pread(fd, v, 1, 9, &n));
    CHECK(n == 1);
    OK(wasi_fd_pread(fd, v, 1, 10, &n));
    CHECK(n == 0);
    OK(wasi_fd_pread(fd, v, 1, UINT64_C(1) << 40, &n));
    CHECK(n == 0);
    OK(wasi_fd_pread(fd, v, 0, 0, &n));
    CHECK(n == 0);
    IS(wasi_fd_pread(fd, v, 1, UINT64_MAX, &n), E(INVAL));
    CHECK(wasi_fd_pread(dir, v, 1, 0, &n) != 0);
    CHECK(wasi_fd_pread(0, v, 1, 0, &n) != 0);
    IS(wasi_fd_pread(99, v, 1, 0, &n), E(BADF));
}

static void pwrite_(void)
{
    uint32_t n = 9, fd = make_file("f", "0123456789");
    uint64_t at = 0;
    __wasi_filestat_t st;
    char text[16];
    OK(wasi_fd_pwrite(fd, IOV("ab", 2), 3, &n));
    CHECK(n == 2);
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 10);
    IS(strcmp(content("f"), "012ab56789"), 0);
    OK(wasi_fd_pwrite(fd, IOV("z", 1), 12, &n)); /* leaves a hole */
    OK(wasi_fd_pread(fd, IOV(text, 16), 9, &n));
    CHECK(n == 4 && !memcmp(text, "9\0\0z", 4));
    IS(wasi_fd_pwrite(fd, IOV("z", 1), UINT64_MAX, &n), E(INVAL));
    EITHER(wasi_fd_pwrite(fd, IOV("z", 1), INT64_MAX, &n), E(INVAL), E(FBIG));
    OK(wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 13);
    CHECK(wasi_fd_pwrite(1, IOV("z", 1), 0, &n) != 0);
    IS(wasi_fd_pwrite(99, IOV("z", 1), 0, &n), E(BADF));
}

static void seek(void)
{
    uint32_t n, fd = make_file("f", "0123456789");
    uint64_t at = 0;
    char text[16];
    OK(wasi_fd_seek(fd, 3, __WASI_WHENCE_SET, &at));
    CHECK(at == 3);
    OK(wasi_fd_seek(fd, 2, __WASI_WHENCE_CUR, &at));
    CHECK(at == 5);
    OK(wasi_fd_seek(fd, -1, __WASI_WHENCE_END, &at));
    CHECK(at == 9);
    IS(wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &at), E(INVAL));
    IS(wasi_fd_seek(fd, -11, __WASI_WHENCE_END, &at), E(INVAL));
    IS(wasi_fd_seek(fd, INT64_MIN, __WASI_WHENCE_CUR, &at), E(INVAL));
    EITHER(wasi_fd_seek(fd, INT64_MAX, __WASI_WHENCE_END, &at), E(INVAL), E(OVERFLOW));
    IS(wasi_fd_seek(fd, 0, 3, &at), E(INVAL));
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 9); /* none of these moved it */
    OK(wasi_fd_seek(fd, 2, __WASI_WHENCE_END, &at));
    CHECK(at == 12);
    OK(wasi_fd_write(fd, IOV("z", 1), &n));
    OK(wasi_fd_pread(fd, IOV(text, 16), 9, &n));
    CHECK(n == 4 && !memcmp(text, "9\0\0z", 4));
    IS(wasi_fd_seek(1, 0, __WASI_WHENCE_CUR, &at), E(SPIPE));
    CHECK(wasi_fd_seek(dir, 0, __WASI_WHENCE_CUR, &at) != 0);
    IS(wasi_fd_seek(99, 0, __WASI_WHENCE_SET, &at), E(BADF));
}

static void tell(void)
{
    uint32_t fd = make_file("f", "01234");
    uint64_t at = 99;
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 5);
    IS(wasi_fd_tell(1, &at), E(SPIPE));
    IS(wasi_fd_tell(99, &at), E(BADF));
}

/* Two descriptors of one file share its bytes, not the place in it. */
static void shared(void)
{
    uint32_t n, other, fd = make_file("f", "0123");
    uint64_t at = 9;
    char text[4];
    OK(open_at(dir, "f", 0, &other));
    OK(wasi_fd_tell(other, &at));
    CHECK(at == 0);
    OK(wasi_fd_write(other, IOV("ab", 2), &n));
    OK(wasi_fd_pread(fd, IOV(text, 4), 0, &n));
    CHECK(n == 4 && !memcmp(text, "ab23", 4));
    OK(wasi_fd_tell(fd, &at));
    CHECK(at == 4);
}

static void standard_input(void)
{
    uint32_t n = 9;
    char text[4];
    OK(wasi_fd_read(0, IOV(text, 4), &n));
    CHECK(n == 0);
}

const struct test io_tests[] = {{"fd_read", reading},
                                {"fd_write", writing},
                                {"large_io", large},
                                {"fd_pread", pread_},
                                {"fd_pwrite", pwrite_},
                                {"fd_seek", seek},
                                {"fd_tell", tell},
                                {"two_descriptors", shared},
                                {"stdin_empty", standard_input},
                                {0}};
