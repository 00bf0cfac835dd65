/* SPDX-License-Identifier: Apache-2.0 */
/* poll_oneoff, over clocks and descriptors. */
#include "wasi.h"

#include <stdlib.h>

enum { MS = 1000000 };
#define HOUR UINT64_C(3600000000000)

static __wasi_subscription_t clock_in(uint64_t userdata, uint32_t id, uint64_t timeout,
                                      bool absolute)
{
    __wasi_subscription_t s = {.userdata = userdata, .u = {.tag = __WASI_EVENTTYPE_CLOCK}};
    s.u.u.clock = (__wasi_subscription_clock_t){
        .id = id,
        .timeout = timeout,
        .flags = absolute ? __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME : 0};
    return s;
}

static __wasi_subscription_t ready(uint64_t userdata, uint8_t tag, uint32_t fd)
{
    __wasi_subscription_t s = {.userdata = userdata, .u = {.tag = tag}};
    s.u.u.fd_read.file_descriptor = fd;
    return s;
}

/* One event for this subscription and no other; how long it took. */
static uint64_t alone(const __wasi_subscription_t *s, uint32_t count, uint64_t userdata)
{
    __wasi_event_t e[4];
    uint32_t n = 0;
    uint64_t begin = now_ns(1);
    OK(wasi_poll_oneoff(s, e, count, &n));
    uint64_t took = now_ns(1) - begin;
    CHECK(n == 1 && e[0].userdata == userdata && e[0].error == 0);
    return took;
}

static void relative(void)
{
    for (uint32_t id = 0; id < 2; id++) {
        __wasi_subscription_t s[2] = {clock_in(1, id, HOUR, false), clock_in(2, id, 5 * MS, false)};
        CHECK(alone(s, 2, 2) >= 5 * MS);
        s[1] = clock_in(3, id, 0, false);
        CHECK(alone(s, 2, 3) < 5000ull * MS);
    }
    __wasi_subscription_t s = clock_in(4, 1, 5 * MS, false);
    s.u.u.clock.precision = 1;
    CHECK(alone(&s, 1, 4) >= 5 * MS);
}

static void absolute(void)
{
    for (uint32_t id = 0; id < 2; id++) {
        __wasi_subscription_t s = clock_in(1, id, now_ns(id) + 5 * MS, true);
        uint64_t until = s.u.u.clock.timeout;
        alone(&s, 1, 1);
        CHECK(now_ns(id) >= until);
        s = clock_in(2, id, now_ns(id) - 1, true);
        alone(&s, 1, 2);
        s = clock_in(3, id, 0, true);
        alone(&s, 1, 3);
    }
}

static void many_due(void)
{
    enum { N = 100 };
    static __wasi_subscription_t s[N];
    static __wasi_event_t e[N];
    uint32_t n = 0, seen = 0;
    for (uint32_t i = 0; i < N; i++)
        s[i] = clock_in(1000 + i, i & 1, i == 50 ? HOUR : 1, i != 50);
    OK(wasi_poll_oneoff(s, e, N, &n));
    CHECK(n == N - 1);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(e[i].userdata != 1050 && e[i].userdata >= 1000 && e[i].userdata < 1000 + N);
        CHECK(e[i].type == __WASI_EVENTTYPE_CLOCK && e[i].error == 0);
        seen += (uint32_t)e[i].userdata - 1000;
    }
    CHECK(seen == N * (N - 1) / 2 - 50); /* each once */
}

static void none(void)
{
    __wasi_event_t e;
    __wasi_subscription_t s = clock_in(1, 1, 0, false);
    uint32_t n = 0;
    IS(wasi_poll_oneoff(&s, &e, 0, &n), E(INVAL));
}

static void far_away(void)
{
    __wasi_subscription_t s[3] = {clock_in(1, 1, UINT64_MAX, false),
                                  clock_in(2, 0, UINT64_MAX, true), clock_in(3, 1, MS, false)};
    CHECK(alone(s, 3, 3) >= MS);
    s[0] = clock_in(1, 1, UINT64_MAX, true);
    CHECK(alone(s, 3, 3) >= MS);
}

static void bad_clock(void)
{
    __wasi_event_t e[2];
    uint32_t n = 0;
    __wasi_subscription_t s[2] = {clock_in(1, 99, MS, false), clock_in(2, 1, HOUR, false)};
    uint32_t r = wasi_poll_oneoff(s, e, 2, &n);
    CHECK(r == E(INVAL) || (r == 0 && n == 1 && e[0].userdata == 1 && e[0].error != 0));
}

static void bad_tag(void)
{
    __wasi_event_t e;
    uint32_t n = 0;
    __wasi_subscription_t s = clock_in(1, 1, 0, false);
    s.u.tag = 3;
    IS(wasi_poll_oneoff(&s, &e, 1, &n), E(INVAL));
    s.u.tag = 255;
    IS(wasi_poll_oneoff(&s, &e, 1, &n), E(INVAL));
}

static void bad_fd(void)
{
    __wasi_event_t e[4];
    uint32_t n = 0;
    __wasi_subscription_t s[3] = {ready(1, __WASI_EVENTTYPE_FD_READ, 99),
                                  clock_in(2, 1, HOUR, false),
                                  ready(3, __WASI_EVENTTYPE_FD_WRITE, UINT32_MAX)};
    OK(wasi_poll_oneoff(s, e, 3, &n));
    CHECK(n == 2 && e[0].error == E(BADF) && e[1].error == E(BADF));
    CHECK(e[0].userdata + e[1].userdata == 4);
    CHECK(e[0].type != __WASI_EVENTTYPE_CLOCK && e[1].type != __WASI_EVENTTYPE_CLOCK);
}

static void files(void)
{
    __wasi_event_t e[4];
    uint32_t n = 0, fd = make_file("f", "0123456789");
    uint64_t at;
    OK(wasi_fd_seek(fd, 4, __WASI_WHENCE_SET, &at));
    __wasi_subscription_t s[3] = {ready(1, __WASI_EVENTTYPE_FD_READ, fd),
                                  clock_in(2, 1, HOUR, false),
                                  ready(3, __WASI_EVENTTYPE_FD_WRITE, fd)};
    OK(wasi_poll_oneoff(s, e, 3, &n));
    CHECK(n == 2 && e[0].error == 0 && e[1].error == 0);
    CHECK(e[0].userdata == 1 && e[0].type == __WASI_EVENTTYPE_FD_READ);
    CHECK(e[0].fd_readwrite.nbytes > 0 && !(e[0].fd_readwrite.flags & 1));
    CHECK(e[1].userdata == 3 && e[1].type == __WASI_EVENTTYPE_FD_WRITE);
}

static void console(void)
{
    __wasi_subscription_t s[2] = {ready(1, __WASI_EVENTTYPE_FD_WRITE, 1),
                                  clock_in(2, 1, HOUR, false)};
    alone(s, 2, 1);
    s[0] = ready(3, __WASI_EVENTTYPE_FD_WRITE, 2);
    alone(s, 2, 3);
    s[0] = ready(4, __WASI_EVENTTYPE_FD_READ, 0); /* at its end: a read would not wait */
    alone(s, 2, 4);
}

static void one_buffer(void)
{
    union {
        __wasi_subscription_t s[2];
        __wasi_event_t e[2];
    } u = {.s = {clock_in(7, 1, MS, false), clock_in(8, 1, HOUR, false)}};
    uint32_t n = 0;
    OK(wasi_poll_oneoff(u.s, u.e, 2, &n)); /* events may be written over the subscriptions */
    CHECK(n == 1 && u.e[0].userdata == 7);
}

const struct test poll_tests[] = {
    {"poll_relative", relative}, {"poll_absolute", absolute},   {"poll_many", many_due},
    {"poll_none", none},         {"poll_far", far_away},        {"poll_bad_clock", bad_clock},
    {"poll_bad_tag", bad_tag},   {"poll_bad_fd", bad_fd},       {"poll_files", files},
    {"poll_console", console},   {"poll_in_place", one_buffer}, {0}};
