/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzing of host calls has found, and what it bounds. */
#include "test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../fuzz/wasi_lab.h"
#include "base/base.h"
#include "wasm/worker/guest.h"

enum { AT = 0x1000, PATH = 0x8000, VECTOR = 0x9000, RESULT = 0x100, DATA = 5, FAULT = 21 };

static void call(const char *name, const uint64_t *args)
{
    lab_call(lab_function(name), args);
    while (lab.parked)
        lab_resume(false);
}

static uint32_t open_at(uint32_t dir, const char *path, uint32_t oflags)
{
    uint32_t fd;
    memcpy(lab.memory + PATH, path, strlen(path));
    call("path_open",
         (uint64_t[]){dir, 1, PATH, strlen(path), oflags, UINT64_MAX, UINT64_MAX, 0, RESULT});
    assert_int_equal(lab.result, 0);
    memcpy(&fd, lab.memory + RESULT, sizeof fd);
    return fd;
}

static void put_vector(const uint32_t (*v)[2], size_t count)
{
    memcpy(lab.memory + VECTOR, v, 8 * count);
}

/* The first piece is read over the vector, so that the rest has no place; it is under way by then. */
static void a_call_that_fails_half_way_leaves_no_job(void **state)
{
    (void)state;
    lab_begin();
    uint32_t fd = open_at(DATA, "long", 1 /* create */);
    memset(lab.memory + AT, 0xff, 4096);
    put_vector((const uint32_t[][2]){{AT, 4096}}, 1);
    call("fd_write", (uint64_t[]){fd, VECTOR, 1, RESULT});
    assert_int_equal(lab.result, 0);
    call("fd_seek", (uint64_t[]){fd, 0, 0, RESULT});
    lab.cold = lab.half = true;
    put_vector((const uint32_t[][2]){{VECTOR, 64}, {AT, 1024}}, 2);
    call("fd_read", (uint64_t[]){fd, VECTOR, 2, RESULT});
    assert_int_equal(lab.result, FAULT);
    assert_null(lab.guest->job);
    lab_end();
}

static void a_wait_takes_memory_for_each_descriptor_once(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    lab_begin();
    for (size_t i = 0; i < COUNT; i++) {
        uint8_t *s = lab.memory + AT + 48 * i;
        s[8] = 1; /* the standard input, to be read */
    }
    lab_call(lab_function("poll_oneoff"), (uint64_t[]){AT, AT + 48 * COUNT, COUNT, RESULT});
    assert_true(lab.parked);
    assert_int_equal(lab.guest->wait.count, 1);
    assert_true(lab.guest->wait.room <= lab.guest->wasi.fd_count);
    lab_end();
}

static void of_many_directories_few_listings_are_kept(void **state)
{
    (void)state;
    unsigned kept = 0;
    lab_begin();
    for (int i = 0; i < 40; i++) {
        uint32_t fd = open_at(DATA, "sub", 2 /* directory */);
        call("fd_readdir", (uint64_t[]){fd, AT, 4096, 0, RESULT});
        assert_int_equal(lab.result, 0);
    }
    for (uint32_t i = 0; i < lab.guest->wasi.fd_count; i++)
        kept += lab.guest->wasi.fds[i].listing != NULL;
    assert_true(kept > 0 && kept <= 8);
    lab_end();
}

/* Who is attached gets a copy, of which the worker holds no more than of a log's records. */
static void what_is_written_comes_to_who_is_attached_in_pieces(void **state)
{
    (void)state;
    enum { LEN = 40000, PIECE = 32 << 10 };
    int fds[2];
    uint8_t head[8];
    lab_begin();
    struct console *c = &lab.guest->wasi.console;
    c->streams = 0; /* no log */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(console_attach(c, fds[0], true, false), 0);
    put_vector((const uint32_t[][2]){{AT, LEN}}, 1);
    call("fd_write", (uint64_t[]){1, VECTOR, 1, RESULT});
    assert_int_equal(lab.result, 0);
    assert_int_equal(recv(fds[1], head, sizeof head, 0), sizeof head);
    assert_int_equal(head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7], PIECE);
    close(fds[1]);
    lab_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_half_way_leaves_no_job),
        cmocka_unit_test(a_wait_takes_memory_for_each_descriptor_once),
        cmocka_unit_test(what_is_written_comes_to_who_is_attached_in_pieces),
        cmocka_unit_test(of_many_directories_few_listings_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
