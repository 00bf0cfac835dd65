/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's host calls: the input is a program of calls with hostile arguments, of what lies in memory, and of what happens while a call
 * is parked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "wasi_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS = 96, RESUMES = 12, ARGS = 10 };

static uint64_t argument(bool wide)
{
    switch (take(1) & 15) {
    default:
        return take(1) & 15; /* a descriptor, a flag, a small count */
    case 6:
    case 7:
    case 8:
        return take(2); /* a place in memory */
    case 9:
        return take(1) << 8;
    case 10:
        return LAB_MEMORY - (take(1) & 63);
    case 11:
        return UINT32_MAX - (take(1) & 63);
    case 12:
        return wide ? UINT64_MAX - take(1) : UINT32_MAX;
    case 13:
        return wide ? take(8) : take(4);
    case 14:
        return wide ? (uint64_t)INT64_MAX - take(1) : INT32_MAX;
    case 15:
        return wide ? UINT64_MAX : take(3); /* all rights */
    }
}

static void put(uint32_t at, const void *data, size_t len)
{
    at %= LAB_MEMORY;
    len = len < LAB_MEMORY - at ? len : LAB_MEMORY - at;
    memcpy(lab.memory + at, data, len);
}

static void put_bytes(void)
{
    uint32_t at = (uint32_t)take(2);
    uint8_t bytes[64];
    size_t n = take(1) & 63;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)take(1);
    put(at, bytes, n);
}

static void put_vector(void)
{
    uint32_t at = (uint32_t)take(2);
    for (uint32_t i = 0, n = take(1) & 15; i < n; i++) {
        uint32_t v[2] = {(uint32_t)argument(false), (uint32_t)argument(false)};
        put(at + 8 * i, v, sizeof v);
    }
}

static void put_subscriptions(void)
{
    uint32_t at = (uint32_t)take(2);
    for (uint32_t i = 0, n = take(1) & 15; i < n; i++) {
        uint8_t s[48] = {0};
        uint64_t timeout = argument(true);
        s[8] = take(1) & 3;
        s[16] = take(1) & 15;
        s[40] = take(1) & 1;
        memcpy(s + 24, &timeout, 8);
        put(at + 48 * i, s, sizeof s);
    }
}

static const char *const paths[] = {
    "file",      "dir",
    ".",         "..",
    "dir/other", "link",
    "dir/out",   "absolute",
    "loop",      "new",
    "new/x",     "dir/deep",
    "data",      "data/out",
    "sub",       "fifo",
    "data/fifo", "dev/null",
    "dev/zero",  "dev/full",
    "../secret", "dir/../../secret",
    "a/",        "//",
    "",          "dir/",
    "dev",       "dev/urandom",
    "file/",     "new/../new",
};
#define PATHS (sizeof paths / sizeof *paths)

static const char *path(void)
{
    static char name[4352];
    size_t i = take(1) % (PATHS + 2);
    if (i < PATHS)
        return paths[i];
    size_t n = i == PATHS ? 255 + take(1) % 3 : 4000 + take(1);
    memset(name, 'a', n);
    if (i > PATHS)
        for (size_t k = 1; k < n; k += 2)
            name[k] = '/';
    name[n] = 0;
    return name;
}

static void put_path(void)
{
    const char *p = path();
    put((uint32_t)take(2), p, strlen(p));
}

/* A call that probably succeeds, so that there is something to be hostile with. */
static void open_something(uint64_t *args)
{
    const char *p = path();
    put(0x8000, p, strlen(p));
    uint64_t flags = take(1);
    const uint64_t open[] = {4 + (flags >> 7), flags >> 6 & 1, 0x8000,
                             strlen(p),        take(1) & 15,   flags & 32 ? take(4) : UINT64_MAX,
                             UINT64_MAX,       flags & 31,     0x100};
    memcpy(args, open, sizeof open);
}

static void peer(void)
{
    static const char text[4096];
    size_t n = take(2) & 4095;
    int which = (int)(take(1) % (LAB_PEERS + 1));
    char back[4096];
    int fd = which < LAB_PEERS ? lab.peers[which] : lab.input;
    if (which < LAB_PEERS && read(fd, back, sizeof back) < 0)
        n &= 255;
    if (write(fd, text, n) < 0)
        return;
}

/* A call has parked: what happens meanwhile. */
static void while_parked(void)
{
    for (int i = 0; lab.parked && i < RESUMES; i++) {
        uint64_t what = take(1) & 7;
        if (what == 7) {
            lab_end();
            lab_begin();
            return;
        }
        if (what == 6)
            peer();
        lab_resume(what == 5);
    }
    if (lab.parked) {
        lab_end();
        lab_begin();
    }
}

static void step(void)
{
    uint64_t args[ARGS] = {0};
    size_t what = take(1), functions = lab_functions();
    switch (what) {
    case 255:
        put_bytes();
        return;
    case 254:
    case 253:
        put_vector();
        return;
    case 252:
        put_subscriptions();
        return;
    case 251:
        put_path();
        return;
    case 250:
        peer();
        return;
    case 249:
        lab.cold = !lab.cold;
        return;
    case 248:
    case 247:
    case 246:
        open_something(args);
        lab_call(lab_function("path_open"), args);
        break;
    default: {
        const char *params = lab_params(what % functions);
        for (size_t i = 0; params[i]; i++)
            args[i] = argument(params[i] == 'l');
        lab_call(what % functions, args);
    }
    }
    while_parked();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    in.at = data;
    in.left = len;
    lab_begin();
    for (int i = 0; in.left && i < STEPS; i++)
        step();
    lab_end();
    return 0;
}
