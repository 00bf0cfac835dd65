/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/exec.h"
#include "wasm/files/logs.h"
#include "wasm/files/table.h"
#include "wasm/wire_files.h"

enum { READ_SIZE = 64 << 10, IN_KEPT = 1 << 20 };

static int add(struct wire_reader *r, uint64_t *ret_number, struct error *err)
{
    struct wire_files f;
    if (wire_get_files(r, &f) < 0)
        return fail_plain(err, EPROTO, "a malformed request");
    int e = table_add(&f, ret_number, err);
    wire_files_done(&f);
    return e;
}

static int keep(struct wire_reader *r, struct error *err)
{
    size_t count = (size_t)wire_number(r);
    if (r->bad || count > r->left / sizeof(int64_t))
        return fail_plain(err, EPROTO, "a malformed request");
    uint64_t *numbers = calloc(count + 1, sizeof *numbers);
    if (!numbers)
        return fail(err, ENOMEM, "forget containers");
    for (size_t i = 0; i < count; i++)
        numbers[i] = (uint64_t)wire_number(r);
    table_keep(numbers, count);
    free(numbers);
    return 0;
}

static int reopen(uint64_t number, struct error *err)
{
    struct files_container *c = table_hold(number);
    if (!c)
        return fail_plain(err, ENOENT, "the files process has no such container");
    int r = logs_reopen(c, err);
    table_release(c);
    return r;
}

static void serve(struct wire_reader *r, struct buffer *out)
{
    struct error err = {0};
    uint64_t number = 0;
    int code = 0;
    switch (r->type) {
    case WIRE_FILES_ADD:
        code = add(r, &number, &err);
        break;
    case WIRE_FILES_REMOVE:
        table_remove((uint64_t)wire_number(r));
        break;
    case WIRE_FILES_KEEP:
        code = keep(r, &err);
        break;
    case WIRE_FILES_REOPEN:
        code = reopen((uint64_t)wire_number(r), &err);
        break;
    default:
        code = fail_plain(&err, EPROTO, "unknown request %d", r->type);
    }
    struct wire_writer w = wire_begin(out, WIRE_REPLY, r->tag);
    wire_put_number(&w, code);
    wire_put_text(&w, code < 0 ? err.message : "");
    wire_put_number(&w, (int64_t)number);
    wire_end(&w);
}

static int send_all(int fd, struct buffer *out)
{
    for (size_t done = 0; done < out->len;) {
        ssize_t n = send(fd, out->data + done, out->len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    buffer_clear(out);
    return 0;
}

/* A descriptor goes with the first byte of its answer, and that is the first of what is sent. */
static int send_with(int fd, struct buffer *out, int with)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec v = {out->data, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.align), &with, sizeof with);
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    buffer_consume(out, 1);
    return 0;
}

static int serve_exec(int fd, struct wire_reader *r, struct buffer *out)
{
    autoclose int module = -1;
    int e = send_all(fd, out);
    if (e < 0)
        return e;
    files_exec(r, out, &module);
    return module >= 0 ? send_with(fd, out, module) : 0;
}

/* Answers what is whole of in. */
static int serve_all(int fd, struct buffer *in, struct buffer *out)
{
    size_t done = 0, len;
    struct wire_reader r;
    int found;
    while ((found = wire_frame(in->data + done, in->len - done, &r, &len)) > 0) {
        int e = 0;
        if (r.type == WIRE_FILES_EXEC)
            e = serve_exec(fd, &r, out);
        else
            serve(&r, out);
        if (e < 0)
            return e;
        done += len;
    }
    buffer_consume(in, done);
    if (!in->len && in->size > IN_KEPT)
        buffer_done(in); /* a list of all containers was large */
    return found < 0 ? found : send_all(fd, out);
}

static void serve_connection(int fd)
{
    auto(buffer) struct buffer in = {0};
    auto(buffer) struct buffer out = {0};
    bool known = false;
    for (;;) {
        if (buffer_reserve(&in, READ_SIZE) < 0)
            return;
        ssize_t n = recv(fd, in.data + in.len, READ_SIZE, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        in.len += (size_t)n;
        if (!known && in.data[0])
            return;
        if (!known)
            buffer_consume(&in, 1);
        known = true;
        if (serve_all(fd, &in, &out) < 0)
            return;
    }
}

void control_run(int listen)
{
    int flags = fcntl(listen, F_GETFL);
    if (flags < 0 || fcntl(listen, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return;
    for (;;) {
        int fd = accept4(listen, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EMFILE)
            return;
        if (fd < 0)
            continue;
        serve_connection(fd);
        close(fd);
    }
}
