/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"

enum { TEXTS = 7, ABSENT = -1 };

struct head {
    uint64_t number;
    uint32_t size; /* of the record, with this */
    uint32_t kind;
    uint64_t sum; /* of all the rest */
};

/* Of a pod or a container; then the texts, each with its NUL, and the configuration. */
struct body {
    int64_t seq, pod_seq, created_ns, started_ns, finished_ns;
    int32_t phase, pid, exit_code;
    uint32_t attempt;
    int32_t texts[TEXTS]; /* lengths, or ABSENT */
    uint32_t config;
};

struct journal {
    uint8_t *map;
    uint64_t database;
    uint64_t number; /* of the last change that was put */
    size_t used[2];
    int putting; /* the half that is put into */
    bool taken;  /* the other one is being written */
};

/* Changes as bytes */

static bool is_pod(enum store_kind kind)
{
    return kind == STORE_POD_ADD || kind == STORE_POD_SET || kind == STORE_POD_DELETE;
}

static void list_texts(struct store_change *c, const char **ret[TEXTS])
{
    struct pod_row *p = &c->pod;
    struct container_row *k = &c->container;
    const char **of_pod[TEXTS] = {&p->id, &p->key, &p->handler};
    const char **of_container[TEXTS] = {&k->id,       &k->name,   &k->image_id, &k->image_ref,
                                        &k->log_path, &k->reason, &k->message};
    memcpy(ret, is_pod(c->kind) ? of_pod : of_container, sizeof of_pod);
}

static struct body describe(const struct store_change *c, const char *texts[TEXTS])
{
    struct store_change copy = *c;
    const char **places[TEXTS];
    const struct pod_row *p = &c->pod;
    const struct container_row *k = &c->container;
    struct body b = {.seq = k->seq,
                     .pod_seq = k->pod_seq,
                     .created_ns = k->created_ns,
                     .started_ns = k->started_ns,
                     .finished_ns = k->finished_ns,
                     .phase = (int32_t)k->phase,
                     .pid = k->pid,
                     .exit_code = k->exit_code,
                     .attempt = k->attempt,
                     .config = (uint32_t)k->config_len};
    if (is_pod(c->kind))
        b = (struct body){.seq = p->seq,
                          .created_ns = p->created_ns,
                          .phase = (int32_t)p->phase,
                          .pid = p->pid,
                          .config = (uint32_t)p->config_len};
    list_texts(&copy, places);
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = places[i] ? *places[i] : NULL;
        b.texts[i] = texts[i] ? (int32_t)strlen(texts[i]) : ABSENT;
    }
    return b;
}

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static size_t record_size(const struct body *b)
{
    size_t n = sizeof(struct head) + sizeof *b + b->config;
    for (int i = 0; i < TEXTS; i++)
        n += b->texts[i] == ABSENT ? 0 : (size_t)b->texts[i] + 1;
    return padded(n);
}

/* Of everything but itself. Multiplications by an odd number and shifts, as splitmix64 has them. */
static uint64_t checksum(uint64_t database, const struct head *h, const uint8_t *rest)
{
    uint64_t sum = database ^ h->number * 0x9e3779b97f4a7c15u, word;
    sum ^= (uint64_t)h->size << 32 | h->kind;
    for (size_t i = 0; i < h->size - sizeof *h; i += sizeof word) {
        memcpy(&word, rest + i, sizeof word);
        sum = (sum ^ word) * 0xbf58476d1ce4e5b9u;
        sum ^= sum >> 29;
    }
    return sum;
}

static bool read_record(const struct journal *j, const uint8_t *at, const uint8_t *end,
                        struct head *ret)
{
    size_t left = (size_t)(end - at);
    if (left < sizeof *ret)
        return false;
    memcpy(ret, at, sizeof *ret);
    return ret->size >= sizeof *ret + sizeof(struct body) && ret->size <= left &&
           ret->size % 8 == 0 && ret->kind < STORE_KINDS &&
           ret->sum == checksum(j->database, ret, at + sizeof *ret);
}

size_t journal_size(const struct store_change *change)
{
    const char *texts[TEXTS];
    struct body b = describe(change, texts);
    return record_size(&b);
}

bool journal_put(struct journal *j, const struct store_change *change)
{
    const char *texts[TEXTS];
    struct body b = describe(change, texts);
    size_t size = record_size(&b), *used = &j->used[j->putting];
    if (size > JOURNAL_CHANGE_MAX || size > JOURNAL_HALF - *used)
        return false;
    uint8_t *at = j->map + (size_t)j->putting * JOURNAL_HALF + *used,
            *rest = at + sizeof(struct head);
    uint8_t *to = mempcpy(rest, &b, sizeof b);
    for (int i = 0; i < TEXTS; i++)
        if (texts[i])
            to = mempcpy(to, texts[i], (size_t)b.texts[i] + 1);
    const void *config = is_pod(change->kind) ? change->pod.config : change->container.config;
    if (b.config)
        to = mempcpy(to, config, b.config);
    memset(to, 0, (size_t)(at + size - to));
    struct head h = {.number = ++j->number, .size = (uint32_t)size, .kind = change->kind};
    h.sum = checksum(j->database, &h, rest);
    memcpy(at, &h, sizeof h);
    *used += size;
    return true;
}

/* Batches */

bool journal_is_empty(const struct journal *j)
{
    return !j->used[0] && !j->used[1];
}

bool journal_is_filling(const struct journal *j)
{
    return j->used[j->putting] > JOURNAL_HALF / 2;
}

struct journal_batch journal_take(struct journal *j)
{
    if (!j->taken && j->used[j->putting]) {
        j->taken = true;
        j->putting = !j->putting;
    }
    int half = !j->putting;
    const uint8_t *at = j->map + (size_t)half * JOURNAL_HALF;
    struct journal_batch b = {.at = at, .end = at + j->used[half]};
    struct head h;
    if (read_record(j, b.at, b.end, &h))
        b.number = h.number - 1;
    return b;
}

static bool fits(const struct body *b, size_t size)
{
    for (int i = 0; i < TEXTS; i++)
        if (b->texts[i] < ABSENT)
            return false;
    return record_size(b) == size;
}

bool journal_next(const struct journal *j, struct journal_batch *batch, struct store_change *ret)
{
    struct head h;
    struct body b;
    if (!read_record(j, batch->at, batch->end, &h) || h.number != batch->number + 1)
        return false;
    const char *at = (const char *)batch->at + sizeof h;
    memcpy(&b, at, sizeof b);
    at += sizeof b;
    if (!fits(&b, h.size))
        return false;
    *ret = (struct store_change){.kind = (enum store_kind)h.kind};
    const char **places[TEXTS];
    list_texts(ret, places);
    for (int i = 0; i < TEXTS; i++)
        if (b.texts[i] != ABSENT) {
            *places[i] = at;
            at += b.texts[i] + 1;
        }
    if (is_pod(ret->kind)) {
        ret->pod.seq = b.seq;
        ret->pod.phase = (enum pod_phase)b.phase;
        ret->pod.pid = b.pid;
        ret->pod.created_ns = b.created_ns;
        ret->pod.config = at;
        ret->pod.config_len = b.config;
    } else {
        struct container_row *k = &ret->container;
        k->seq = b.seq;
        k->pod_seq = b.pod_seq;
        k->phase = (enum container_phase)b.phase;
        k->pid = b.pid;
        k->created_ns = b.created_ns;
        k->started_ns = b.started_ns;
        k->finished_ns = b.finished_ns;
        k->exit_code = b.exit_code;
        k->attempt = b.attempt;
        k->config = at;
        k->config_len = b.config;
    }
    batch->at += h.size;
    batch->number = h.number;
    return true;
}

void journal_written(struct journal *j)
{
    int half = !j->putting;
    /* also makes the pages the kernel's to write again: not when the loop puts something there */
    memset(j->map + (size_t)half * JOURNAL_HALF, 0, j->used[half]);
    j->used[half] = 0;
    j->taken = false;
}

/* Opening */

/* The records in a half that follow each other; the first one's number, 0 where there is none. */
static uint64_t measure(struct journal *j, int half)
{
    const uint8_t *start = j->map + (size_t)half * JOURNAL_HALF, *at = start,
                  *end = at + JOURNAL_HALF;
    struct head h;
    uint64_t first = 0, last = 0;
    while (read_record(j, at, end, &h) && (!first || h.number == last + 1)) {
        first = first ? first : h.number;
        last = h.number;
        at += h.size;
    }
    j->used[half] = (size_t)(at - start);
    if (last > j->number)
        j->number = last;
    return first;
}

static int map_file(struct journal *j, const char *path, struct error *err)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(err, errno, "open '%s'", path);
    /* a page of a mapping that the disk has no room for is a SIGBUS */
    int r = posix_fallocate(fd, 0, 2 * JOURNAL_HALF);
    if (r)
        return fail(err, r, "make room for '%s'", path);
    void *map = mmap(NULL, 2 * JOURNAL_HALF, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return fail(err, errno, "map '%s'", path);
    j->map = map;
    return 0;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    if (j->map)
        munmap(j->map, 2 * JOURNAL_HALF);
    free(j);
}
CLEANUP_FREE(journal, struct journal);

int journal_open(struct journal **ret, const char *path, uint64_t database, struct error *err)
{
    auto(journal) struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return fail(err, ENOMEM, "open '%s'", path);
    j->database = database;
    int r = map_file(j, path, err);
    if (r < 0)
        return r;
    uint64_t first = measure(j, 0), second = measure(j, 1);
    j->putting = second > first;
    j->taken = j->used[!j->putting];
    *ret = take_ptr(&j);
    return 0;
}

void journal_begin(struct journal *j, uint64_t written)
{
    if (j->number != written) /* what no change before it is known of may look whole */
        memset(j->map, 0, 2 * JOURNAL_HALF);
    j->number = written;
}
