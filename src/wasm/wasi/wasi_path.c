/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a directory descriptor. The files process does it: each call sends its request, parks, and is resumed with the answer. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/worker/ask.h"
#include "wasm/worker/disk.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"

/* How often a FIFO that nobody reads is tried to be opened for writing. */
#define FIFO_RETRY_NS (20 * NSEC_PER_MSEC)

/* The guest's text at (at, len), malloced. */
static uint32_t text_at(struct wasi_call *c, uint64_t at, uint64_t len, char **ret)
{
    const char *text = wasi_bytes(c, at, (uint32_t)len);
    if (!text)
        return WASI_FAULT;
    if ((uint32_t)len >= PATH_MAX)
        return WASI_NAMETOOLONG;
    if (memchr(text, 0, (uint32_t)len))
        return WASI_INVAL;
    *ret = strndup(text, (uint32_t)len);
    return *ret ? WASI_SUCCESS : WASI_NOMEM;
}

/* The place of the path at (at, len) below descriptor fd, which must have these rights. */
static uint32_t place_at(struct wasi_call *c, uint64_t fd, uint64_t rights, uint64_t at,
                         uint64_t len, const char **ret_base, char **ret_path)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, fd, WASI_FD_DIR, rights, &r);
    if (!f)
        return r;
    *ret_base = f->path;
    return text_at(c, at, len, ret_path);
}

uint32_t wasi_ask(struct wasi_call *c, struct files_request *r)
{
    int e = ask_files(c->guest, r);
    return e < 0 ? wasi_errno_of(e) : wasi_park(c->guest);
}

uint32_t wasi_ask_about(struct wasi_call *c, struct files_request *r, int fd)
{
    int e = ask_files_about(c->guest, r, fd);
    return e < 0 ? wasi_errno_of(e) : wasi_park(c->guest);
}

uint32_t wasi_answer(struct wasi_call *c, struct job **ret)
{
    struct job *j = job_take(c->guest);
    if (!j)
        return wasi_park(c->guest);
    uint32_t r = j->code < 0 ? wasi_errno_of((int)j->code) : WASI_SUCCESS;
    if (r || !ret)
        job_free(j);
    else
        *ret = j;
    return r;
}

/* Asks for op on the path at (at, len) below fd. */
static uint32_t ask_about(struct wasi_call *c, struct files_request *q, uint64_t fd,
                          uint64_t rights, uint64_t at, uint64_t len)
{
    autofree char *path = NULL;
    uint32_t r = place_at(c, fd, rights, at, len, &q->base, &path);
    q->path = path;
    return r ? r : wasi_ask(c, q);
}

/* The same of two places. */
static uint32_t ask_about_two(struct wasi_call *c, struct files_request *q, const uint64_t from[4],
                              const uint64_t to[4])
{
    autofree char *path = NULL, *to_path = NULL;
    uint32_t r = place_at(c, from[0], from[1], from[2], from[3], &q->base, &path);
    if (!r)
        r = place_at(c, to[0], to[1], to[2], to[3], &q->to_base, &to_path);
    q->path = path;
    q->to_path = to_path;
    return r ? r : wasi_ask(c, q);
}

static uint32_t follows(uint64_t lookup)
{
    return lookup & LOOKUP_FOLLOW ? FILES_FOLLOW : 0;
}

static uint32_t path_create_directory(struct wasi_call *c)
{
    struct files_request q = {.op = FILES_MKDIR};
    return c->resumed
               ? wasi_answer(c, NULL)
               : ask_about(c, &q, c->args[0], RIGHT_PATH_CREATE_DIRECTORY, c->args[1], c->args[2]);
}

uint32_t wasi_stat_answer(struct wasi_call *c, uint64_t at)
{
    auto(job) struct job *j = NULL;
    struct files_stat st;
    uint32_t r = wasi_answer(c, &j);
    if (r)
        return r;
    if (j->bytes.len < sizeof st)
        return WASI_IO;
    memcpy(&st, j->bytes.data, sizeof st);
    return wasi_store_stat(c, at, &st);
}

static uint32_t path_filestat_get(struct wasi_call *c)
{
    struct files_request q = {.op = FILES_STAT, .flags = follows(c->args[1])};
    return c->resumed
               ? wasi_stat_answer(c, c->args[4])
               : ask_about(c, &q, c->args[0], RIGHT_PATH_FILESTAT_GET, c->args[2], c->args[3]);
}

static uint32_t path_filestat_set_times(struct wasi_call *c)
{
    struct files_request q = {.op = FILES_UTIMES, .flags = follows(c->args[1])};
    uint32_t r = wasi_times(c->args[4], c->args[5], c->args[6], q.times);
    if (r || c->resumed)
        return r ? r : wasi_answer(c, NULL);
    return ask_about(c, &q, c->args[0], RIGHT_PATH_FILESTAT_SET_TIMES, c->args[2], c->args[3]);
}

static uint32_t path_link(struct wasi_call *c)
{
    const uint64_t from[] = {c->args[0], RIGHT_PATH_LINK_SOURCE, c->args[2], c->args[3]};
    const uint64_t to[] = {c->args[4], RIGHT_PATH_LINK_TARGET, c->args[5], c->args[6]};
    struct files_request q = {.op = FILES_LINK, .flags = follows(c->args[1])};
    return c->resumed ? wasi_answer(c, NULL) : ask_about_two(c, &q, from, to);
}

static uint32_t path_rename(struct wasi_call *c)
{
    const uint64_t from[] = {c->args[0], RIGHT_PATH_RENAME_SOURCE, c->args[1], c->args[2]};
    const uint64_t to[] = {c->args[3], RIGHT_PATH_RENAME_TARGET, c->args[4], c->args[5]};
    struct files_request q = {.op = FILES_RENAME};
    return c->resumed ? wasi_answer(c, NULL) : ask_about_two(c, &q, from, to);
}

static uint32_t path_readlink(struct wasi_call *c)
{
    auto(job) struct job *j = NULL;
    struct files_request q = {.op = FILES_READLINK};
    size_t size = (uint32_t)c->args[4];
    if (!c->resumed) {
        if (!wasi_bytes(c, c->args[3], size))
            return WASI_FAULT;
        return size ? ask_about(c, &q, c->args[0], RIGHT_PATH_READLINK, c->args[1], c->args[2])
                    : WASI_INVAL;
    }
    uint32_t r = wasi_answer(c, &j);
    if (r)
        return r;
    size_t len = j->bytes.len < size ? j->bytes.len : size;
    void *to = wasi_bytes(c, c->args[3], len);
    if (!to)
        return WASI_FAULT;
    memcpy(to, j->bytes.data, len);
    return wasi_store32(c, c->args[5], (uint32_t)len);
}

static uint32_t path_symlink(struct wasi_call *c)
{
    autofree char *target = NULL;
    struct files_request q = {.op = FILES_SYMLINK};
    if (c->resumed)
        return wasi_answer(c, NULL);
    uint32_t r = text_at(c, c->args[0], c->args[1], &target);
    if (r)
        return r;
    if (!*target)
        return WASI_NOENT;
    q.to_path = target;
    return ask_about(c, &q, c->args[2], RIGHT_PATH_SYMLINK, c->args[3], c->args[4]);
}

static uint32_t remove_path(struct wasi_call *c, uint64_t right, enum files_op op)
{
    struct files_request q = {.op = op};
    return c->resumed ? wasi_answer(c, NULL)
                      : ask_about(c, &q, c->args[0], right, c->args[1], c->args[2]);
}

static uint32_t path_remove_directory(struct wasi_call *c)
{
    return remove_path(c, RIGHT_PATH_REMOVE_DIRECTORY, FILES_RMDIR);
}

static uint32_t path_unlink_file(struct wasi_call *c)
{
    return remove_path(c, RIGHT_PATH_UNLINK_FILE, FILES_UNLINK);
}

struct opening {
    uint32_t lookup, oflags, fdflags;
    uint64_t rights, inheriting;
};

static uint32_t request_flags(const struct opening *o)
{
    static const struct {
        uint32_t wasi, files;
    } oflags[] = {{OFLAG_CREAT, FILES_CREATE},
                  {OFLAG_EXCL, FILES_EXCLUSIVE},
                  {OFLAG_TRUNC, FILES_TRUNCATE},
                  {OFLAG_DIRECTORY, FILES_DIRECTORY}},
      fdflags[] = {{FDFLAG_APPEND, FILES_APPEND},
                   {FDFLAG_DSYNC, FILES_DSYNC},
                   {FDFLAG_RSYNC, FILES_SYNC},
                   {FDFLAG_SYNC, FILES_SYNC}};
    /* O_EXCL looks at the name itself, as open(2) does */
    uint32_t flags = o->oflags & OFLAG_EXCL ? 0 : follows(o->lookup);
    if (o->rights & (RIGHT_FD_READ | RIGHT_FD_READDIR))
        flags |= FILES_READ;
    if (o->rights &
        (RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE | RIGHT_FD_DATASYNC))
        flags |= FILES_WRITE;
    for (size_t i = 0; i < ARRAY_SIZE(oflags); i++) {
        flags |= o->oflags & oflags[i].wasi ? oflags[i].files : 0;
        flags |= o->fdflags & fdflags[i].wasi ? fdflags[i].files : 0;
    }
    return flags;
}

static uint8_t waiting_of(int64_t code, uint64_t mode)
{
    if (S_ISFIFO(mode))
        return WASI_WAITS_FOR_PEER;
    return code & FILES_IS_PROMPT ? WASI_WAITS_NEVER : WASI_WAITS_FOR_DISK;
}

/* What was opened, as a descriptor of the guest. */
static uint32_t take_opened(struct wasi_call *c, struct job *j, const struct opening *o)
{
    struct files_stat st;
    struct wasi_fd f = {.fd = -1, .flags = (uint16_t)o->fdflags, .inheriting = o->inheriting};
    if (j->bytes.len < sizeof st)
        return WASI_IO;
    memcpy(&st, j->bytes.data, sizeof st);
    f.filetype = wasi_filetype((uint32_t)st.mode);
    if (j->code == FILES_IS_DIRECTORY) {
        f.kind = WASI_FD_DIR;
        f.rights = o->rights & RIGHTS_DIR;
        f.path = strndup((char *)j->bytes.data + sizeof st, j->bytes.len - sizeof st);
        if (!f.path)
            return WASI_NOMEM;
    } else {
        f.kind = WASI_FD_FILE;
        f.rights = o->rights & (RIGHTS_FILE_READ | RIGHTS_FILE_WRITE);
        f.inheriting = 0;
        f.waits = waiting_of(j->code, st.mode);
        f.fd = take_fd(&j->fd);
        if (f.fd < 0)
            return WASI_IO;
    }
    uint32_t at;
    int e = wasi_fd_new(&c->guest->wasi, &at);
    uint32_t r = e < 0 ? (uint32_t)-e : wasi_store32(c, c->args[8], at);
    if (r) {
        if (f.fd >= 0)
            disk_close(f.fd);
        free(f.path);
        return r;
    }
    c->guest->wasi.fds[at] = f;
    return WASI_SUCCESS;
}

static uint32_t check_opening(const struct opening *o)
{
    if (o->lookup & ~(uint32_t)LOOKUP_FOLLOW || o->oflags & ~(uint32_t)OFLAGS_ALL ||
        o->fdflags & ~(uint32_t)FDFLAGS_ALL)
        return WASI_INVAL;
    /* as open(2) */
    return o->oflags & OFLAG_DIRECTORY && o->oflags & OFLAG_CREAT ? WASI_INVAL : WASI_SUCCESS;
}

static uint32_t ask_open(struct wasi_call *c, const struct opening *o)
{
    struct files_request q = {.op = FILES_OPEN, .flags = request_flags(o)};
    uint64_t needs = RIGHT_PATH_OPEN;
    if (o->oflags & OFLAG_CREAT)
        needs |= RIGHT_PATH_CREATE_FILE;
    if (o->oflags & OFLAG_TRUNC)
        needs |= RIGHT_PATH_FILESTAT_SET_SIZE;
    return ask_about(c, &q, c->args[0], needs, c->args[2], c->args[3]);
}

static uint32_t path_open(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *dir = wasi_fd_get(c, c->args[0], WASI_FD_DIR, RIGHT_PATH_OPEN, &r);
    if (!dir)
        return r;
    struct opening o = {(uint32_t)c->args[1], (uint32_t)c->args[4], (uint32_t)c->args[7],
                        c->args[5] & dir->inheriting, c->args[6] & dir->inheriting};
    r = check_opening(&o);
    if (r)
        return r;
    if (!c->guest->job) /* also where a FIFO had no reader */
        return ask_open(c, &o);
    auto(job) struct job *j = job_take(c->guest);
    if (!j)
        return wasi_park(c->guest);
    if (j->code == -ENXIO && !(o.fdflags & FDFLAG_NONBLOCK)) {
        r = wasi_park(c->guest);
        c->guest->wait.deadline = clock_mono_ns() + FIFO_RETRY_NS;
        return r;
    }
    return j->code < 0 ? wasi_errno_of((int)j->code) : take_opened(c, j, &o);
}

const struct wasi_entry wasi_path_entries[] = {
    {.name = "path_create_directory", .params = "iii", .fn = path_create_directory, .parks = true},
    {.name = "path_filestat_get", .params = "iiiii", .fn = path_filestat_get, .parks = true},
    {.name = "path_filestat_set_times",
     .params = "iiiilli",
     .fn = path_filestat_set_times,
     .parks = true},
    {.name = "path_link", .params = "iiiiiii", .fn = path_link, .parks = true},
    {.name = "path_open", .params = "iiiiillii", .fn = path_open, .parks = true},
    {.name = "path_readlink", .params = "iiiiii", .fn = path_readlink, .parks = true},
    {.name = "path_remove_directory", .params = "iii", .fn = path_remove_directory, .parks = true},
    {.name = "path_rename", .params = "iiiiii", .fn = path_rename, .parks = true},
    {.name = "path_symlink", .params = "iiiii", .fn = path_symlink, .parks = true},
    {.name = "path_unlink_file", .params = "iii", .fn = path_unlink_file, .parks = true},
    {0},
};
