/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled modules: what is kept, what goes, what is refused. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"
#include "wasm/compiled.h"
#include "wasm/supervisor/cache.h"
#include "wasm/supervisor/digests.h"
#include "wasm/supervisor/shelf.h"
#include "wasm/supervisor/supervisor.h"

static char dir[64];

static char *in_dir(const char *name)
{
    return str_format("%s/%s", dir, name);
}

static char *path_of(const struct compiled_key *key)
{
    char hex[SHA256_HEX];
    sha256_hex(key->digest, hex);
    return str_format("%s/%s.%s.cwasm", dir, hex, wasm_profile_name(key->profile));
}

static bool there(const struct compiled_key *key)
{
    autofree char *path = path_of(key);
    return access(path, F_OK) == 0;
}

static int open_guest(const char *name)
{
    autofree char *path = str_format("%s/%s", getenv("WARREN_WASM_GUESTS"), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct cache *open_cache(uint64_t limit)
{
    static struct program program = {.uids = "1900000000"};
    program.path = getenv("WARREN_WASM_WORKER");
    struct error err = {0};
    struct cache *c = NULL;
    if (cache_new(&c, dir, limit, &program, &err) < 0)
        give_up("%s", err.message);
    return c;
}

/* The compiled form's size. */
static off_t get(struct cache *c, const char *guest, struct compiled_key *key)
{
    struct error err = {0};
    struct module_info module;
    struct stat st;
    autoclose int fd = open_guest(guest), compiled = -1;
    key->profile = WASM_DENSE;
    if (cache_look(c, fd, guest, &module, &err) < 0)
        give_up("%s", err.message);
    memcpy(key->digest, module.digest, SHA256_LEN);
    if (cache_open(c, fd, guest, key, &compiled, &err) < 0)
        give_up("%s", err.message);
    assert_int_equal(fstat(compiled, &st), 0);
    return st.st_size;
}

static ino_t inode(const struct compiled_key *key)
{
    struct stat st;
    autofree char *path = path_of(key);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void once_and_again(void)
{
    struct compiled_key tiny;
    struct cache *c = open_cache(WASM_CACHE_SIZE);
    get(c, "tiny.wasm", &tiny);
    ino_t first = inode(&tiny);
    get(c, "tiny.wasm", &tiny);
    assert_int_equal(inode(&tiny), first);
    cache_free(c);
    c = open_cache(WASM_CACHE_SIZE);
    get(c, "tiny.wasm", &tiny);
    assert_int_equal(inode(&tiny), first);
    cache_discard(c, &tiny);
    assert_false(there(&tiny));
    cache_free(c);
}

static void a_module_is_compiled_once_also_over_a_restart(void **state)
{
    (void)state;
    pods_run(once_and_again);
}

static void least_recently_used(void)
{
    struct compiled_key tiny, divide, recurse;
    struct cache *c = open_cache(WASM_CACHE_SIZE);
    off_t size = get(c, "tiny.wasm", &tiny);
    size += get(c, "divide.wasm", &divide);
    cache_free(c);
    c = open_cache((uint64_t)size);
    assert_true(there(&tiny) && there(&divide));
    get(c, "tiny.wasm", &tiny); /* the younger one now */
    get(c, "recurse.wasm", &recurse);
    assert_true(there(&tiny) || size < 2 * get(c, "recurse.wasm", &recurse));
    assert_false(there(&divide));
    assert_true(there(&recurse));
    cache_free(c);
    c = open_cache(0); /* what is being handed out stays until the next */
    get(c, "divide.wasm", &divide);
    assert_true(there(&divide));
    assert_false(there(&tiny) || there(&recurse));
    cache_free(c);
}

static void the_least_recently_used_goes_first_and_the_newest_stays(void **state)
{
    (void)state;
    pods_run(least_recently_used);
}

static void put(const char *name, const char *text)
{
    autofree char *path = in_dir(name);
    assert_int_equal(file_replace(AT_FDCWD, path, text, strlen(text), 0600, false, NULL), 0);
}

static bool is_there(const char *name)
{
    autofree char *path = in_dir(name);
    return access(path, F_OK) == 0;
}

static void leftovers(void)
{
    static const char hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    struct compiled_key tiny;
    autofree char *part = str_format("%s.busy.part", hex),
                  *cwasm = str_format("%s.dense.cwasm", hex);
    struct cache *c = open_cache(WASM_CACHE_SIZE);
    get(c, "tiny.wasm", &tiny);
    cache_free(c);
    put(part, "half of it");
    put(cwasm, "something else");
    put("notes.txt", "not ours");
    autofree char *from = path_of(&tiny), *to = strdup(from);
    memcpy(to + strlen(dir) + 1, "0000", 4);
    assert_int_equal(link(from, to), 0); /* whole, but of another digest than it says */
    cache_free(open_cache(WASM_CACHE_SIZE));
    assert_false(is_there(part));
    assert_false(is_there(cwasm));
    assert_true(access(to, F_OK) < 0);
    assert_true(is_there("notes.txt"));
    assert_true(there(&tiny));
}

static void what_dead_compilers_left_and_what_is_damaged_goes_at_the_start(void **state)
{
    (void)state;
    pods_run(leftovers);
}

static void changing(void)
{
    struct error err = {0};
    struct compiled_key tiny = {.profile = WASM_DENSE};
    struct module_info module;
    autoclose int was = open_guest("tiny.wasm"), is = open_guest("divide.wasm"), copy = -1;
    struct cache *c = open_cache(WASM_CACHE_SIZE);
    assert_int_equal(cache_look(c, was, "tiny", &module, &err), 0);
    memcpy(tiny.digest, module.digest, SHA256_LEN);
    cache_discard(c, &tiny);
    assert_int_equal(cache_open(c, is, "tiny", &tiny, &copy, &err), -EAGAIN);
    assert_false(there(&tiny));
    assert_int_equal(digests_copy(was, "tiny", tiny.digest, &copy, &err), 0);
    assert_true(pwrite(copy, "x", 1, 0) < 0 && errno == EPERM);
    assert_true(ftruncate(copy, 0) < 0);
    cache_free(c);
}

static void a_module_that_changes_is_not_compiled_as_what_it_was(void **state)
{
    (void)state;
    pods_run(changing);
}

/* The compiled file of the supervisor's, which has one. */
static char *compiled_file(void)
{
    char path[256] = "";
    autofree char *command = str_format("echo -n %s/cache/*.cwasm", pods.dir);
    FILE *f = popen(command, "r");
    assert_non_null(fgets(path, sizeof path, f));
    pclose(f);
    return strdup(path);
}

/* Flips a bit of the byte at from_end before the end; the file's inode. */
static ino_t damage(const char *path, off_t from_end)
{
    struct stat st;
    char byte;
    autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pread(fd, &byte, 1, st.st_size - from_end), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size - from_end), 1);
    return st.st_ino;
}

static void run_in(const char *pod)
{
    autofree char *out = NULL;
    struct container_spec c = {.pod = pod, .id = pod, .args = ARGS("/guest.wasm", "echo", "on")};
    pod_start(pod, pod); /* a worker of its own, which must load it */
    assert_int_equal(container_run(&c, &out), 0);
    assert_string_equal(out, "stdout F [on]\n");
    pod_remove(pod);
}

static void damaged(void)
{
    static const off_t places[] = {1, 40, 80, 110, 200, 3000};
    char pod[16];
    run_in("whole");
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        autofree char *path = compiled_file();
        autoclose int old = open(path, O_RDONLY | O_CLOEXEC); /* so that its inode stays taken */
        struct stat st;
        ino_t before = damage(path, places[i]);
        snprintf(pod, sizeof pod, "damaged%zu", i);
        run_in(pod);
        assert_int_equal(stat(path, &st), 0);
        assert_int_not_equal(st.st_ino, before);
    }
}

static void a_damaged_compiled_module_is_refused_and_compiled_again(void **state)
{
    (void)state;
    pods_run(damaged);
}

static int setup(void **state)
{
    strcpy(dir, "/tmp/warren-cache.XXXXXX");
    return mkdtemp(dir) ? pods_setup(state) : -1;
}

static int teardown(void **state)
{
    return pods_teardown(state) | dir_remove(AT_FDCWD, dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_compiled_once_also_over_a_restart),
        cmocka_unit_test(the_least_recently_used_goes_first_and_the_newest_stays),
        cmocka_unit_test(what_dead_compilers_left_and_what_is_damaged_goes_at_the_start),
        cmocka_unit_test(a_module_that_changes_is_not_compiled_as_what_it_was),
        cmocka_unit_test(a_damaged_compiled_module_is_refused_and_compiled_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
