/* SPDX-License-Identifier: Apache-2.0 */
/* A module that was found in a rootfs before is known, as long as nothing can be in its way. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/supervisor/known.h"

static char dir[64], file[80], upper[80];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/warren-known.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/m.wasm", dir);
    snprintf(upper, sizeof upper, "%s/upper", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(AT_FDCWD, dir, NULL);
}

static void write_file(const char *text)
{
    struct error err;
    assert_int_equal(file_replace(AT_FDCWD, file, text, strlen(text), 0644, false, &err), 0);
}

static void a_module_is_known_until_its_file_changes(void **state)
{
    char *layers[] = {dir, NULL};
    struct wire_mount mounts[2] = {{.destination = "/", .layers = layers, .upper = upper}};
    struct wire_files files = {.mounts = mounts, .mount_count = 1};
    struct module_info module = {.digest = {7}, .memory = 65536}, found;
    struct known *k = known_new();
    (void)state;
    write_file("one");
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_false(known_find(k, &files, "/", "/m.wasm", &found));
    known_keep(k, &files, "/", "/m.wasm", fd, &module);
    assert_true(known_find(k, &files, "/", "/m.wasm", &found));
    assert_memory_equal(&found, &module, sizeof found);
    assert_false(known_find(k, &files, "/", "/n.wasm", &found));
    assert_false(known_find(k, &files, "/bin", "/m.wasm", &found));

    files.mount_count = 2; /* a volume may lie over it */
    assert_false(known_find(k, &files, "/", "/m.wasm", &found));
    files.mount_count = 1;
    assert_int_equal(mkdir(upper, 0755), 0); /* and a writable layer that is there hide it */
    assert_false(known_find(k, &files, "/", "/m.wasm", &found));
    assert_int_equal(rmdir(upper), 0);
    assert_true(known_find(k, &files, "/", "/m.wasm", &found));

    write_file("two");
    assert_false(known_find(k, &files, "/", "/m.wasm", &found));
    close(fd);
    known_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_known_until_its_file_changes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
