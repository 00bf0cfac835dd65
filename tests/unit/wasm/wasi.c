/* SPDX-License-Identifier: Apache-2.0 */
/* Calls each function of WASI preview 1 and checks what comes back; ends with 0, or tells the line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define CHECK(is)                                                                                  \
    do {                                                                                           \
        if (!(is)) {                                                                               \
            printf("line %d: %s\n", __LINE__, #is);                                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define IS(call, wanted)                                                                           \
    do {                                                                                           \
        unsigned is_ = (call);                                                                     \
        if (is_ != (wanted)) {                                                                     \
            printf("line %d: %s is %u\n", __LINE__, #call, is_);                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define OK(call) IS(call, __WASI_ERRNO_SUCCESS)

/* wasi-libc declares it no more */
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise"))) unsigned
proc_raise(unsigned signal);

enum { ROOT = 3 };
static const __wasi_rights_t all = (1ull << 29) - 1;

static __wasi_fd_t open_at(__wasi_fd_t dir, const char *path, __wasi_oflags_t oflags,
                           __wasi_rights_t rights, __wasi_errno_t wanted)
{
    __wasi_fd_t fd = 0;
    unsigned is =
        __wasi_path_open(dir, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, oflags, rights, all, 0, &fd);
    if (is != wanted) {
        printf("path_open %s: %u, not %u\n", path, is, wanted);
        exit(1);
    }
    return fd;
}

static void process(void)
{
    __wasi_size_t count, size;
    OK(__wasi_args_sizes_get(&count, &size));
    CHECK(count == 2 && size == sizeof "/wasi.wasm" + sizeof "all");
    uint8_t *args[2], text[64];
    OK(__wasi_args_get(args, text));
    CHECK(strcmp((char *)args[1], "all") == 0);
    OK(__wasi_environ_sizes_get(&count, &size));
    CHECK(count == 1 && size == sizeof "A=1");
    OK(__wasi_environ_get(args, text));
    CHECK(strcmp((char *)args[0], "A=1") == 0);
    IS(__wasi_args_get((uint8_t **)0xfffffff0, text), __WASI_ERRNO_FAULT);
    IS(__wasi_args_get(args, (uint8_t *)0xffffffff), __WASI_ERRNO_FAULT);
    __wasi_timestamp_t a, b;
    OK(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &a));
    CHECK(a > 0 && a < 1000000000);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &a));
    CHECK(a > 1700000000000000000ull);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &a));
    OK(__wasi_sched_yield());
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &b));
    CHECK(b > a);
    IS(__wasi_clock_time_get(9, 1, &a), __WASI_ERRNO_INVAL);
    uint8_t r1[32] = {0}, r2[32] = {0};
    OK(__wasi_random_get(r1, sizeof r1));
    OK(__wasi_random_get(r2, sizeof r2));
    CHECK(memcmp(r1, r2, sizeof r1) != 0);
    IS(__wasi_random_get((uint8_t *)0xfffffff0, 64), __WASI_ERRNO_FAULT);
    OK(proc_raise(0));
    IS(__wasi_sock_accept(1, 0, (__wasi_fd_t *)text), __WASI_ERRNO_NOTSOCK);
    __wasi_iovec_t in = {text, 1};
    __wasi_ciovec_t out = {text, 1};
    __wasi_roflags_t flags;
    IS(__wasi_sock_recv(1, &in, 1, 0, &size, &flags), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_send(1, &out, 1, 0, &size), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_shutdown(99, 1), __WASI_ERRNO_BADF);
}

static void polling(void)
{
    __wasi_subscription_t s[3] = {
        {.userdata = 7,
         .u = {.tag = __WASI_EVENTTYPE_CLOCK, .u.clock = {.id = 1, .timeout = 2000000}}},
        {.userdata = 8,
         .u = {.tag = __WASI_EVENTTYPE_CLOCK, .u.clock = {.id = 1, .timeout = 3600000000000ull}}},
        {.userdata = 9, .u = {.tag = __WASI_EVENTTYPE_FD_READ, .u.fd_read = {99}}}};
    __wasi_event_t e[3];
    __wasi_size_t n;
    OK(__wasi_poll_oneoff(s, e, 2, &n));
    CHECK(n == 1 && e[0].userdata == 7 && e[0].error == 0 && e[0].type == __WASI_EVENTTYPE_CLOCK);
    OK(__wasi_poll_oneoff(s, e, 3, &n));
    CHECK(n == 1 && e[0].userdata == 9 && e[0].error == __WASI_ERRNO_BADF);
    __wasi_timestamp_t now;
    OK(__wasi_clock_time_get(0, 1, &now));
    s[0].u.u.clock =
        (__wasi_subscription_clock_t){.id = 0,
                                      .timeout = now + 3000000,
                                      .flags = __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME};
    OK(__wasi_poll_oneoff(s, e, 2, &n));
    __wasi_timestamp_t then;
    OK(__wasi_clock_time_get(0, 1, &then));
    CHECK(n == 1 && then >= now + 3000000);
    s[2] = (__wasi_subscription_t){.userdata = 1,
                                   .u = {.tag = __WASI_EVENTTYPE_FD_WRITE, .u.fd_write = {1}}};
    OK(__wasi_poll_oneoff(s + 1, e, 2, &n));
    CHECK(n == 1 && e[0].userdata == 1 && e[0].fd_readwrite.nbytes > 0);
    IS(__wasi_poll_oneoff(s, e, 0, &n), __WASI_ERRNO_INVAL);
}

static void files(void)
{
    __wasi_size_t n;
    __wasi_filesize_t at;
    __wasi_filestat_t st;
    __wasi_fdstat_t fdst;
    char text[16] = {0};
    __wasi_fd_t fd = open_at(ROOT, "f", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, all, 0);
    open_at(ROOT, "f", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, all, __WASI_ERRNO_EXIST);
    __wasi_ciovec_t out[2] = {{(uint8_t *)"hello ", 6}, {(uint8_t *)"world", 5}};
    OK(__wasi_fd_write(fd, out, 2, &n));
    CHECK(n == 11);
    OK(__wasi_fd_tell(fd, &at));
    CHECK(at == 11);
    OK(__wasi_fd_seek(fd, 6, __WASI_WHENCE_SET, &at));
    __wasi_iovec_t in[2] = {{(uint8_t *)text, 2}, {(uint8_t *)text + 2, 13}};
    OK(__wasi_fd_read(fd, in, 2, &n));
    CHECK(n == 5 && memcmp(text, "world", 5) == 0);
    IS(__wasi_fd_seek(fd, -100, __WASI_WHENCE_SET, &at), __WASI_ERRNO_INVAL);
    OK(__wasi_fd_pwrite(fd, out + 1, 1, 0, &n));
    OK(__wasi_fd_pread(fd, in + 1, 1, 0, &n));
    CHECK(n == 11 && memcmp(text + 2, "world world", 11) == 0);
    OK(__wasi_fd_allocate(fd, 0, 100));
    OK(__wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 100 && st.filetype == __WASI_FILETYPE_REGULAR_FILE && st.nlink == 1);
    OK(__wasi_fd_filestat_set_size(fd, 5));
    OK(__wasi_fd_filestat_set_times(fd, 1000000000, 2000000001,
                                    __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    OK(__wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 5 && st.mtim == 2000000001 && st.atim == 1000000000);
    IS(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW),
       __WASI_ERRNO_INVAL);
    OK(__wasi_fd_advise(fd, 0, 0, __WASI_ADVICE_SEQUENTIAL));
    OK(__wasi_fd_datasync(fd));
    OK(__wasi_fd_sync(fd));
    OK(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    OK(__wasi_fd_fdstat_get(fd, &fdst));
    CHECK(fdst.fs_filetype == __WASI_FILETYPE_REGULAR_FILE &&
          fdst.fs_flags == __WASI_FDFLAGS_APPEND);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(__wasi_fd_write(fd, out, 1, &n));
    OK(__wasi_fd_filestat_get(fd, &st));
    CHECK(st.size == 11);
    OK(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ, 0));
    IS(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_WRITE, 0), __WASI_ERRNO_NOTCAPABLE);
    IS(__wasi_fd_write(fd, out, 1, &n), __WASI_ERRNO_BADF);
    __wasi_fd_t other = open_at(ROOT, "f", 0, __WASI_RIGHTS_FD_READ, 0);
    CHECK(other != fd);
    OK(__wasi_fd_renumber(other, fd));
    IS(__wasi_fd_close(other), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
    IS(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
    IS(__wasi_fd_read(ROOT, in, 1, &n), __WASI_ERRNO_BADF);
    IS(__wasi_fd_seek(1, 0, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_SPIPE);
    open_at(ROOT, "f/", 0, all, __WASI_ERRNO_NOTDIR);
    open_at(ROOT, "f", __WASI_OFLAGS_DIRECTORY, all, __WASI_ERRNO_NOTDIR);
}

static void directories(void)
{
    __wasi_prestat_t pre;
    __wasi_filestat_t st;
    __wasi_size_t n;
    uint8_t name[8] = {0}, entries[4096], small[30];
    OK(__wasi_fd_prestat_get(ROOT, &pre));
    CHECK(pre.tag == __WASI_PREOPENTYPE_DIR && pre.u.dir.pr_name_len == 1);
    OK(__wasi_fd_prestat_dir_name(ROOT, name, 1));
    CHECK(name[0] == '/');
    IS(__wasi_fd_prestat_dir_name(ROOT, name, 0), __WASI_ERRNO_NAMETOOLONG);
    IS(__wasi_fd_prestat_get(ROOT + 1, &pre), __WASI_ERRNO_BADF);
    OK(__wasi_path_create_directory(ROOT, "d"));
    IS(__wasi_path_create_directory(ROOT, "d"), __WASI_ERRNO_EXIST);
    __wasi_fd_t d = open_at(ROOT, "d", __WASI_OFLAGS_DIRECTORY, all, 0);
    __wasi_fd_t f = open_at(d, "a", __WASI_OFLAGS_CREAT, all, 0);
    OK(__wasi_fd_close(f));
    open_at(d, "../f", 0, all, __WASI_ERRNO_PERM);
    open_at(d, "/f", 0, all, __WASI_ERRNO_PERM);
    open_at(d, "x/../../f", 0, all, __WASI_ERRNO_NOENT);
    OK(__wasi_path_symlink("../f", d, "up"));
    open_at(d, "up", 0, all, __WASI_ERRNO_PERM);
    f = open_at(ROOT, "d/up", 0, __WASI_RIGHTS_FD_READ, 0); /* the root may */
    OK(__wasi_fd_close(f));
    OK(__wasi_path_readlink(d, "up", name, sizeof name, &n));
    CHECK(n == 4 && memcmp(name, "../f", 4) == 0);
    IS(__wasi_path_readlink(d, "a", name, sizeof name, &n), __WASI_ERRNO_INVAL);
    OK(__wasi_path_symlink("loop", d, "loop"));
    open_at(d, "loop", 0, all, __WASI_ERRNO_LOOP);
    OK(__wasi_path_filestat_get(d, 0, "loop", &st));
    CHECK(st.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    OK(__wasi_path_link(d, 0, "a", d, "b"));
    OK(__wasi_path_filestat_get(d, 0, "b", &st));
    CHECK(st.nlink == 2);
    OK(__wasi_path_filestat_set_times(d, 0, "b", 5, 6,
                                      __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_ATIM));
    OK(__wasi_path_filestat_get(d, 0, "a", &st));
    CHECK(st.mtim == 6);
    OK(__wasi_path_rename(d, "b", ROOT, "c"));
    IS(__wasi_path_filestat_get(d, 0, "b", &st), __WASI_ERRNO_NOENT);
    IS(__wasi_path_rename(ROOT, "d", ROOT, "d/inside"), __WASI_ERRNO_INVAL);
    OK(__wasi_fd_readdir(d, entries, sizeof entries, 0, &n));
    unsigned count = 0;
    for (size_t at = 0; at < n; count++) {
        __wasi_dirent_t e;
        memcpy(&e, entries + at, sizeof e);
        at += sizeof e + e.d_namlen;
        CHECK(e.d_next == count + 1);
    }
    CHECK(count == 5); /* . .. a up loop */
    OK(__wasi_fd_readdir(d, small, sizeof small, 0, &n));
    CHECK(n == sizeof small); /* full: there is more */
    OK(__wasi_fd_readdir(d, entries, sizeof entries, 5, &n));
    CHECK(n == 0);
    OK(__wasi_fd_filestat_get(d, &st));
    CHECK(st.filetype == __WASI_FILETYPE_DIRECTORY);
    IS(__wasi_path_unlink_file(ROOT, "d"), __WASI_ERRNO_ISDIR);
    IS(__wasi_path_remove_directory(d, "a"), __WASI_ERRNO_NOTDIR);
    IS(__wasi_path_remove_directory(ROOT, "d"), __WASI_ERRNO_NOTEMPTY);
    OK(__wasi_path_unlink_file(d, "a"));
    OK(__wasi_path_unlink_file(d, "up"));
    OK(__wasi_path_unlink_file(d, "loop"));
    OK(__wasi_path_remove_directory(ROOT, "d"));
    OK(__wasi_path_unlink_file(ROOT, "c"));
    OK(__wasi_fd_close(d));
    IS(__wasi_path_filestat_get(1, 0, "f", &st), __WASI_ERRNO_NOTDIR);
    open_at(ROOT, "", 0, all, __WASI_ERRNO_NOENT);
}

int main(void)
{
    process();
    polling();
    files();
    directories();
    puts("all as specified");
    __wasi_proc_exit(42);
}
