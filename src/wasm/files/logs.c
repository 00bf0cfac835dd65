/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/logs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "wasm/files/pack.h"
#include "wasm/files/record.h"
#include "wasm/files/rest.h"
#include "wasm/files/table.h"

enum { OPEN_MAX = 256, READ_SIZE = 256 << 10 };
#define LOG_REST_NS NSEC_PER_SEC

static struct {
    pthread_mutex_t lock;
    pthread_mutex_t
        turn; /* of who waits for the lock: else who writes would have it again each time */
    struct list open;
    unsigned open_count;
} logs = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .turn = PTHREAD_MUTEX_INITIALIZER,
          .open = LIST_INIT(logs.open)};

static void lock(void)
{
    pthread_mutex_lock(&logs.turn);
    pthread_mutex_lock(&logs.lock);
    pthread_mutex_unlock(&logs.turn);
}

static void unlock(void)
{
    pthread_mutex_unlock(&logs.lock);
}

/* The lock is held */

static bool is_idle(const struct log_writer *w)
{
    return !w->pending[0].len && !w->pending[1].len && !w->failed;
}

static void shut(struct files_log *l)
{
    logs.open_count -= !list_empty(&l->link);
    list_remove(&l->link);
    log_writer_rest(&l->writer);
}

static void drop(struct files_container *c)
{
    struct files_log *l = take_ptr(&c->log);
    if (l) {
        shut(l);
        log_writer_done(&l->writer);
    }
    free(l);
}

static void put_to_rest(struct files_log *l)
{
    if (is_idle(&l->writer))
        drop(l->container);
    else
        shut(l);
}

/* Its descriptor is open: the last to be put to rest. */
static void used(struct files_log *l)
{
    if (l->writer.fd < 0)
        return;
    l->used_ns = clock_mono_ns();
    logs.open_count += list_empty(&l->link);
    list_remove(&l->link);
    list_append(&logs.open, &l->link);
    if (logs.open_count > OPEN_MAX)
        put_to_rest(list_first(&logs.open, struct files_log, link));
    rest_wanted();
}

static int check_regular(const struct log_writer *w, struct error *err)
{
    if (w->fd < 0 || w->regular)
        return 0;
    return fail_plain(err, EINVAL, "the log '%s' is no regular file", w->target.path);
}

static int open_log(struct files_container *c, struct error *err)
{
    struct log_target target = {0};
    autofree char *address = pack_address(c, 1);
    if (!address)
        return fail(err, ENOMEM, "open a log");
    if (!*address || *address == '/')
        return 0;
    int r = log_target_parse(address, &target, err);
    if (r < 0 || target.format == LOG_NONE)
        return r;
    struct files_log *l = calloc(1, sizeof *l);
    if (!l) {
        log_target_done(&target);
        return fail(err, ENOMEM, "open a log");
    }
    list_init(&l->link);
    l->container = c;
    r = log_writer_init(&l->writer, &target, err);
    if (!r) {
        r = check_regular(&l->writer, err);
        if (r < 0)
            log_writer_done(&l->writer);
    }
    if (r < 0) {
        free(l);
        return r;
    }
    c->log = l;
    return 0;
}

int logs_create(struct files_container *c, struct error *err)
{
    lock();
    int r = open_log(c, err);
    if (c->log)
        used(c->log); /* most begin with a line */
    unlock();
    return r;
}

int logs_reopen(struct files_container *c, struct error *err)
{
    lock();
    int r = c->log ? log_writer_reopen(&c->log->writer, err) : open_log(c, err);
    if (c->log && !r)
        r = check_regular(&c->log->writer, err);
    if (c->log && is_idle(&c->log->writer))
        drop(c);
    else if (c->log)
        shut(c->log);
    unlock();
    return r;
}

void logs_forget(struct files_container *c)
{
    lock();
    drop(c);
    unlock();
}

/* A program goes on where its log cannot be written: the log is not its business. */
static void write_record(struct files_container *c, const struct record *r, const void *data)
{
    struct error err = {0};
    int e = c->log ? 0 : open_log(c, &err);
    if (c->log && r->kind == RECORD_END) {
        e = log_writer_flush(&c->log->writer, r->wall_ns, &err);
        drop(c);
    } else if (c->log) {
        e = log_writer_write(&c->log->writer, r->kind == RECORD_OUT ? LOG_STDOUT : LOG_STDERR, data,
                             r->len, r->wall_ns, &err);
        used(c->log);
    }
    if (e < 0)
        diag_warning("%s", err.message);
}

/* Takes whole records off data; how many bytes, or -EPROTO. *ret_ended: one was a guest's end. */
static ssize_t take_records(const uint8_t *data, size_t len, bool *ret_ended)
{
    size_t done = 0;
    struct record r;
    *ret_ended = false;
    while (len - done >= sizeof r) {
        memcpy(&r, data + done, sizeof r);
        if (r.kind < RECORD_OUT || r.kind > RECORD_END || r.len > RECORD_MAX)
            return -EPROTO;
        if (len - done - sizeof r < r.len)
            break;
        struct files_container *c = table_hold(r.container);
        if (c) {
            lock();
            write_record(c, &r, data + done + sizeof r);
            unlock();
            table_release(c);
        }
        *ret_ended |= r.kind == RECORD_END;
        done += sizeof r + r.len;
    }
    return (ssize_t)done;
}

bool logs_rest(void)
{
    int64_t before = clock_mono_ns() - LOG_REST_NS;
    struct files_log *l;
    lock();
    while ((l = list_first(&logs.open, struct files_log, link)) && l->used_ns <= before)
        put_to_rest(l);
    unlock();
    return l;
}

static ssize_t receive(int fd, uint8_t *to, size_t room)
{
    for (;;) {
        ssize_t n = recv(fd, to, room, 0);
        if (n >= 0 || errno != EINTR)
            return n < 0 && errno == ECONNRESET ? 0 : n;
    }
}

int logs_run(int records, struct error *err)
{
    autofree uint8_t *data = malloc(READ_SIZE);
    uint64_t position = 0, told = 0;
    size_t len = 0;
    bool ended;
    if (!data)
        return fail(err, ENOMEM, "write logs");
    for (;;) {
        ssize_t n = receive(records, data + len, READ_SIZE - len);
        if (n <= 0)
            return n < 0 ? fail(err, errno, "read the worker's records") : 0;
        len += (size_t)n;
        ssize_t done = take_records(data, len, &ended);
        if (done < 0)
            return fail_plain(err, EPROTO, "the worker's records are none: it is ended");
        len -= (size_t)done;
        memmove(data, data + done, len);
        position += (uint64_t)done;
        if (!ended && position - told < RECORD_STEP)
            continue;
        /* fails where the worker has ended: its records are read to the end all the same */
        send(records, &position, sizeof position, MSG_NOSIGNAL);
        told = position;
    }
}
