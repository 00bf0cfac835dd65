/* SPDX-License-Identifier: Apache-2.0 */
/* Records are gathered and written by as few write(2) as can be; the file always ends at a record's
 * end, also where the disk was full in the middle of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "log/format.h"
#include "log/log.h"

enum { GATHER_MAX = 64 * 1024 };

/* Where a write stands: records not written yet, and the first failure of this call. */
struct batch {
    struct log_writer *w;
    struct buffer out;
    int64_t wall_ns;
    int failure;
};

static int open_file(struct log_writer *w)
{
    const struct log_target *t = &w->target;
    /* O_NONBLOCK: a FIFO in the file's place must not hold up its writer; a file does not care */
    int fd = open(t->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno;
    struct stat st;
    w->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    w->size = w->regular ? (uint64_t)st.st_size : 0;
    log_writer_rest(w);
    w->fd = fd;
    return 0;
}

static int need_file(struct log_writer *w)
{
    return w->fd >= 0 ? 0 : open_file(w);
}

int log_writer_init(struct log_writer *w, struct log_target *target, struct error *err)
{
    *w = (struct log_writer){.target = *target, .fd = -1};
    *target = (struct log_target){0};
    int r = w->target.format == LOG_NONE ? 0 : need_file(w);
    if (r < 0) {
        fail(err, r, "open the log '%s'", w->target.path);
        log_writer_done(w);
    }
    return r;
}

void log_writer_done(struct log_writer *w)
{
    log_writer_rest(w);
    log_target_done(&w->target);
    for (int i = 0; i < 2; i++) {
        free(w->pending[i].data);
        w->pending[i] = (struct log_pending){0};
    }
}

void log_writer_rest(struct log_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* Takes back what was written of the record that the disk did not take whole, so that the next one
 * starts a line. */
static void untear(struct log_writer *w, const uint8_t *written, size_t len)
{
    const uint8_t *newline = w->target.format == LOG_RAW ? NULL : memrchr(written, '\n', len);
    size_t torn = newline ? len - (size_t)(newline + 1 - written) : len;
    off_t end = torn && w->target.format != LOG_RAW ? lseek(w->fd, 0, SEEK_END) : -1;
    if (end >= (off_t)torn && ftruncate(w->fd, end - (off_t)torn) == 0)
        w->size -= torn;
}

static int write_bytes(struct log_writer *w, const uint8_t *data, size_t len)
{
    int r = need_file(w);
    if (r < 0)
        return r;
    for (size_t done = 0; done < len;) {
        ssize_t n = write(w->fd, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = -errno;
            untear(w, data, done);
            return r;
        }
        done += (size_t)n;
        w->size += (size_t)n;
    }
    return 0;
}

/* A failure is told by the call that met it first; those after it are silent until a write works
 * again. */
static void batch_failed(struct batch *b, int r)
{
    if (!b->failure && !b->w->failed)
        b->failure = r;
    b->w->failed = true;
}

/* Writes the first len gathered bytes; what the disk refuses is dropped. */
static void batch_write(struct batch *b, size_t len)
{
    if (!len)
        return;
    int r = write_bytes(b->w, b->out.data, len);
    if (r < 0)
        batch_failed(b, r);
    else
        b->w->failed = false;
    buffer_consume(&b->out, len);
}

static int rotated_name(const struct log_target *t, unsigned n, char *name, size_t size)
{
    int len = n ? snprintf(name, size, "%s.%u", t->path, n) : snprintf(name, size, "%s", t->path);
    return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* Where the files cannot be moved, writing goes on in the old one: a log that is too long is better
 * than a lost line. */
static void rotate(struct log_writer *w)
{
    const struct log_target *t = &w->target;
    char from[4096], to[4096];
    if (need_file(w) < 0)
        return;
    w->size = 0; /* where moving fails: tried again after max_size more */
    if (!t->max_files) {
        if (ftruncate(w->fd, 0) < 0)
            w->failed = true;
        return;
    }
    for (unsigned n = t->max_files; n > 0; n--) {
        if (rotated_name(t, n - 1, from, sizeof from) < 0 || rotated_name(t, n, to, sizeof to) < 0)
            return;
        if (rename(from, to) < 0 && errno != ENOENT)
            return;
    }
    if (open_file(w) < 0)
        rename(to, t->path); /* to is PATH.1 after the loop */
}

/* After a record was gathered that began at start. */
static void batch_added(struct batch *b, size_t start)
{
    struct log_writer *w = b->w;
    if (w->target.max_size) {
        if (w->fd < 0 && need_file(w) < 0) {
            batch_write(b, b->out.len);
            return;
        }
        if (w->size + b->out.len > w->target.max_size && w->size + start > 0) {
            batch_write(b, start);
            rotate(w);
        }
    }
    if (b->out.len >= GATHER_MAX)
        batch_write(b, b->out.len);
}

static void batch_record(struct batch *b, enum log_stream stream, const uint8_t *text, size_t len,
                         bool partial, bool ended)
{
    size_t start = b->out.len;
    int r = b->w->target.format == LOG_JSON
                ? log_format_json(&b->out, stream, text, len, ended, b->wall_ns)
                : log_format_cri(&b->out, stream, text, len, partial, b->wall_ns);
    if (r < 0) {
        batch_failed(b, r);
        return;
    }
    batch_added(b, start);
}

static int pending_append(struct log_pending *p, const uint8_t *data, size_t len)
{
    if (!len)
        return 0;
    uint8_t *grown = realloc(p->data, p->len + len);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + p->len, data, len);
    p->data = grown;
    p->len += len;
    return 0;
}

static void pending_clear(struct log_pending *p)
{
    free(p->data);
    *p = (struct log_pending){0};
}

/* Writes the full pending line's pieces off, but for a character that is not whole yet. */
static void batch_piece(struct batch *b, enum log_stream stream)
{
    struct log_pending *p = &b->w->pending[stream];
    size_t whole = log_whole(p->data, p->len);
    batch_record(b, stream, p->data, whole, true, false);
    memmove(p->data, p->data + whole, p->len - whole);
    p->len -= whole;
}

/* Takes what belongs to one line off data: up to its newline, or all. Returns how much. */
static size_t take_line(struct batch *b, enum log_stream stream, const uint8_t *data, size_t len)
{
    struct log_pending *p = &b->w->pending[stream];
    const uint8_t *newline = memchr(data, '\n', len);
    size_t text = newline ? (size_t)(newline - data) : len;
    if (newline && !p->len && text <= LOG_LINE_MAX) {
        batch_record(b, stream, data, text, false, true);
        return text + 1;
    }
    for (size_t taken = 0; taken < text;) {
        if (p->len == LOG_LINE_MAX)
            batch_piece(b, stream);
        size_t n = text - taken < LOG_LINE_MAX - p->len ? text - taken : LOG_LINE_MAX - p->len;
        int r = pending_append(p, data + taken, n);
        if (r < 0) {
            batch_failed(b, r);
            break;
        }
        taken += n;
    }
    if (newline) {
        batch_record(b, stream, p->data, p->len, false, true);
        pending_clear(p);
    }
    return text + (newline != NULL);
}

static int batch_end(struct batch *b, struct error *err)
{
    batch_write(b, b->out.len);
    buffer_done(&b->out);
    return b->failure < 0
               ? fail(err, b->failure,
                      "write the log '%s' (lines are dropped until it can be written again)",
                      b->w->target.path)
               : 0;
}

int log_writer_write(struct log_writer *w, enum log_stream stream, const void *data, size_t len,
                     int64_t wall_ns, struct error *err)
{
    if (w->target.format == LOG_NONE || !len)
        return 0;
    struct batch b = {.w = w, .wall_ns = wall_ns};
    if (w->target.format == LOG_RAW) {
        if (buffer_append(&b.out, data, len) < 0)
            return fail(err, ENOMEM, "write the log '%s'", w->target.path);
        batch_added(&b, 0);
    } else {
        for (size_t done = 0; done < len;)
            done += take_line(&b, stream, (const uint8_t *)data + done, len - done);
    }
    return batch_end(&b, err);
}

int log_writer_flush(struct log_writer *w, int64_t wall_ns, struct error *err)
{
    struct batch b = {.w = w, .wall_ns = wall_ns};
    for (int i = 0; i < 2; i++)
        if (w->pending[i].len) {
            batch_record(&b, (enum log_stream)i, w->pending[i].data, w->pending[i].len, false,
                         false);
            pending_clear(&w->pending[i]);
        }
    return batch_end(&b, err);
}

int log_writer_reopen(struct log_writer *w, struct error *err)
{
    if (w->target.format == LOG_NONE)
        return 0;
    int r = open_file(w);
    return r < 0 ? fail(err, r, "reopen the log '%s'", w->target.path) : 0;
}
