/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/journal.h"

enum { DATABASE = 7 };

static char path[64];
static struct journal *journal;

static void reopen(uint64_t database)
{
    journal_free(journal);
    assert_int_equal(journal_open(&journal, path, database, NULL), 0);
}

static int fresh(void **state)
{
    (void)state;
    strcpy(path, "/tmp/warren-journal.XXXXXX");
    close(mkstemp(path));
    journal = NULL;
    reopen(DATABASE);
    assert_true(journal_is_empty(journal));
    journal_begin(journal, 40);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    journal_free(journal);
    return unlink(path);
}

static struct store_change exit_of(int64_t seq)
{
    return (struct store_change){.kind = STORE_CONTAINER_SET,
                                 .container = {.seq = seq,
                                               .phase = CONTAINER_PHASE_EXITED,
                                               .exit_code = -3,
                                               .finished_ns = INT64_C(1) << 60,
                                               .reason = "Error",
                                               .message = ""}};
}

static void put(int64_t seq)
{
    struct store_change c = exit_of(seq);
    assert_true(journal_put(journal, &c));
}

/* The seqs of what is there, oldest first, and the number of the last. */
static uint64_t take_all(char *seqs)
{
    uint64_t last = 0;
    *seqs = 0;
    while (!journal_is_empty(journal)) {
        struct store_change c;
        struct journal_batch b = journal_take(journal);
        while (journal_next(journal, &b, &c)) {
            sprintf(seqs + strlen(seqs), "%d ", (int)c.container.seq);
            last = b.number;
        }
        journal_written(journal);
    }
    return last;
}

static void a_change_comes_back_as_it_was_put(void **state)
{
    (void)state;
    struct store_change pod = {.kind = STORE_POD_ADD,
                               .pod = {.seq = 1,
                                       .id = "abc",
                                       .key = "a_b",
                                       .handler = "",
                                       .phase = POD_PHASE_READY,
                                       .pid = 12,
                                       .created_ns = -1,
                                       .config = "con\0fig",
                                       .config_len = 7}},
                        back;
    assert_true(journal_put(journal, &pod));
    put(2);
    reopen(DATABASE);
    struct journal_batch b = journal_take(journal);
    assert_true(journal_next(journal, &b, &back));
    assert_int_equal(b.number, 41);
    assert_int_equal(back.kind, STORE_POD_ADD);
    assert_int_equal(back.pod.seq, 1);
    assert_string_equal(back.pod.id, "abc");
    assert_string_equal(back.pod.key, "a_b");
    assert_string_equal(back.pod.handler, "");
    assert_int_equal(back.pod.phase, POD_PHASE_READY);
    assert_int_equal(back.pod.pid, 12);
    assert_int_equal(back.pod.created_ns, -1);
    assert_int_equal(back.pod.config_len, 7);
    assert_memory_equal(back.pod.config, "con\0fig", 7);
    assert_true(journal_next(journal, &b, &back));
    assert_int_equal(back.container.exit_code, -3);
    assert_int_equal(back.container.finished_ns, INT64_C(1) << 60);
    assert_string_equal(back.container.reason, "Error");
    assert_string_equal(back.container.message, "");
    assert_null(back.container.log_path);
    assert_false(journal_next(journal, &b, &back));
    assert_int_equal(b.number, 42);
}

static void what_is_being_written_is_found_before_what_came_after_it(void **state)
{
    (void)state;
    char seqs[64];
    put(1);
    journal_take(journal);
    journal_written(journal);
    put(2);
    journal_take(journal);
    put(3);
    put(4);
    reopen(DATABASE);
    assert_int_equal(take_all(seqs), 44);
    assert_string_equal(seqs, "2 3 4 ");
    reopen(DATABASE);
    assert_true(journal_is_empty(journal));
}

static void another_databases_changes_are_not_read(void **state)
{
    (void)state;
    put(1);
    reopen(DATABASE + 1);
    assert_true(journal_is_empty(journal));
}

/* As a power cut may leave it: each byte in turn is another than was written. */
static void nothing_is_read_from_a_damaged_change_on(void **state)
{
    (void)state;
    char seqs[64];
    struct store_change c = exit_of(2);
    size_t size = journal_size(&c);
    put(1);
    put(2);
    put(3);
    autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < size; i++) {
        uint8_t before, after;
        assert_int_equal(pread(fd, &before, 1, (off_t)(size + i)), 1);
        after = before ^ 0x55;
        assert_int_equal(pwrite(fd, &after, 1, (off_t)(size + i)), 1);
        reopen(DATABASE);
        struct journal_batch b = journal_take(journal);
        *seqs = 0;
        while (journal_next(journal, &b, &c))
            sprintf(seqs + strlen(seqs), "%d ", (int)c.container.seq);
        assert_string_equal(seqs, "1 ");
        assert_int_equal(pwrite(fd, &before, 1, (off_t)(size + i)), 1);
    }
    /* what comes next is not taken for what follows the damage */
    assert_int_equal(ftruncate(fd, 0), 0);
    reopen(DATABASE);
    journal_begin(journal, 41);
    put(9);
    reopen(DATABASE);
    assert_int_equal(take_all(seqs), 42);
    assert_string_equal(seqs, "9 ");
}

static void what_has_no_room_is_not_put(void **state)
{
    (void)state;
    static uint8_t config[JOURNAL_CHANGE_MAX];
    struct store_change c = {.kind = STORE_CONTAINER_CONFIG,
                             .container = {.config = config, .config_len = sizeof config}};
    assert_false(journal_put(journal, &c));
    c.container.config_len /= 2;
    int n = 0;
    while (journal_put(journal, &c))
        n++;
    assert_int_equal(n, 7);
    assert_true(journal_is_filling(journal));
    journal_take(journal);
    assert_true(journal_put(journal, &c));
    assert_int_equal(journal_take(journal).number, 40); /* the same, until it is written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_comes_back_as_it_was_put, fresh, gone),
        cmocka_unit_test_setup_teardown(what_is_being_written_is_found_before_what_came_after_it,
                                        fresh, gone),
        cmocka_unit_test_setup_teardown(another_databases_changes_are_not_read, fresh, gone),
        cmocka_unit_test_setup_teardown(nothing_is_read_from_a_damaged_change_on, fresh, gone),
        cmocka_unit_test_setup_teardown(what_has_no_room_is_not_put, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
