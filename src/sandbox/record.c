/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/record.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

enum { RECORD_VERSION = 1, RECORD_MAX = 17 << 20 };

static int put_number(struct buffer *b, uint64_t v, size_t bytes)
{
    uint8_t raw[8];
    for (size_t i = 0; i < bytes; i++)
        raw[i] = (uint8_t)(v >> (8 * i));
    return buffer_append(b, raw, bytes);
}

static int put_bytes(struct buffer *b, const void *data, size_t len)
{
    int r = put_number(b, len, 4);
    return r < 0 || !len ? r : buffer_append(b, data, len);
}

static int put_string(struct buffer *b, const char *s)
{
    return put_bytes(b, str_or_empty(s), strlen(str_or_empty(s)));
}

static int put_strings(struct buffer *b, const char *const *strings, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = put_string(b, strings[i]);
    return r;
}

static int put_head(struct buffer *b, char kind, int64_t created_ns)
{
    uint8_t head[] = {(uint8_t)kind, RECORD_VERSION};
    int r = buffer_append(b, head, sizeof head);
    return r < 0 ? r : put_number(b, (uint64_t)created_ns, 8);
}

int record_of_sandbox(const struct sandbox *sb, struct buffer *b)
{
    const char *strings[] = {sb->id, sb->netns_path};
    int r = put_head(b, 'S', sb->created_ns);
    if (r == 0)
        r = put_strings(b, strings, ARRAY_SIZE(strings));
    if (r == 0)
        r = put_number(b, sb->task_v3, 1);
    bool kept = !sb->sandboxer->technique->config_until_start;
    return r < 0 ? r : put_bytes(b, sb->config, kept ? sb->config_len : 0);
}

int record_of_process(const struct process *p, struct buffer *b)
{
    const char *strings[] = {p->id,      p->exec_id, p->sandbox->id, p->stdin_,
                             p->stdout_, p->stderr_, p->bundle};
    int r = put_head(b, 'P', p->created_ns);
    if (r == 0)
        r = put_strings(b, strings, ARRAY_SIZE(strings));
    return r < 0 ? r : put_number(b, p->terminal, 1);
}

struct reader {
    const uint8_t *data;
    size_t left;
    struct arena *arena;
    bool bad;
};

static uint64_t get_number(struct reader *in, size_t bytes)
{
    uint64_t v = 0;
    if (in->left < bytes)
        in->bad = true;
    for (size_t i = 0; i < bytes && !in->bad; i++)
        v |= (uint64_t)in->data[i] << (8 * i);
    if (!in->bad) {
        in->data += bytes;
        in->left -= bytes;
    }
    return v;
}

/* Followed by a NUL that len does not count. */
static const char *get_bytes(struct reader *in, size_t *ret_len)
{
    size_t len = (size_t)get_number(in, 4);
    *ret_len = 0;
    if (in->bad || len > in->left) {
        in->bad = true;
        return "";
    }
    char *copy = arena_alloc(in->arena, len + 1);
    memcpy(copy, in->data, len);
    in->data += len;
    in->left -= len;
    *ret_len = len;
    return copy;
}

static const char *get_string(struct reader *in)
{
    size_t len;
    const char *s = get_bytes(in, &len);
    if (strlen(s) != len)
        in->bad = true;
    return s;
}

static int get_head(struct reader *in, char kind, int64_t *ret_created_ns, struct error *err)
{
    uint64_t got = get_number(in, 1), version = get_number(in, 1);
    if (in->bad || got != (uint8_t)kind || in->left > RECORD_MAX)
        return fail_plain(err, EINVAL, "this is no record of a %s",
                          kind == 'S' ? "sandbox" : "process");
    if (version != RECORD_VERSION)
        return fail_plain(err, EINVAL, "a record of version %u; this program knows version %d",
                          (unsigned)version, RECORD_VERSION);
    *ret_created_ns = (int64_t)get_number(in, 8);
    return 0;
}

int record_read_sandbox(const void *data, size_t len, struct arena *arena, struct record *ret,
                        struct error *err)
{
    struct reader in = {.data = data, .left = len, .arena = arena};
    struct record record = {0};
    int r = get_head(&in, 'S', &record.created_ns, err);
    if (r < 0)
        return r;
    record.sandbox.id = get_string(&in);
    record.sandbox.netns_path = get_string(&in);
    record.sandbox.task_v3 = get_number(&in, 1) != 0;
    record.sandbox.config = get_bytes(&in, &record.sandbox.config_len);
    if (in.bad)
        return fail_plain(err, EINVAL, "the record of a sandbox is cut off or damaged");
    *ret = record;
    return 0;
}

int record_read_process(const void *data, size_t len, struct arena *arena, struct record *ret,
                        struct error *err)
{
    struct reader in = {.data = data, .left = len, .arena = arena};
    struct record record = {0};
    int r = get_head(&in, 'P', &record.created_ns, err);
    if (r < 0)
        return r;
    const char **strings[] = {&record.process.id,         &record.process.exec_id,
                              &record.process.sandbox_id, &record.process.stdin_,
                              &record.process.stdout_,    &record.process.stderr_,
                              &record.process.bundle};
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        *strings[i] = get_string(&in);
    record.process.terminal = get_number(&in, 1) != 0;
    if (in.bad)
        return fail_plain(err, EINVAL, "the record of a process is cut off or damaged");
    *ret = record;
    return 0;
}
