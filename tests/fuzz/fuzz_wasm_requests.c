/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that was taken over, as its files process hears it: requests of any kind for places in a tree that it has, and log records. What
 * comes back is never what lies outside, and what is read-only stays as it is (wasi_lab.c looks). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "input.h"
#include "wasi_lab.h"
#include "wasm/files/logs.h"
#include "wasm/files/record.h"
#include "wasm/files/request.h"
#include "wasm/files/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { REQUESTS = 64, RECORDS_MAX = 64 << 10 };

static const char *text(const char *const *list, size_t count, char room[256])
{
    size_t i = take(1);
    if (i < 240)
        return list[i % count];
    size_t n = take(1);
    for (size_t k = 0; k < n; k++)
        room[k] = (char)(1 + take(1) % 255);
    room[n < 255 ? n : 255] = 0;
    return room;
}

static const char *base(char room[256])
{
    static const char *const bases[] = {"",    "/data",    "/dir", "/data/sub", "/dev",
                                        "/..", "/data/..", "//",   "/file"};
    return text(bases, ARRAY_SIZE(bases), room);
}

static const char *path(char room[256])
{
    static const char *const paths[] = {
        "file",     ".",         "..",   "dir", "dir/other", "dir/out", "link",     "absolute",
        "loop",     "new",       "out",  "sub", "sub/new",   "fifo",    "data",     "data/file",
        "dev/zero", "../secret", "new/", "",    "/",         "dir/..",  "dir/deep", "new/new"};
    return text(paths, ARRAY_SIZE(paths), room);
}

static void ask(void)
{
    static char rooms[4][256];
    auto(buffer) struct buffer packet = {0};
    auto(buffer) struct buffer answer = {0};
    struct files_request r = {.tag = 1,
                              .container = lab.container,
                              .op = (uint32_t)take(1) % (FILES_OP_END + 1),
                              .flags = (uint32_t)take(2) & FILES_FLAGS,
                              .base = base(rooms[0]),
                              .path = path(rooms[1]),
                              .to_base = base(rooms[2]),
                              .to_path = path(rooms[3])};
    if (r.op == FILES_LIST && take(1) & 1) {
        r.stage = (uint32_t)take(4);
        r.offset = take(8);
    }
    if (!(take(1) & 15))
        r.container ^= take(8);
    int fd = -1;
    if (files_put_request(&packet, &r) < 0)
        return;
    if (!(take(1) & 15) && packet.len)
        packet.data[take(2) % packet.len] ^= (uint8_t)take(1);
    serve_request(packet.data, packet.len, lab.input, &answer, &fd);
    if (answer.len < sizeof(struct files_answer))
        abort();
    lab_check(fd);
    close_fd(&fd);
}

static void record(void)
{
    int s[2];
    static uint8_t bytes[RECORDS_MAX];
    size_t n = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
        abort();
    while (in.left && n + sizeof(struct record) + 256 < sizeof bytes) {
        struct record r = {.container = take(1) & 7 ? lab.container : take(8),
                           .wall_ns = (int64_t)(take(1) & 1 ? take(8) : take(4)),
                           .kind = (uint32_t)take(1) & 3,
                           .len = (uint32_t)take(1)};
        uint32_t len = r.len;
        if (!(take(1) & 31))
            r.len = (uint32_t)take(4);
        memcpy(bytes + n, &r, sizeof r);
        memset(bytes + n + sizeof r, (int)take(1), len);
        n += sizeof r + len;
    }
    if (send(s[1], bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        abort();
    shutdown(s[1], SHUT_WR);
    logs_run(s[0], NULL);
    close(s[0]);
    close(s[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    in.at = data;
    in.left = len;
    lab_begin();
    if (take(1) & 1)
        record();
    for (int i = 0; in.left && i < REQUESTS; i++)
        ask();
    lab_end();
    return 0;
}
