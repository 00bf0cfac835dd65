/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the host with hostile arguments, as args[1] says (a seed), and goes on whatever becomes of it. Its own memory may be overwritten by
 * what it asks for: it ends as it will. */
#include <stdint.h>
#include <stdlib.h>

enum { CALLS = 600, ARENA = 1 << 17 };
static uint8_t arena[ARENA];
static uint64_t state;

/* splitmix64 */
static uint64_t any(uint64_t below)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return below ? (z ^ z >> 31) % below : z;
}

#define P(name, ...)                                                                               \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))                   \
    uint32_t host_##name(__VA_ARGS__)
typedef uint32_t i;
typedef uint64_t l;
P(args_get, i, i);
P(args_sizes_get, i, i);
P(environ_get, i, i);
P(environ_sizes_get, i, i);
P(clock_res_get, i, i);
P(clock_time_get, i, l, i);
P(random_get, i, i);
P(proc_raise, i);
P(fd_advise, i, l, l, i);
P(fd_allocate, i, l, l);
P(fd_close, i);
P(fd_datasync, i);
P(fd_fdstat_get, i, i);
P(fd_fdstat_set_flags, i, i);
P(fd_fdstat_set_rights, i, l, l);
P(fd_filestat_get, i, i);
P(fd_filestat_set_size, i, l);
P(fd_filestat_set_times, i, l, l, i);
P(fd_pread, i, i, i, l, i);
P(fd_prestat_get, i, i);
P(fd_prestat_dir_name, i, i, i);
P(fd_pwrite, i, i, i, l, i);
P(fd_read, i, i, i, i);
P(fd_readdir, i, i, i, l, i);
P(fd_renumber, i, i);
P(fd_seek, i, l, i, i);
P(fd_sync, i);
P(fd_tell, i, i);
P(fd_write, i, i, i, i);
P(path_create_directory, i, i, i);
P(path_filestat_get, i, i, i, i, i);
P(path_filestat_set_times, i, i, i, i, l, l, i);
P(path_link, i, i, i, i, i, i, i);
P(path_open, i, i, i, i, i, l, l, i, i);
P(path_readlink, i, i, i, i, i, i);
P(path_remove_directory, i, i, i);
P(path_rename, i, i, i, i, i, i);
P(path_symlink, i, i, i, i, i);
P(path_unlink_file, i, i, i);
P(poll_oneoff, i, i, i, i);
P(sched_yield);
P(sock_accept, i, i, i);
P(sock_recv, i, i, i, i, i, i);
P(sock_send, i, i, i, i, i);
P(sock_shutdown, i, i);

static uint32_t in_arena(uint64_t n)
{
    return (uint32_t)(uintptr_t)arena + (uint32_t)n % ARENA;
}

static uint32_t memory_end(void)
{
    return (uint32_t)__builtin_wasm_memory_size(0) << 16;
}

/* A number that somebody might want. */
static uint64_t wild(void)
{
    switch (any(8)) {
    case 0:
        return memory_end() - any(64);
    case 1:
        return UINT32_MAX - any(64);
    case 2:
        return any(0);
    case 3:
        return UINT64_MAX - any(3);
    case 4:
        return INT64_MAX - any(3);
    case 5:
        return any(1 << 20);
    default:
        return any(16);
    }
}

static i fd(void)
{
    return any(20) ? (i)any(14) : (i)wild();
}

static i at(void)
{
    return any(12) ? in_arena(any(0)) : (i)wild();
}

static i small(void)
{
    return any(12) ? (i)any(20) : (i)wild();
}

static i length(void)
{
    return any(12) ? (i)any(5000) : (i)wild();
}

static l wide(void)
{
    return any(4) ? any(100000) : wild();
}

static l rights(void)
{
    return any(4) ? UINT64_MAX : any(0);
}

/* Of buffers; where it is. */
static i vector(void)
{
    uint32_t v = in_arena(any(0)) & ~7u, *p = (uint32_t *)(uintptr_t)v;
    for (int k = 0; k < 10 && v + 8 * k + 8 < (uint32_t)(uintptr_t)arena + ARENA; k++) {
        p[2 * k] = at();
        p[2 * k + 1] = length();
    }
    return any(12) ? v : at();
}

static i subscriptions(void)
{
    uint8_t *p = arena + any(ARENA / 2);
    for (int k = 0; k < 12; k++, p += 48) {
        p[8] = (uint8_t)any(any(10) ? 3 : 256);
        *(uint32_t *)(uintptr_t)(p + 16) = p[8] ? fd() : (i)any(3);
        *(uint64_t *)(uintptr_t)(p + 24) = any(8) ? any(30000000) : wild();
        p[40] = (uint8_t)any(2);
    }
    return (i)(uintptr_t)(p - 12 * 48);
}

static i path(i *len)
{
    static const char *const names[] = {"f",         "g",
                                        "d",         "d/e",
                                        "..",        "../../etc",
                                        "link",      "data",
                                        "data/fifo", ".",
                                        "",          "absolute",
                                        "/etc",      "d/../f",
                                        "dev/null",  "dev/zero",
                                        "dev/full",  "data/way-out",
                                        "etc/motd",  "etc/hidden",
                                        "opaque",    "opaque/below",
                                        "f/",        "d/"};
    const char *name = names[any(sizeof names / sizeof *names)];
    uint8_t *to = arena + any(ARENA - 64);
    i n = 0;
    while (name[n]) {
        to[n] = (uint8_t)name[n];
        n++;
    }
    *len = any(15) ? n : length();
    return any(25) ? (i)(uintptr_t)to : at();
}

static void call(void)
{
    i n, n2, p = path(&n), p2 = path(&n2);
    /* sleeping for ever is the exception */
    switch (any(any(4) ? 50 : 8)) {
    case 0:
    case 1:
        host_path_open(any(9) ? 4 + (i)any(2) : fd(), small() & 1, p, n,
                       any(9) ? (i)any(16) : small(), rights(), rights(), any(6) ? 0 : small(),
                       at());
        return;
    case 2:
        host_fd_read(fd(), vector(), small(), at());
        return;
    case 3:
        host_fd_write(fd(), vector(), small(), at());
        return;
    case 4:
        host_fd_pread(fd(), vector(), small(), wide(), at());
        return;
    case 5:
        host_fd_pwrite(fd(), vector(), small(), any(100000), at());
        return;
    case 6:
        host_poll_oneoff(subscriptions(), at(), any(20) ? 1 + (i)any(12) : small(), at());
        return;
    case 7:
        host_fd_readdir(fd(), at(), length(), any(3) ? any(8) : wild(), at());
        return;
    case 8:
        host_args_get(at(), at());
        return;
    case 9:
        host_args_sizes_get(at(), at());
        return;
    case 10:
        host_environ_get(at(), at());
        return;
    case 11:
        host_environ_sizes_get(at(), at());
        return;
    case 12:
        host_clock_res_get(small(), at());
        return;
    case 13:
        host_clock_time_get(small(), wide(), at());
        return;
    case 14:
        host_random_get(at(), length());
        return;
    case 15:
        host_proc_raise(any(20) ? 17 : small());
        return;
    case 16:
        host_fd_advise(fd(), wide(), wide(), small());
        return;
    case 17:
        host_fd_allocate(fd(), any(100000), any(100000));
        return;
    case 18:
        host_fd_close(fd());
        return;
    case 19:
        host_fd_datasync(fd());
        return;
    case 20:
        host_fd_fdstat_get(fd(), at());
        return;
    case 21:
        host_fd_fdstat_set_flags(fd(), small());
        return;
    case 22:
        if (!any(8))
            host_fd_fdstat_set_rights(fd(), rights(), rights());
        return;
    case 23:
        host_fd_filestat_get(fd(), at());
        return;
    case 24:
        host_fd_filestat_set_size(fd(), any(8) ? any(100000) : wild());
        return;
    case 25:
        host_fd_filestat_set_times(fd(), wide(), wide(), small());
        return;
    case 26:
        host_fd_prestat_get(fd(), at());
        return;
    case 27:
        host_fd_prestat_dir_name(fd(), at(), length());
        return;
    case 28:
        if (!any(4))
            host_fd_renumber(fd(), fd());
        return;
    case 29:
        host_fd_seek(fd(), wide(), small(), at());
        return;
    case 30:
        host_fd_sync(fd());
        return;
    case 31:
        host_fd_tell(fd(), at());
        return;
    case 32:
        host_path_create_directory(fd(), p, n);
        return;
    case 33:
        host_path_filestat_get(fd(), small(), p, n, at());
        return;
    case 34:
        host_path_filestat_set_times(fd(), small(), p, n, wide(), wide(), small());
        return;
    case 35:
        host_path_link(fd(), small(), p, n, fd(), p2, n2);
        return;
    case 36:
        host_path_readlink(fd(), p, n, at(), length(), at());
        return;
    case 37:
        host_path_remove_directory(fd(), p, n);
        return;
    case 38:
        host_path_rename(fd(), p, n, fd(), p2, n2);
        return;
    case 39:
        host_path_symlink(p2, n2, fd(), p, n);
        return;
    case 40:
        host_path_unlink_file(fd(), p, n);
        return;
    case 41:
        host_sched_yield();
        return;
    case 42:
        host_sock_accept(fd(), (i)any(5), at());
        return;
    case 43:
        host_sock_recv(fd(), vector(), small(), (i)any(4), at(), at());
        return;
    case 44:
        host_sock_send(fd(), vector(), small(), 0, at());
        return;
    case 45:
        host_sock_shutdown(fd(), (i)any(4));
        return;
    case 46:
        if (!any(3))
            __builtin_wasm_memory_grow(0, any(20));
        return;
    default:
        host_path_open(4, 1, p, n, 1, UINT64_MAX, UINT64_MAX, 0, at());
        return;
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    state = seed * 0x2545f4914f6cdd1d;
    for (int k = 0; k < CALLS; k++)
        call();
    return 0;
}
