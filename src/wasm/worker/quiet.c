/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/quiet.h"

#include <sys/socket.h>

#include "base/base.h"
#include "wasm/wire.h"
#include "wasm/worker/held.h"

enum { READ_SIZE = 64 << 10 };

static struct {
    int fd;
    struct buffer in;
} quiet = {.fd = -1};

void quiet_begin(int fd)
{
    close_fd(&quiet.fd);
    quiet.fd = fd;
}

/* What is not whole yet was cut by the read. */
static void serve(void)
{
    size_t done = 0, len;
    struct wire_reader r;
    while (wire_frame(quiet.in.data + done, quiet.in.len - done, &r, &len) > 0) {
        struct error err = {0};
        if (r.type == WIRE_SANDBOX_ADD && held_add_pod(&r, &err) < 0)
            diag_warning("%s", err.message);
        done += len;
    }
    buffer_consume(&quiet.in, done);
}

void quiet_read(void)
{
    ssize_t n = READ_SIZE;
    while (quiet.fd >= 0 && n == READ_SIZE && buffer_reserve(&quiet.in, READ_SIZE) == 0) {
        n = recv(quiet.fd, quiet.in.data + quiet.in.len, READ_SIZE, MSG_DONTWAIT);
        quiet.in.len += n > 0 ? (size_t)n : 0;
        serve();
    }
}

void quiet_end(void)
{
    quiet_read();
    close_fd(&quiet.fd);
}
