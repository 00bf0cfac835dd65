/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers that are not the guest's memory: each function says FAULT, and does nothing else. */
#include "wasi.h"

static uintptr_t end(void)
{
    return (uintptr_t)__builtin_wasm_memory_size(0) << 16;
}

static void *const nowhere[] = {(void *)UINT32_MAX, (void *)0xfffffff8, NULL, NULL};
enum { BAD = 4 };

/* The last two straddle the end: a byte short, and just behind. */
static void *bad(int i, uint32_t size)
{
    return i < 2 ? nowhere[i] : (void *)(end() - (i == 2 ? size - 1 : 0));
}

static void process(void)
{
    uint32_t n;
    char *words[64];
    static char text[4096];
    for (int i = 0; i < BAD; i++) {
        IS(wasi_args_sizes_get(bad(i, 4), &n), E(FAULT));
        IS(wasi_args_sizes_get(&n, bad(i, 4)), E(FAULT));
        IS(wasi_args_get(bad(i, 4), text), E(FAULT));
        IS(wasi_args_get(words, bad(i, 4)), E(FAULT));
        IS(wasi_environ_sizes_get(bad(i, 4), &n), E(FAULT));
        IS(wasi_environ_sizes_get(&n, bad(i, 4)), E(FAULT));
        IS(wasi_environ_get(bad(i, 4), text), E(FAULT));
        IS(wasi_environ_get(words, bad(i, 4)), E(FAULT));
        IS(wasi_clock_res_get(1, bad(i, 8)), E(FAULT));
        IS(wasi_clock_time_get(1, 1, bad(i, 8)), E(FAULT));
        IS(wasi_random_get(bad(i, 16), 16), E(FAULT));
    }
    IS(wasi_random_get(text, UINT32_MAX), E(FAULT));
}

static void descriptors(void)
{
    uint32_t fd = make_file("f", "text");
    uint64_t at;
    char text[8];
    for (int i = 0; i < BAD; i++) {
        IS(wasi_fd_fdstat_get(fd, bad(i, 24)), E(FAULT));
        IS(wasi_fd_filestat_get(fd, bad(i, 64)), E(FAULT));
        IS(wasi_fd_tell(fd, bad(i, 8)), E(FAULT));
        IS(wasi_fd_prestat_get(pre, bad(i, 8)), E(FAULT));
        IS(wasi_fd_readdir(dir, bad(i, 64), 64, 0, &at), E(FAULT));
        IS(wasi_fd_readdir(dir, text, 8, 0, bad(i, 4)), E(FAULT));
    }
    IS(wasi_fd_prestat_dir_name(pre, (void *)UINT32_MAX, 64), E(FAULT));
    IS(wasi_fd_seek(fd, 1, __WASI_WHENCE_SET, (void *)UINT32_MAX), E(FAULT));
}

static void vectors(void)
{
    uint32_t n, fd = make_file("f", "text");
    uint64_t at;
    OK(wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    for (int i = 0; i < BAD; i++) {
        __wasi_iovec_t v = {bad(i, 8), 8};
        IS(wasi_fd_read(fd, &v, 1, &n), E(FAULT));
        IS(wasi_fd_write(fd, &v, 1, &n), E(FAULT));
        IS(wasi_fd_pread(fd, &v, 1, 0, &n), E(FAULT));
        IS(wasi_fd_pwrite(fd, &v, 1, 0, &n), E(FAULT));
        IS(wasi_fd_write(1, &v, 1, &n), E(FAULT));
        IS(wasi_fd_read(fd, bad(i, 8), 1, &n), E(FAULT));
        IS(wasi_fd_write(fd, bad(i, 8), 1, &n), E(FAULT));
        IS(wasi_fd_pread(fd, bad(i, 8), 1, 0, &n), E(FAULT));
        IS(wasi_fd_pwrite(fd, bad(i, 8), 1, 0, &n), E(FAULT));
    }
    IS(strcmp(content("f"), "text"), 0);
    /* the second of two: what the first holds is not written either */
    __wasi_ciovec_t two[2] = {{(uint8_t *)"ab", 2}, {(uint8_t *)UINT32_MAX, 2}};
    IS(wasi_fd_write(fd, two, 2, &n), E(FAULT));
    IS(strcmp(content("f"), "text"), 0);
    __wasi_iovec_t v = {(uint8_t *)16, UINT32_MAX}; /* the length runs round */
    IS(wasi_fd_write(fd, &v, 1, &n), E(FAULT));
    IS(wasi_fd_write(fd, two, UINT32_MAX, &n), E(FAULT));
    IS(wasi_fd_write(fd, two, 1u << 29, &n), E(FAULT)); /* 8 times that is 0 in 32 bits */
    IS(wasi_fd_write(1, two, 1u << 29, &n), E(FAULT));
    IS(wasi_fd_read(fd, two, 1u << 29, &n), E(FAULT));
    IS(strcmp(content("f"), "text"), 0);
}

static void paths(void)
{
    uint32_t fd, n;
    char text[8];
    __wasi_filestat_t st;
    wasi_fd_close(make_file("f", "text"));
    OK(wasi_path_symlink(P("f"), dir, P("s")));
    for (int i = 0; i < BAD; i++) {
        const char *p = bad(i, 8);
        IS(wasi_path_open(dir, 0, p, 8, 0, RIGHTS_ALL, 0, 0, &fd), E(FAULT));
        IS(wasi_path_filestat_get(dir, 0, p, 8, &st), E(FAULT));
        IS(wasi_path_filestat_get(dir, 0, P("f"), bad(i, 64)), E(FAULT));
        IS(wasi_path_filestat_set_times(dir, 0, p, 8, 1, 1, 5), E(FAULT));
        IS(wasi_path_create_directory(dir, p, 8), E(FAULT));
        IS(wasi_path_remove_directory(dir, p, 8), E(FAULT));
        IS(wasi_path_unlink_file(dir, p, 8), E(FAULT));
        IS(wasi_path_link(dir, 0, p, 8, dir, P("x")), E(FAULT));
        IS(wasi_path_link(dir, 0, P("f"), dir, p, 8), E(FAULT));
        IS(wasi_path_rename(dir, p, 8, dir, P("x")), E(FAULT));
        IS(wasi_path_rename(dir, P("f"), dir, p, 8), E(FAULT));
        IS(wasi_path_symlink(p, 8, dir, P("x")), E(FAULT));
        IS(wasi_path_symlink(P("f"), dir, p, 8), E(FAULT));
        IS(wasi_path_readlink(dir, p, 8, text, 8, &n), E(FAULT));
        IS(wasi_path_readlink(dir, P("s"), bad(i, 8), 8, &n), E(FAULT));
        IS(wasi_path_readlink(dir, P("s"), text, 8, bad(i, 4)), E(FAULT));
    }
    IS(wasi_path_open(dir, 0, "f", UINT32_MAX, 0, RIGHTS_ALL, 0, 0, &fd), E(FAULT));
}

/* A descriptor that cannot be told of is not kept open. */
static void opened(void)
{
    uint32_t first, second;
    wasi_fd_close(make_file("f", "text"));
    OK(open_at(dir, "f", 0, &first));
    OK(wasi_fd_close(first));
    for (int i = 0; i < 500; i++)
        IS(wasi_path_open(dir, 0, P("f"), 0, RIGHTS_ALL, 0, 0, bad(i % BAD, 4)), E(FAULT));
    OK(open_at(dir, "f", 0, &second));
    CHECK(first == second);
    OK(wasi_fd_close(second));
}

static void polling(void)
{
    __wasi_subscription_t s = {.u = {.tag = __WASI_EVENTTYPE_CLOCK, .u.clock = {.id = 1}}};
    __wasi_event_t e;
    uint32_t n;
    for (int i = 0; i < BAD; i++) {
        IS(wasi_poll_oneoff(bad(i, 48), &e, 1, &n), E(FAULT));
        IS(wasi_poll_oneoff(&s, bad(i, 32), 1, &n), E(FAULT));
        IS(wasi_poll_oneoff(&s, &e, 1, bad(i, 4)), E(FAULT));
    }
    EITHER(wasi_poll_oneoff(&s, &e, UINT32_MAX, &n), E(FAULT), E(INVAL));
    EITHER(wasi_poll_oneoff(&s, &e, 1u << 28, &n), E(FAULT), E(INVAL)); /* 48 times that is 0 */
}

const struct test memory_tests[] = {{"fault_process", process},
                                    {"fault_fd", descriptors},
                                    {"fault_iovec", vectors},
                                    {"fault_path", paths},
                                    {"fault_open", opened},
                                    {"fault_poll", polling},
                                    {0}};
