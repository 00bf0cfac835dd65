/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that was taken over, as the supervisor hears it: what it says when it is found again, whatever it was asked. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "input.h"
#include "sandbox/record.h"
#include "sandbox/server.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/wasm.h"
#include "wasm/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[] = "/dev/shm/warren-fuzz-supervisor.XXXXXX";
static struct wasm *wasm;
static struct sandboxer *sandboxer;
static struct buffer records[4]; /* of two pods, and of a container in each */

static void must(bool is)
{
    if (!is)
        abort();
}

static void remove_dir(void)
{
    dir_remove(AT_FDCWD, dir, NULL);
}

static void open_supervisor(void)
{
    struct wasm_options options = {.dir = dir,
                                   .worker = "/bin/false",
                                   .pods_per_worker = WASM_PODS_PER_WORKER,
                                   .memory_limit = WASM_MEMORY_LIMIT,
                                   .cache_size = WASM_CACHE_SIZE};
    must(wasm_new(&wasm, &options, NULL) == 0 &&
         sandboxer_new(&sandboxer, &wasm_technique, wasm, "none", NULL) == 0);
}

static void close_supervisor(void)
{
    sandboxer_free(sandboxer);
    wasm_free(wasm);
}

/* Records as a supervisor makes them. */
static void make_records(void)
{
    static const char *const ids[] = {"one", "two"};
    open_supervisor();
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct sandbox *sb;
        struct process *p;
        struct sandbox_request pod = {.id = ids[i], .netns_path = ""};
        must(table_add_sandbox(sandboxer, &pod, &sb, NULL) == 0);
        struct process_request container = {.id = i ? "d" : "c",
                                            .exec_id = "",
                                            .sandbox_id = ids[i],
                                            .stdin_ = "",
                                            .stdout_ = "",
                                            .stderr_ = "",
                                            .bundle = ""};
        must(table_add_process(sandboxer, sb, &container, &p, NULL) == 0);
        must(record_of_sandbox(sb, &records[2 * i]) == 0 &&
             record_of_process(p, &records[2 * i + 1]) == 0);
        process_unref(p);
        sandbox_unref(sb);
    }
    close_supervisor();
}

static const char *id(void)
{
    static const char *const ids[] = {"one", "two", "c", "d", "c/x", "", "/", "../one"};
    return ids[take(1) % ARRAY_SIZE(ids)];
}

static void put_record(struct wire_writer *w)
{
    const struct buffer *record = &records[take(1) % ARRAY_SIZE(records)];
    auto(buffer) struct buffer copy = {0};
    must(buffer_append(&copy, record->data, record->len) == 0);
    for (uint64_t n = take(1) & 3; n; n--)
        copy.data[take(1) % copy.len] ^= (uint8_t)take(1);
    wire_put_bytes(w, copy.data, copy.len);
}

static void put_frame(struct buffer *out)
{
    static const enum wire_type types[] = {WIRE_SANDBOX, WIRE_PROCESS, WIRE_EXITED, WIRE_REPLY};
    size_t start = out->len;
    uint8_t what = (uint8_t)take(1);
    enum wire_type type = types[what & 3];
    struct wire_writer w = wire_begin(out, type, (uint32_t)take(1) & 3);
    if (type == WIRE_REPLY)
        wire_put_number(&w, what & 4 ? (int64_t)take(8) : 0);
    if (type != WIRE_REPLY)
        wire_put_text(&w, id());
    if (type == WIRE_PROCESS)
        wire_put_text(&w, id());
    if (type == WIRE_SANDBOX || type == WIRE_PROCESS)
        put_record(&w);
    for (uint64_t n = what >> 4; n; n--)
        wire_put_number(&w, take(1) & 1 ? (int64_t)take(8) : (int64_t)take(1));
    wire_put_text(&w, id());
    wire_end(&w);
    if (what & 8 && out->len > start)
        out->data[start + take(1) % (out->len - start)] ^= (uint8_t)take(1);
}

static int listen_as(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/w/%s", dir, name);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
    return fd;
}

/* Says all of it to who connects, and hangs up. */
static void say(int listening, const struct buffer *what)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && what->len && send(fd, what->data, what->len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        shutdown(fd, SHUT_WR);
    co_sleep(NSEC_PER_MSEC / 4);
    close_fd(&fd);
}

struct talk {
    int own, files;
    struct buffer from_worker, from_files;
};

static void talk(void *arg)
{
    struct talk *t = arg;
    co_yield ();
    say(t->own, &t->from_worker);
    say(t->files, &t->from_files);
}

static void recover(void *arg)
{
    (void)arg;
    wasm_technique.recover(wasm, sandboxer, NULL);
    co_sleep(NSEC_PER_MSEC);
    for (struct sandbox *sb; (sb = list_first(&sandboxer->all, struct sandbox, table));)
        if (sandboxer_shutdown(sandboxer, sb->id, NULL) < 0)
            break;
    loop_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!wasm) {
        diag_init("fuzz", DIAG_ERROR);
        must(mkdtemp(dir));
        atexit(remove_dir);
        make_records();
    }
    in.at = data;
    in.left = len;
    open_supervisor();
    struct talk t = {.own = listen_as("0.1"), .files = listen_as("0.1.f")};
    autofree char *key = str_format("%s/w/0.1.k", dir);
    must(file_replace(AT_FDCWD, key, "namespace/x", 11, 0600, false, NULL) == 0);
    while (in.left)
        put_frame(take(1) & 15 ? &t.from_worker : &t.from_files);
    co_start(recover, NULL);
    co_start(talk, &t);
    loop_run();
    close(t.own);
    close(t.files);
    buffer_done(&t.from_worker);
    buffer_done(&t.from_files);
    close_supervisor();
    uv_run(loop_uv(), UV_RUN_NOWAIT);
    return 0;
}
