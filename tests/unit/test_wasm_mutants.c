/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed modules: valid ones are damaged at random and go the whole way through the compiler and a worker. For longer:
 * WARREN_MUTANTS_S=600 WARREN_MUTANTS_SEED=7 test-wasm-mutants (with the environment that meson gives the wasm tests). */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/supervisor/supervisor.h"

enum { DEFAULT_S = 3, RUN_MS = 20, DAMAGES_MAX = 8, RANGE_MAX = 64, LANES = 4, LARGE_IN = 6 };

static const char *const originals[] = {"tiny", "divide", "recurse", "outside", "guest"};
static struct buffer sources[ARRAY_SIZE(originals)];
static uint64_t state;
static int64_t end;
static unsigned made, lanes;
static struct co *waiting;

static struct {
    unsigned refused, ended_compilers, ran, killed;
} counts;

/* splitmix64 */
static uint64_t any(uint64_t below)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return below ? (z ^ z >> 31) % below : 0;
}

/* Where damage is likely to be valid still: small modules anywhere, large ones in what is not their first bytes. */
static void damage(struct buffer *m)
{
    static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xff, 0x40, 0x41, 0x10, 0x0b};
    size_t at = 8 + any(m->len - 8), n = 1 + any(RANGE_MAX);
    n = n < m->len - at ? n : m->len - at;
    switch (any(10)) {
    default:
        m->data[at] ^= (uint8_t)(1 << any(8));
        break;
    case 1:
        m->data[at] = interesting[any(sizeof interesting)];
        break;
    case 2:
        m->data[at] = (uint8_t)any(256);
        break;
    case 3: /* one range over another */
        memmove(m->data + 8 + any(m->len - 8 - n), m->data + at, n);
        break;
    case 4: /* less */
        memmove(m->data + at, m->data + at + n, m->len - at - n);
        m->len -= m->len - n > 16 ? n : 0;
        break;
    case 0: { /* a piece of another */
        const struct buffer *other = &sources[any(ARRAY_SIZE(originals))];
        size_t from = any(other->len), piece = n < other->len - from ? n : other->len - from;
        memcpy(m->data + at, other->data + from, piece);
        break;
    }
    }
}

static void write_mutant(unsigned number)
{
    auto(buffer) struct buffer m = {0};
    /* the last one, which is large, takes long */
    const struct buffer *source =
        &sources[any(LARGE_IN) ? any(ARRAY_SIZE(originals) - 1) : ARRAY_SIZE(originals) - 1];
    autofree char *path = str_format("%s/base/m%u.wasm", pods.dir, number);
    assert_int_equal(buffer_append(&m, source->data, source->len), 0);
    for (uint64_t n = any(2) ? 1 : 1 + any(DAMAGES_MAX); n; n--)
        damage(&m);
    assert_int_equal(file_replace(AT_FDCWD, path, m.data, m.len, 0755, false, NULL), 0);
}

static void run_mutant(unsigned number)
{
    struct error err = {0};
    char id[16];
    snprintf(id, sizeof id, "m%u", number);
    autofree char *name = str_format("/%s.wasm", id);
    struct container_spec c = {
        .pod = "pod",
        .id = id,
        .args = ARGS(name, "echo", "spin"),
        .more = any(2) ? NULL : ",\"annotations\":{\"warren.wasm/profile\":\"busy\"}"};
    int r = container_create(&c, &err);
    if (r < 0) {
        /* -EIO: the compiler met a bound of its own, or its end, which is its own affair */
        if (r != -ENOEXEC && r != -ENOMEM && r != -EIO)
            give_up("mutant %u: %s", number, err.message);
        counts.refused++;
        counts.ended_compilers += strstr(err.message, "ended by signal") != NULL;
        return;
    }
    container_start(id);
    struct process *p = sandboxer_find_process(pods.sandboxer, id, "");
    for (int i = 0; i < RUN_MS && !p->exited_ns; i++)
        co_sleep(NSEC_PER_MSEC);
    if (!p->exited_ns) {
        counts.killed++;
        process_kill(pods.sandboxer, id, "", SIGKILL, false, NULL);
    }
    container_wait(id, NULL);
    container_remove(id);
    autofree char *upper = str_format("%s/up-%s", pods.dir, id);
    autofree char *log = str_format("%s/logs/%s", pods.dir, id);
    dir_remove(AT_FDCWD, upper, NULL);
    unlink(log);
    counts.ran++;
}

static void lane(void *arg)
{
    (void)arg;
    while (clock_mono_ns() < end) {
        unsigned number = made++;
        write_mutant(number);
        run_mutant(number);
        autofree char *path = str_format("%s/base/m%u.wasm", pods.dir, number);
        unlink(path);
    }
    lanes--;
    co_wake(waiting);
}

static int64_t number_of(const char *variable, int64_t otherwise)
{
    const char *text = getenv(variable);
    int64_t n;
    return text && str_parse_int(text, 0, INT64_MAX, &n) == 0 ? n : otherwise;
}

static void mutants(void)
{
    state = (uint64_t)number_of("WARREN_MUTANTS_SEED", 1);
    end = clock_mono_ns() + number_of("WARREN_MUTANTS_S", DEFAULT_S) * NSEC_PER_SEC;
    pod_start("pod", "default");
    struct holder *worker =
        ((struct pod *)sandboxer_find_sandbox(pods.sandboxer, "pod")->technique)->holder;
    pid_t pid = worker->pid;
    waiting = co_self();
    for (lanes = 0; lanes < LANES; lanes++)
        co_start(lane, NULL);
    while (lanes)
        co_park();
    printf("# %u mutants: %u refused (%u ended the compiler), %u ran, of which %u were killed\n",
           made, counts.refused, counts.ended_compilers, counts.ran, counts.killed);
    autofree char *out = NULL;
    struct container_spec c = {
        .pod = "pod", .id = "after", .args = ARGS("/guest.wasm", "echo", "still here")};
    assert_int_equal(container_run(&c, &out), 0);
    assert_string_equal(out, "stdout F [still here]\n");
    const struct pod *pod = sandboxer_find_sandbox(pods.sandboxer, "pod")->technique;
    assert_ptr_equal(pod->holder, worker);
    assert_int_equal(worker->pid, pid);
    assert_true(counts.refused > 0);
}

static void damaged_modules_end_neither_worker_nor_supervisor(void **test)
{
    (void)test;
    for (size_t i = 0; i < ARRAY_SIZE(originals); i++) {
        autofree char *path = str_format("%s/%s.wasm", getenv("WARREN_WASM_GUESTS"), originals[i]);
        assert_int_equal(file_read(AT_FDCWD, path, 1 << 24, &sources[i], NULL), 0);
    }
    pods_run(mutants);
    for (size_t i = 0; i < ARRAY_SIZE(originals); i++)
        buffer_done(&sources[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_modules_end_neither_worker_nor_supervisor),
    };
    return cmocka_run_group_tests(tests, pods_setup, pods_teardown);
}
