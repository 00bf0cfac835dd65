/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/base.h"
#include "log/log.h"

/* 2026-01-02T03:04:05.000000001Z */
enum { NS = 1 };
static const int64_t when = INT64_C(1767323045) * NSEC_PER_SEC + NS;
#define STAMP "2026-01-02T03:04:05.000000001Z"

struct place {
    char dir[40];
    char path[64];
};

static int enter(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/warren-log.XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/c.log", p->dir);
    *state = p;
    return 0;
}

static int leave(void **state)
{
    struct place *p = *state;
    dir_remove(AT_FDCWD, p->dir, NULL);
    free(p);
    return 0;
}

static void begin(struct log_writer *w, const struct place *p, const char *scheme,
                  const char *query)
{
    struct error err = {0};
    struct log_target t;
    autofree char *address = str_format("%s://%s%s", scheme, p->path, query);
    if (log_target_parse(address, &t, &err) < 0 || log_writer_init(w, &t, &err) < 0)
        assert_string_equal(err.message, "");
}

static void put(struct log_writer *w, enum log_stream stream, const char *text)
{
    assert_int_equal(log_writer_write(w, stream, text, strlen(text), when, NULL), 0);
}

static char *content(const char *path)
{
    struct buffer b = {0};
    struct error err = {0};
    if (file_read(AT_FDCWD, path, 1 << 24, &b, &err) < 0)
        assert_string_equal(err.message, "");
    return buffer_take_text(&b);
}

static void assert_content(const char *path, const char *expected)
{
    autofree char *text = content(path);
    assert_string_equal(text, expected);
}

static void a_line_reads_as_the_kubelet_expects(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+cri", "");
    put(&w, LOG_STDOUT, "one\ntw");
    put(&w, LOG_STDERR, "err\n");
    put(&w, LOG_STDOUT, "o\n\nrest");
    assert_content(p->path, STAMP " stdout F one\n" STAMP " stderr F err\n" STAMP
                                  " stdout F two\n" STAMP " stdout F \n");
    assert_int_equal(log_writer_flush(&w, when, NULL), 0);
    autofree char *text = content(p->path);
    assert_true(str_ends(text, STAMP " stdout F rest\n"));
    log_writer_done(&w);
}

static void a_long_line_comes_in_tagged_pieces_that_make_it_whole(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+cri", "");
    enum { LEN = 2 * LOG_LINE_MAX + 5 };
    char *line = calloc(1, LEN + 2);
    for (int i = 0; i < LEN; i++)
        line[i] = (char)('a' + i % 26);
    line[LEN] = '\n';
    for (int i = 0; i < LEN + 1; i += 1000)
        assert_int_equal(log_writer_write(&w, LOG_STDOUT, line + i,
                                          i + 1000 > LEN + 1 ? (size_t)(LEN + 1 - i) : 1000, when,
                                          NULL),
                         0);
    autofree char *text = content(p->path);
    char *joined = calloc(1, LEN + 2), *to = joined;
    int pieces = 0;
    for (char *at = text; *at; pieces++) {
        char *newline = strchr(at, '\n');
        char *tag = at + strlen(STAMP " stdout ");
        assert_int_equal(*tag, pieces < 2 ? 'P' : 'F');
        to = mempcpy(to, tag + 2, (size_t)(newline - tag - 2));
        at = newline + 1;
    }
    assert_int_equal(pieces, 3);
    line[LEN] = 0;
    assert_string_equal(joined, line);
    free(joined);
    free(line);
    log_writer_done(&w);
}

static void a_line_of_exactly_the_limit_is_whole(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+cri", "");
    char *line = malloc(LOG_LINE_MAX);
    memset(line, 'x', LOG_LINE_MAX);
    assert_int_equal(log_writer_write(&w, LOG_STDOUT, line, LOG_LINE_MAX, when, NULL), 0);
    put(&w, LOG_STDOUT, "\n");
    autofree char *text = content(p->path);
    assert_int_equal(strlen(text), strlen(STAMP " stdout F ") + LOG_LINE_MAX + 1);
    assert_non_null(str_after(text, STAMP " stdout F x"));
    free(line);
    log_writer_done(&w);
}

static void json_says_what_was_written_whatever_the_bytes(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+json", "");
    const char *lines[][2] = {
        {"plain\n", "plain\n"},
        {"quo\"te \\ \t \r \x01 \x7f\n", "quo\"te \\ \t \r \x01 \x7f\n"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x87\n", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x87\n"},
        {"bad \xff\xc0\x80 \xed\xa0\x80 \xe2\x82\n",
         "bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
         "\xef\xbf\xbd\xef\xbf\xbd\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        put(&w, LOG_STDERR, lines[i][0]);
    autofree char *text = content(p->path);
    char *line = strtok(text, "\n");
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++, line = strtok(NULL, "\n")) {
        json_object *o = json_tokener_parse(line), *v;
        assert_non_null(o);
        assert_true(json_object_object_get_ex(o, "log", &v));
        assert_string_equal(json_object_get_string(v), lines[i][1]);
        assert_true(json_object_object_get_ex(o, "stream", &v));
        assert_string_equal(json_object_get_string(v), "stderr");
        assert_true(json_object_object_get_ex(o, "time", &v));
        assert_string_equal(json_object_get_string(v), STAMP);
        json_object_put(o);
    }
    assert_null(line);
    log_writer_done(&w);
}

static void a_long_line_of_json_is_cut_between_characters(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+json", "");
    enum { CHARS = 12000 }; /* of three bytes: the limit falls into one */
    auto(buffer) struct buffer b = {0};
    for (int i = 0; i < CHARS; i++)
        buffer_puts(&b, "\xe2\x82\xac");
    buffer_puts(&b, "\n");
    for (size_t i = 0; i < b.len; i += 7)
        assert_int_equal(
            log_writer_write(&w, LOG_STDOUT, b.data + i, b.len - i < 7 ? b.len - i : 7, when, NULL),
            0);
    autofree char *text = content(p->path);
    assert_null(strstr(text, "\\ufffd"));
    size_t seen = 0;
    for (char *at = text; (at = strstr(at, "\xe2\x82\xac")); at += 3)
        seen++;
    assert_int_equal(seen, CHARS);
    log_writer_done(&w);
}

static void a_log_that_grows_is_rotated_and_the_oldest_goes(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+cri", "?max-size=100&max-files=2");
    for (int i = 0; i < 9; i++) {
        char text[16];
        snprintf(text, sizeof text, "line %d\n", i);
        put(&w, LOG_STDOUT, text);
    }
    char name[80];
    assert_content(p->path, STAMP " stdout F line 8\n");
    snprintf(name, sizeof name, "%s.1", p->path);
    assert_content(name, STAMP " stdout F line 6\n" STAMP " stdout F line 7\n");
    snprintf(name, sizeof name, "%s.2", p->path);
    assert_content(name, STAMP " stdout F line 4\n" STAMP " stdout F line 5\n");
    snprintf(name, sizeof name, "%s.3", p->path);
    assert_int_equal(access(name, F_OK), -1);
    log_writer_done(&w);
}

static void many_lines_at_once_are_rotated_between_lines(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+json", "?max-size=1000&max-files=1000");
    auto(buffer) struct buffer b = {0};
    for (int i = 0; i < 2000; i++)
        buffer_printf(&b, "line %d\n", i);
    assert_int_equal(log_writer_write(&w, LOG_STDOUT, b.data, b.len, when, NULL), 0);
    int lines = 0;
    for (int i = 0; i <= 1000; i++) {
        autofree char *name = i ? str_format("%s.%d", p->path, i) : strdup(p->path);
        if (access(name, F_OK) < 0)
            break;
        autofree char *text = content(name);
        assert_true(strlen(text) <= 1000);
        assert_true(str_ends(text, "}\n"));
        for (char *at = text; (at = strchr(at, '\n')); at++)
            lines++;
    }
    assert_int_equal(lines, 2000);
    log_writer_done(&w);
}

static void a_renamed_log_goes_on_in_a_new_file_after_reopen(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "log+cri", "");
    put(&w, LOG_STDOUT, "a\n");
    autofree char *old = str_format("%s.old", p->path);
    assert_int_equal(rename(p->path, old), 0);
    put(&w, LOG_STDOUT, "b\n");
    assert_int_equal(log_writer_reopen(&w, NULL), 0);
    put(&w, LOG_STDOUT, "c\n");
    assert_content(old, STAMP " stdout F a\n" STAMP " stdout F b\n");
    assert_content(p->path, STAMP " stdout F c\n");
    log_writer_done(&w);
}

static void a_log_at_rest_holds_no_descriptor_and_goes_on(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    begin(&w, p, "file", "");
    put(&w, LOG_STDOUT, "raw ");
    log_writer_rest(&w);
    assert_int_equal(w.fd, -1);
    put(&w, LOG_STDERR, "bytes");
    assert_content(p->path, "raw bytes");
    log_writer_done(&w);
}

/* RLIMIT_FSIZE stands for a full disk: it fails in the middle of a record, too. */
static void a_full_disk_is_told_once_and_leaves_no_half_line(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    struct error err = {0};
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    begin(&w, p, "log+cri", "");
    small = (struct rlimit){100, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put(&w, LOG_STDOUT, "first\n");
    const char *more = "second\nthird line that does not fit\n", *last = "nor the fourth\n";
    int torn = log_writer_write(&w, LOG_STDOUT, more, strlen(more), when, &err);
    int again = log_writer_write(&w, LOG_STDOUT, last, strlen(last), when, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(torn, -EFBIG);
    assert_non_null(strstr(err.message, p->path));
    assert_int_equal(again, 0);
    put(&w, LOG_STDOUT, "fifth\n");
    assert_false(w.failed);
    assert_content(p->path,
                   STAMP " stdout F first\n" STAMP " stdout F second\n" STAMP " stdout F fifth\n");
    log_writer_done(&w);
}

static void an_address_is_read_or_refused_with_what_was_expected(void **state)
{
    (void)state;
    struct log_target t;
    struct error err = {0};
    assert_int_equal(log_target_parse("log+json:///a%20b/%3f?max-size=10&max-files=3", &t, &err),
                     0);
    assert_string_equal(t.path, "/a b/?");
    assert_int_equal(t.format, LOG_JSON);
    assert_int_equal(t.max_size, 10);
    assert_int_equal(t.max_files, 3);
    autofree char *address = log_target_address(&t);
    assert_string_equal(address, "log+json:///a b/%3F?max-size=10&max-files=3");
    log_target_done(&t);
    assert_int_equal(log_target_parse("", &t, &err), 0);
    assert_int_equal(t.format, LOG_NONE);
    const char *bad[] = {"log+cri://relative",
                         "http:///x",
                         "/plain",
                         "log+cri:///x?max-size=-1",
                         "log+cri:///x?max-size=1k",
                         "log+cri:///x?colour=red"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(log_target_parse(bad[i], &t, &err), -EINVAL);
        assert_non_null(strstr(err.message, bad[i]));
    }
}

static void a_log_without_its_directory_says_which(void **state)
{
    struct place *p = *state;
    struct log_writer w;
    struct log_target t = {.format = LOG_CRI, .path = str_format("%s/none/c.log", p->dir)};
    struct error err = {0};
    assert_int_equal(log_writer_init(&w, &t, &err), -ENOENT);
    assert_non_null(strstr(err.message, "none/c.log"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_reads_as_the_kubelet_expects),
        TEST(a_long_line_comes_in_tagged_pieces_that_make_it_whole),
        TEST(a_line_of_exactly_the_limit_is_whole),
        TEST(json_says_what_was_written_whatever_the_bytes),
        TEST(a_long_line_of_json_is_cut_between_characters),
        TEST(a_log_that_grows_is_rotated_and_the_oldest_goes),
        TEST(many_lines_at_once_are_rotated_between_lines),
        TEST(a_renamed_log_goes_on_in_a_new_file_after_reopen),
        TEST(a_log_at_rest_holds_no_descriptor_and_goes_on),
        TEST(a_full_disk_is_told_once_and_leaves_no_half_line),
        TEST(an_address_is_read_or_refused_with_what_was_expected),
        TEST(a_log_without_its_directory_says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
