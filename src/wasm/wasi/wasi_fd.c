/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: the table, and what is done with an open one but reading and writing. */
#include "wasm/wasi/wasi_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/request.h"
#include "wasm/wasi/wasi_dir.h"
#include "wasm/wasi/wasi_io.h"
#include "wasm/wasi/wasi_sock.h"
#include "wasm/worker/disk.h"
#include "wasm/worker/guest.h"

/* Of a guest: the worker's descriptors are all its guests'. */
enum { FDS_MAX = 256, FIRST_FREE = 3, PREOPEN_OTHER = 1 };

int wasi_fd_new(struct wasi *w, uint32_t *ret)
{
    for (uint32_t i = 0; i < w->fd_count; i++)
        if (w->fds[i].kind == WASI_FD_FREE) {
            *ret = i;
            return 0;
        }
    if (w->fd_count >= FDS_MAX)
        return -WASI_MFILE;
    uint32_t count = w->fd_count < 4 ? w->fd_count + 1 : w->fd_count * 3 / 2;
    struct wasi_fd *fds = reallocarray(w->fds, count, sizeof *fds);
    if (!fds)
        return -WASI_NOMEM;
    *ret = w->fd_count;
    memset(fds + w->fd_count, 0, (count - w->fd_count) * sizeof *fds);
    w->fds = fds;
    w->fd_count = count;
    return 0;
}

static int add_preopen(struct wasi *w, const char *name)
{
    uint32_t i;
    int r = wasi_fd_new(w, &i);
    if (r < 0)
        return r;
    w->fds[i] = (struct wasi_fd){
        .kind = WASI_FD_DIR,
        .filetype = FILETYPE_DIRECTORY,
        .preopen = true,
        .fd = -1,
        /* what is read-only says so by EROFS: the files process decides, mount by mount */
        .rights = RIGHTS_DIR,
        .inheriting = RIGHTS_ALL,
        .path = strdup(name),
    };
    return w->fds[i].path ? 0 : -WASI_NOMEM;
}

static int add_console(struct wasi *w, struct error *err)
{
    int r = 0;
    for (uint32_t i = w->fd_count, at; !r && i < FIRST_FREE; i++) {
        r = wasi_fd_new(w, &at);
        /* a character device that cannot seek is a terminal to wasi-libc: lines are written when they
         * are printed, and none is lost with a guest that is killed */
        if (!r)
            w->fds[i] = (struct wasi_fd){
                .kind = WASI_FD_CONSOLE,
                .filetype = FILETYPE_CHARACTER_DEVICE,
                .fd = -1,
                .rights = RIGHT_POLL | RIGHT_FD_FILESTAT_GET | RIGHT_FDSTAT_SET_FLAGS |
                          (i ? RIGHT_FD_WRITE : RIGHT_FD_READ),
            };
    }
    return r < 0 ? fail(err, ENOMEM, "make the guest's descriptors") : 0;
}

int wasi_listen(struct wasi *w, const int *fds, unsigned count, unsigned *taken, struct error *err)
{
    int r = add_console(w, err);
    while (!r && *taken < count)
        r = wasi_sock_listener(w, fds[(*taken)++], err);
    return r;
}

int wasi_init(struct wasi *w, char *const *preopens, struct error *err)
{
    int r = add_console(w, err);
    if (r < 0)
        return r;
    for (char *const *p = preopens; !r && *p; p++)
        r = add_preopen(w, *p);
    return r < 0 ? fail(err, ENOMEM, "make the guest's descriptors") : 0;
}

static void fd_done(struct wasi_fd *f)
{
    if (f->kind == WASI_FD_FILE && f->waits == WASI_WAITS_FOR_DISK)
        disk_close(f->fd);
    else if (f->kind == WASI_FD_FILE)
        close(f->fd);
    else if (f->kind == WASI_FD_SOCKET || f->kind == WASI_FD_LISTENER)
        wasi_sock_close(f);
    free(f->path);
    wasi_listing_free(f->listing);
    *f = (struct wasi_fd){.fd = -1};
}

void wasi_end(struct wasi *w)
{
    for (uint32_t i = 0; i < w->fd_count; i++)
        fd_done(&w->fds[i]);
    free(take_ptr(&w->fds));
    w->fd_count = 0;
}

void wasi_done(struct wasi *w)
{
    wasi_end(w);
    console_done(&w->console);
    free(take_ptr(&w->args.data));
    free(take_ptr(&w->env.data));
}

struct wasi_fd *wasi_fd_get(const struct wasi_call *c, uint64_t fd, enum wasi_fd_kind kind,
                            uint64_t rights, uint32_t *ret_errno)
{
    struct wasi *w = &c->guest->wasi;
    struct wasi_fd *f = fd < w->fd_count ? &w->fds[fd] : NULL;
    *ret_errno = WASI_SUCCESS;
    if (!f || f->kind == WASI_FD_FREE)
        *ret_errno = WASI_BADF;
    else if (kind == WASI_FD_DIR && f->kind != kind)
        *ret_errno = WASI_NOTDIR;
    else if (kind == WASI_FD_FILE && f->kind != kind)
        *ret_errno = f->kind == WASI_FD_DIR ? WASI_BADF : WASI_SPIPE;
    else if ((f->rights & rights) != rights)
        *ret_errno = WASI_NOTCAPABLE;
    return *ret_errno ? NULL : f;
}

uint8_t wasi_filetype(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return FILETYPE_REGULAR;
    case S_IFDIR:
        return FILETYPE_DIRECTORY;
    case S_IFLNK:
        return FILETYPE_SYMLINK;
    case S_IFCHR:
        return FILETYPE_CHARACTER_DEVICE;
    case S_IFBLK:
        return FILETYPE_BLOCK_DEVICE;
    case S_IFSOCK:
        return FILETYPE_SOCKET_STREAM;
    default:
        return FILETYPE_UNKNOWN;
    }
}

uint32_t wasi_store_stat(const struct wasi_call *c, uint64_t at, const struct files_stat *st)
{
    uint64_t v[8] = {st->dev,   st->ino,  wasi_filetype((uint32_t)st->mode),
                     st->nlink, st->size, st->atime,
                     st->mtime, st->ctime};
    void *p = wasi_bytes(c, at, sizeof v);
    if (!p)
        return WASI_FAULT;
    memcpy(p, v, sizeof v);
    return WASI_SUCCESS;
}

uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint64_t flags, struct timespec times[2])
{
    const uint64_t values[2] = {atim, mtim};
    if (flags & ~(uint64_t)FST_ALL)
        return WASI_INVAL;
    for (unsigned i = 0; i < 2; i++) {
        bool set = flags >> (2 * i) & 1, now = flags >> (2 * i + 1) & 1;
        if (set && now)
            return WASI_INVAL;
        times[i] = (struct timespec){.tv_nsec = now ? UTIME_NOW : UTIME_OMIT};
        if (set)
            times[i] = (struct timespec){(time_t)(values[i] / NSEC_PER_SEC),
                                         (long)(values[i] % NSEC_PER_SEC)};
    }
    return WASI_SUCCESS;
}

static uint32_t fd_close(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, &r);
    if (f)
        fd_done(f);
    return r;
}

static uint32_t fd_renumber(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *from = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, &r);
    struct wasi_fd *to = from ? wasi_fd_get(c, c->args[1], WASI_FD_FREE, 0, &r) : NULL;
    if (!to || from == to)
        return r;
    fd_done(to);
    *to = *from;
    *from = (struct wasi_fd){.fd = -1};
    return WASI_SUCCESS;
}

static uint32_t fd_fdstat_get(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, &r);
    uint8_t *p = wasi_bytes(c, c->args[1], 24);
    if (!f || !p)
        return f ? WASI_FAULT : r;
    memset(p, 0, 24);
    p[0] = f->filetype;
    memcpy(p + 2, &f->flags, 2);
    memcpy(p + 8, &f->rights, 8);
    memcpy(p + 16, &f->inheriting, 8);
    return WASI_SUCCESS;
}

static uint32_t fd_fdstat_set_flags(struct wasi_call *c)
{
    uint32_t r, flags = (uint32_t)c->args[1];
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, RIGHT_FDSTAT_SET_FLAGS, &r);
    if (!f)
        return r;
    if (flags & ~(uint32_t)FDFLAGS_ALL)
        return WASI_INVAL;
    if (flags & (FDFLAG_DSYNC | FDFLAG_RSYNC | FDFLAG_SYNC) & ~(uint32_t)f->flags)
        return WASI_NOTSUP; /* Linux cannot change these on an open file */
    /* a FIFO stays what it is, O_NONBLOCK: the guest is parked, not the thread */
    if (f->kind == WASI_FD_FILE && f->waits != WASI_WAITS_FOR_PEER &&
        fcntl(f->fd, F_SETFL, flags & FDFLAG_APPEND ? O_APPEND : 0) < 0)
        return wasi_errno_of(errno);
    f->flags = (uint16_t)flags;
    return WASI_SUCCESS;
}

static uint32_t fd_fdstat_set_rights(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, &r);
    if (!f)
        return r;
    if (c->args[1] & ~f->rights || c->args[2] & ~f->inheriting)
        return WASI_NOTCAPABLE; /* rights can be given away only */
    f->rights = c->args[1];
    f->inheriting = c->args[2];
    return WASI_SUCCESS;
}

static uint32_t fd_filestat_get(struct wasi_call *c)
{
    uint32_t r;
    struct stat st = {.st_mode = S_IFCHR};
    struct files_stat out;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, RIGHT_FD_FILESTAT_GET, &r);
    if (!f)
        return r;
    if (f->kind == WASI_FD_SOCKET || f->kind == WASI_FD_LISTENER)
        st.st_mode = S_IFSOCK;
    if (f->kind == WASI_FD_DIR) {
        struct files_request q = {.op = FILES_STAT, .base = f->path, .path = "."};
        return c->resumed ? wasi_stat_answer(c, c->args[1]) : wasi_ask(c, &q);
    }
    if (f->kind == WASI_FD_FILE && fstat(f->fd, &st) < 0)
        return wasi_errno_of(errno);
    files_stat_from(&out, &st);
    return wasi_store_stat(c, c->args[1], &out);
}

/* Has the disk's threads do op on the file. */
static uint32_t do_on_disk(struct wasi_call *c, const struct wasi_fd *f, const struct disk_op *op)
{
    if (c->resumed)
        return wasi_answer(c, NULL);
    int e = disk_do(c->guest, f->fd, op, NULL);
    return e < 0 ? wasi_errno_of(e) : wasi_park(c->guest);
}

static uint32_t fd_filestat_set_size(struct wasi_call *c)
{
    uint32_t r;
    struct disk_op op = {.kind = DISK_TRUNCATE, .length = (int64_t)c->args[1]};
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_FILESTAT_SET_SIZE, &r);
    if (!f)
        return r;
    return c->args[1] > INT64_MAX ? WASI_INVAL : do_on_disk(c, f, &op);
}

static uint32_t fd_filestat_set_times(struct wasi_call *c)
{
    uint32_t r;
    struct timespec times[2];
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, RIGHT_FD_FILESTAT_SET_TIMES, &r);
    if (f)
        r = wasi_times(c->args[1], c->args[2], c->args[3], times);
    if (r)
        return r;
    if (f->kind != WASI_FD_FILE && f->kind != WASI_FD_DIR)
        return WASI_INVAL;
    bool file = f->kind == WASI_FD_FILE;
    struct files_request q = {.op = file ? FILES_FUTIMES : FILES_UTIMES,
                              .base = file ? "" : f->path,
                              .path = file ? "" : ".",
                              .times = {times[0], times[1]}};
    if (c->resumed)
        return wasi_answer(c, NULL);
    return file ? wasi_ask_about(c, &q, f->fd) : wasi_ask(c, &q);
}

static uint32_t fd_advise(struct wasi_call *c)
{
    static const int advices[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                  POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_ADVISE, &r);
    if (!f)
        return r;
    if (c->args[3] >= ARRAY_SIZE(advices) || c->args[1] > INT64_MAX || c->args[2] > INT64_MAX)
        return WASI_INVAL;
    struct disk_op op = {.kind = DISK_ADVISE,
                         .offset = (int64_t)c->args[1],
                         .length = (int64_t)c->args[2],
                         .advice = advices[c->args[3]]};
    return do_on_disk(c, f, &op);
}

static uint32_t fd_allocate(struct wasi_call *c)
{
    uint32_t r;
    struct disk_op op = {
        .kind = DISK_ALLOCATE, .offset = (int64_t)c->args[1], .length = (int64_t)c->args[2]};
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FILE, RIGHT_FD_ALLOCATE, &r);
    if (!f)
        return r;
    if (c->args[1] > INT64_MAX || c->args[2] > INT64_MAX)
        return WASI_INVAL;
    return do_on_disk(c, f, &op);
}

static uint32_t sync_with(struct wasi_call *c, uint64_t right, enum disk_kind kind)
{
    uint32_t r;
    struct disk_op op = {.kind = kind};
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, right, &r);
    if (!f)
        return r;
    if (f->kind != WASI_FD_FILE)
        return f->kind == WASI_FD_DIR ? WASI_SUCCESS : WASI_INVAL;
    return do_on_disk(c, f, &op);
}

static uint32_t fd_datasync(struct wasi_call *c)
{
    return sync_with(c, RIGHT_FD_DATASYNC, DISK_DATASYNC);
}

static uint32_t fd_sync(struct wasi_call *c)
{
    return sync_with(c, RIGHT_FD_SYNC, DISK_SYNC);
}

static struct wasi_fd *get_preopen(struct wasi_call *c, uint32_t *r)
{
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_FREE, 0, r);
    if (f && !f->preopen)
        *r = WASI_BADF; /* what ends wasi-libc's search */
    return *r ? NULL : f;
}

static const char *preopen_name(const struct wasi_fd *f)
{
    return *f->path ? f->path : "/";
}

static uint32_t fd_prestat_get(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = get_preopen(c, &r);
    if (!f)
        return r;
    /* a tag that is no directory's: wasi-libc and Go pass over it, and go on with the next one */
    if (f->kind == WASI_FD_LISTENER)
        return wasi_store64(c, c->args[1], PREOPEN_OTHER);
    return wasi_store64(c, c->args[1], (uint64_t)strlen(preopen_name(f)) << 32);
}

static uint32_t fd_prestat_dir_name(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = get_preopen(c, &r);
    if (!f)
        return r;
    if (f->kind == WASI_FD_LISTENER)
        return WASI_NOTDIR;
    size_t len = strlen(preopen_name(f));
    if (c->args[2] < len)
        return WASI_NAMETOOLONG;
    void *p = wasi_bytes(c, c->args[1], len);
    if (!p)
        return WASI_FAULT;
    memcpy(p, preopen_name(f), len);
    return WASI_SUCCESS;
}

const struct wasi_entry wasi_fd_entries[] = {
    {.name = "fd_advise", .params = "illi", .fn = fd_advise, .parks = true},
    {.name = "fd_allocate", .params = "ill", .fn = fd_allocate, .parks = true},
    {.name = "fd_close", .params = "i", .fn = fd_close},
    {.name = "fd_datasync", .params = "i", .fn = fd_datasync, .parks = true},
    {.name = "fd_fdstat_get", .params = "ii", .fn = fd_fdstat_get},
    {.name = "fd_fdstat_set_flags", .params = "ii", .fn = fd_fdstat_set_flags},
    {.name = "fd_fdstat_set_rights", .params = "ill", .fn = fd_fdstat_set_rights},
    {.name = "fd_filestat_get", .params = "ii", .fn = fd_filestat_get, .parks = true},
    {.name = "fd_filestat_set_size", .params = "il", .fn = fd_filestat_set_size, .parks = true},
    {.name = "fd_filestat_set_times", .params = "illi", .fn = fd_filestat_set_times, .parks = true},
    {.name = "fd_pread", .params = "iiili", .fn = wasi_fd_pread, .parks = true},
    {.name = "fd_prestat_get", .params = "ii", .fn = fd_prestat_get},
    {.name = "fd_prestat_dir_name", .params = "iii", .fn = fd_prestat_dir_name},
    {.name = "fd_pwrite", .params = "iiili", .fn = wasi_fd_pwrite, .parks = true},
    {.name = "fd_read", .params = "iiii", .fn = wasi_fd_read, .parks = true},
    {.name = "fd_readdir", .params = "iiili", .fn = wasi_fd_readdir, .parks = true},
    {.name = "fd_renumber", .params = "ii", .fn = fd_renumber},
    {.name = "fd_seek", .params = "ilii", .fn = wasi_fd_seek},
    {.name = "fd_sync", .params = "i", .fn = fd_sync, .parks = true},
    {.name = "fd_tell", .params = "ii", .fn = wasi_fd_tell},
    {.name = "fd_write", .params = "iiii", .fn = wasi_fd_write, .parks = true},
    {0},
};
