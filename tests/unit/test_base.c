/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"

static void an_error_reads_from_the_outside_in(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(fail(&err, ENOENT, "open '%s'", "x"), -ENOENT);
    assert_int_equal(fail_in(&err, err.code, "start pod '%s'", "p"), -ENOENT);
    assert_string_equal(err.message, "start pod 'p': open 'x': No such file or directory");
}

static void a_map_finds_what_was_added_and_forgets_what_was_removed(void **state)
{
    (void)state;
    enum { N = 5000 };
    auto(map) struct map m = {0};
    char(*keys)[16] = calloc(N, sizeof *keys);
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%d", i);
        assert_int_equal(map_add(&m, keys[i], keys[i]), 0);
    }
    assert_int_equal(map_add(&m, "key-7", keys[0]), -EEXIST);
    for (int i = 0; i < N; i += 2)
        assert_ptr_equal(map_remove(&m, keys[i]), keys[i]);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(map_get(&m, keys[i]), i % 2 ? keys[i] : NULL);
    size_t cursor = 0, seen = 0;
    while (map_next(&m, &cursor))
        seen++;
    assert_int_equal(seen, N / 2);
    free(keys);
}

static void an_id_that_could_leave_its_directory_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(str_check_id("id", "a-b_c.9", &err), 0);
    const char *bad[] = {"", "..", ".x", "a/b", "-x", "a b", "a\n", NULL};
    for (int i = 0; bad[i]; i++)
        assert_int_equal(str_check_id("id", bad[i], &err), -EINVAL);
}

static void a_symlink_in_a_root_does_not_lead_out_of_it(void **state)
{
    (void)state;
    char dir[] = "/tmp/warren-base.XXXXXX";
    assert_non_null(mkdtemp(dir));
    autoclose int root = open(dir, O_PATH | O_DIRECTORY);
    assert_int_equal(symlinkat("/etc", root, "e"), 0);
    assert_int_equal(path_open_in_root(root, "e/passwd", O_RDONLY, 0), -ENOENT);
    assert_int_equal(path_open_in_root(root, "../../etc/passwd", O_RDONLY, 0), -ENOENT);
    autoclose int made = path_make_in_root(root, "../a/b/c", 0755);
    assert_true(made >= 0);
    struct stat st;
    assert_int_equal(fstatat(root, "a/b/c", &st, 0), 0);
    assert_int_equal(dir_remove(AT_FDCWD, dir, NULL), 0);
    assert_int_equal(stat(dir, &st), -1);
}

static void a_file_is_replaced_whole_and_read_back(void **state)
{
    (void)state;
    char dir[] = "/tmp/warren-base.XXXXXX";
    assert_non_null(mkdtemp(dir));
    autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY);
    struct error err = {0};
    assert_int_equal(file_replace(fd, "f", "one", 3, 0600, true, &err), 0);
    assert_int_equal(file_replace(fd, "f", "two", 3, 0600, false, &err), 0);
    auto(buffer) struct buffer b = {0};
    assert_int_equal(file_read(fd, "f", 100, &b, &err), 0);
    assert_string_equal(buffer_text(&b), "two");
    assert_int_equal(file_read(fd, "f", 2, &b, &err), -EFBIG);
    dir_remove(AT_FDCWD, dir, NULL);
}

static void words_are_split_and_numbers_checked(void **state)
{
    (void)state;
    auto(strv) char **v = str_split("a,,b c", ", ");
    assert_int_equal(strv_len(v), 3);
    assert_string_equal(v[2], "c");
    int64_t n;
    assert_int_equal(str_parse_int("12", 0, 20, &n), 0);
    assert_int_equal(str_parse_int("12x", 0, 20, &n), -EINVAL);
    assert_int_equal(str_parse_int("21", 0, 20, &n), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_reads_from_the_outside_in),
        cmocka_unit_test(a_map_finds_what_was_added_and_forgets_what_was_removed),
        cmocka_unit_test(an_id_that_could_leave_its_directory_is_refused),
        cmocka_unit_test(a_symlink_in_a_root_does_not_lead_out_of_it),
        cmocka_unit_test(a_file_is_replaced_whole_and_read_back),
        cmocka_unit_test(words_are_split_and_numbers_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
