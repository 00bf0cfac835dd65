/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/request.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/str.h"

enum { STRINGS = 4 };

struct head {
    uint64_t tag, container, offset;
    uint32_t op, flags, stage;
    uint32_t len[STRINGS]; /* each is followed by a NUL */
    struct timespec times[2];
};

int files_put_request(struct buffer *packet, const struct files_request *r)
{
    const char *strings[STRINGS] = {r->base, r->path, r->to_base, r->to_path};
    struct head h = {.tag = r->tag,
                     .container = r->container,
                     .offset = r->offset,
                     .op = r->op,
                     .flags = r->flags,
                     .stage = r->stage,
                     .times = {r->times[0], r->times[1]}};
    for (unsigned i = 0; i < STRINGS; i++) {
        size_t len = strlen(str_or_empty(strings[i]));
        if (len >= FILES_PATH_MAX)
            return -ENAMETOOLONG;
        h.len[i] = (uint32_t)len;
    }
    size_t start = packet->len;
    int e = buffer_append(packet, &h, sizeof h);
    for (unsigned i = 0; !e && i < STRINGS; i++)
        e = buffer_append(packet, str_or_empty(strings[i]), h.len[i] + 1ul);
    if (e < 0)
        packet->len = start;
    return e;
}

static bool times_are_valid(const struct timespec times[2])
{
    for (unsigned i = 0; i < 2; i++)
        if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT &&
            (times[i].tv_nsec < 0 || times[i].tv_nsec >= NSEC_PER_SEC))
            return false;
    return true;
}

int files_get_request(const void *data, size_t len, struct files_request *ret)
{
    struct head h;
    const char *at = (const char *)data + sizeof h, *strings[STRINGS];
    if (len < sizeof h)
        return -EPROTO;
    memcpy(&h, data, sizeof h);
    len -= sizeof h;
    for (unsigned i = 0; i < STRINGS; i++) {
        if (h.len[i] >= FILES_PATH_MAX || h.len[i] >= len || at[h.len[i]] ||
            memchr(at, 0, h.len[i]))
            return -EPROTO;
        strings[i] = at;
        at += h.len[i] + 1;
        len -= h.len[i] + 1;
    }
    if (len || !h.op || h.op >= FILES_OP_END || h.flags & ~(uint32_t)FILES_FLAGS ||
        !times_are_valid(h.times))
        return -EPROTO;
    *ret = (struct files_request){.tag = h.tag,
                                  .container = h.container,
                                  .op = h.op,
                                  .flags = h.flags,
                                  .offset = h.offset,
                                  .stage = h.stage,
                                  .times = {h.times[0], h.times[1]},
                                  .base = strings[0],
                                  .path = strings[1],
                                  .to_base = strings[2],
                                  .to_path = strings[3]};
    return 0;
}

static uint64_t ns_of(struct timespec t)
{
    return (uint64_t)(t.tv_sec * NSEC_PER_SEC + t.tv_nsec);
}

void files_stat_from(struct files_stat *to, const struct stat *st)
{
    *to = (struct files_stat){.dev = st->st_dev,
                              .ino = st->st_ino,
                              .mode = st->st_mode,
                              .nlink = st->st_nlink,
                              .size = (uint64_t)st->st_size,
                              .atime = ns_of(st->st_atim),
                              .mtime = ns_of(st->st_mtim),
                              .ctime = ns_of(st->st_ctim)};
}
