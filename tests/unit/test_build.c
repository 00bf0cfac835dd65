/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/build.h"
#include "build/dockerfile.h"
#include "build/ignore.h"
#include "image_pack.h"

struct built {
    struct test_store t;
    struct image *image;
    struct buffer said;
    struct error err;
    int status;
};

static void collect(void *arg, const char *line, size_t len)
{
    buffer_append(arg, line, len);
}

static void built_done(struct built *b)
{
    image_unref(b->image);
    buffer_done(&b->said);
    test_store_free(&b->t);
}
CLEANUP_DONE(built, struct built);

/* Ends the context and builds it. */
static void build_with(struct built *b, struct pack *context, char *const *args, bool quiet)
{
    char tag[] = "test:1";
    char *tags[] = {tag, NULL};
    pack_close(context);
    autoclose int fd = pack_memory(context->out.data, context->out.len);
    struct build_options o = {.images = b->t.store,
                              .context = fd,
                              .tags = tags,
                              .args = args,
                              .quiet = quiet,
                              .say = collect,
                              .arg = &b->said};
    image_unref(b->image);
    b->image = NULL;
    b->err = (struct error){0};
    b->status = build_run(&o, &b->image, &b->err);
}

static void build_ok(struct built *b, struct pack *context)
{
    build_with(b, context, NULL, false);
    assert_ok(b->status, b->err);
}

static void build_fails(const char *dockerfile, const char *message)
{
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(&c, "Dockerfile", dockerfile);
    pack_text(&c, "file", "x");
    build_with(&b, &c, NULL, false);
    assert_true(b.status < 0);
    if (!strstr(b.err.message, message))
        print_error("said: %s\n", b.err.message);
    assert_non_null(strstr(b.err.message, message));
    assert_int_equal(test_store_count(&b.t, "layers"), 0);
    assert_int_equal(test_store_count(&b.t, "ingest"), 0);
}

/* The text of a file of the image, looked up from the top layer; "(none)". */
static const char *content(struct built *b, const char *file, struct buffer *text)
{
    auto(strv) char **dirs = NULL;
    assert_int_equal(image_lower_dirs(b->t.store, b->image, &dirs, NULL), 0);
    buffer_clear(text);
    for (char **d = dirs; *d; d++) {
        autoclose int root = open(*d, O_PATH | O_DIRECTORY);
        if (file_read(root, file, 1 << 20, text, NULL) == 0)
            return buffer_text(text);
    }
    return "(none)";
}

static struct stat status(struct built *b, const char *file)
{
    auto(strv) char **dirs = NULL;
    struct stat st = {0};
    assert_int_equal(image_lower_dirs(b->t.store, b->image, &dirs, NULL), 0);
    for (char **d = dirs; *d; d++) {
        autofree char *path = str_format("%s/%s", *d, file);
        if (lstat(path, &st) == 0)
            return st;
    }
    assert_non_null(NULL);
    return st;
}

static void a_wasm_image_is_built_from_scratch(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    auto(buffer) struct buffer text = {0};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(&c, "Dockerfile",
              "# a comment\nFROM scratch\nADD demo.wasm /\nCMD [\"/demo.wasm\", \\\n  # within\n "
              "\"daemon\"]\n");
    pack_text(&c, "demo.wasm", "wasm");
    build_ok(&b, &c);
    assert_string_equal(content(&b, "demo.wasm", &text), "wasm");
    assert_string_equal(b.image->config.cmd[0], "/demo.wasm");
    assert_string_equal(b.image->config.cmd[1], "daemon");
    assert_string_equal(b.image->tags[0], "docker.io/library/test:1");
    assert_non_null(strstr(buffer_text(&b.said), "{\"stream\":\"Step 1/3 : FROM scratch\\n\"}"));
    assert_non_null(strstr(buffer_text(&b.said), "{\"aux\":{\"ID\":\"sha256:"));
    assert_non_null(strstr(buffer_text(&b.said), "Successfully built "));
    assert_non_null(strstr(buffer_text(&b.said), "Successfully tagged test:1\\n"));
    assert_int_equal(status(&b, "demo.wasm").st_mtime, 1000000000);
}

static void the_same_context_gives_the_same_layers(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(strv) char **first = NULL;
    test_store_new(&b.t);
    for (int i = 0; i < 2; i++) {
        auto(pack) struct pack c = {0};
        pack_open(&c, NULL);
        pack_text(&c, "Dockerfile", "FROM scratch\nWORKDIR /srv/app\nCOPY . .\n");
        pack_text(&c, i ? "d/one" : "d/two", i ? "1" : "2");
        pack_text(&c, i ? "d/two" : "d/one", i ? "2" : "1");
        pack_node(&c, "d", S_IFDIR | 0700, NULL, 0, 0);
        build_ok(&b, &c);
        if (!i)
            first = strv_copy(b.image->layers);
    }
    assert_int_equal(strv_len(first), 2);
    assert_string_equal(first[0], b.image->layers[0]);
    assert_string_equal(first[1], b.image->layers[1]);
    struct image **list = NULL;
    assert_int_equal(image_list(b.t.store, &list, NULL), 0);
    assert_non_null(list[0]);
    assert_null(list[1]); /* and no second image */
    image_unref(list[0]);
    free(list);
}

static void every_setting_reaches_the_config(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    char arg[] = "WHO=you", unused[] = "NOBODY=1";
    char *args[] = {arg, unused, NULL};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(&c, "Dockerfile",
              "ARG BASE=scratch\nFROM ${BASE} AS only\nARG WHO=me\nARG GREETING=\"hello $WHO\"\n"
              "ENV A=1 B=\"two words\" C=$GREETING\nENV OLD some old text\nENV D=${NONE:-else} "
              "E=${A:+set}\n"
              "LABEL a.b=\"c d\" x=y\nUSER 10:20\nEXPOSE 80 90/udp\nVOLUME [\"/data\"]\n"
              "STOPSIGNAL SIGINT\nSHELL [\"/bin/ash\",\"-ec\"]\nENTRYPOINT echo $A\nWORKDIR "
              "/a\nWORKDIR b\n");
    build_with(&b, &c, args, false);
    assert_ok(b.status, b.err);
    const struct image_config *i = &b.image->config;
    const char *env[] = {"A=1",    "B=two words", "C=hello you", "OLD=some old text",
                         "D=else", "E=set"};
    for (size_t n = 0; n < ARRAY_SIZE(env); n++)
        assert_string_equal(i->env[n], env[n]);
    assert_string_equal(i->labels[0], "a.b=c d");
    assert_string_equal(i->user, "10:20");
    assert_string_equal(i->exposed_ports[0], "80/tcp");
    assert_string_equal(i->exposed_ports[1], "90/udp");
    assert_string_equal(i->volumes[0], "/data");
    assert_string_equal(i->stop_signal, "SIGINT");
    assert_string_equal(i->entrypoint[0], "/bin/ash");
    assert_string_equal(i->entrypoint[2], "echo $A");
    assert_string_equal(i->working_dir, "/a/b");
    assert_string_equal(i->os, "linux");
    assert_string_equal(i->architecture, "amd64");
    assert_non_null(strstr(buffer_text(&b.said), "[NOBODY] were not consumed"));
}

static void copies_land_where_docker_puts_them(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    auto(buffer) struct buffer t = {0};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(
        &c, "Dockerfile",
        "FROM scratch\nCOPY one /renamed\nCOPY one two /dir/\nCOPY d /into\nCOPY *.txt /texts/\n"
        "COPY --chown=5:6 --chmod=700 one /owned\nCOPY one /dir\nCOPY [\"with blank\", "
        "\"/\"]\nCOPY d/in* /wild/\n"
        "COPY link /real\nCOPY one /into/\n");
    pack_text(&c, "one", "1");
    pack_text(&c, "two", "2");
    pack_text(&c, "d/inner", "3");
    pack_text(&c, "d/sub/deep", "4");
    pack_text(&c, "a.txt", "a");
    pack_text(&c, "b.txt", "b");
    pack_text(&c, "with blank", "blank");
    pack_node(&c, "link", S_IFLNK | 0777, "d/inner", 0, 0);
    build_ok(&b, &c);
    const char *expected[][2] = {
        {"renamed", "1"},        {"dir/one", "1"},     {"dir/two", "2"},     {"into/inner", "3"},
        {"into/sub/deep", "4"},  {"texts/a.txt", "a"}, {"texts/b.txt", "b"}, {"owned", "1"},
        {"with blank", "blank"}, {"wild/inner", "3"},  {"real", "3"},        {"into/one", "1"}};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_string_equal(content(&b, expected[i][0], &t), expected[i][1]);
    assert_int_equal(status(&b, "owned").st_uid, 5);
    assert_int_equal(status(&b, "owned").st_gid, 6);
    assert_int_equal(status(&b, "owned").st_mode & 07777, 0700);
    assert_int_equal(status(&b, "renamed").st_uid, 0);
}

static void a_symlink_of_the_base_is_followed_inside_the_image(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0}, rootfs = {0};
    auto(buffer) struct buffer t = {0};
    test_store_new(&b.t);
    pack_open(&rootfs, "gzip");
    pack_node(&rootfs, "usr/lib", S_IFDIR | 0711, NULL, 0, 0);
    pack_node(&rootfs, "lib", S_IFLNK | 0777, "/usr/lib", 0, 0);
    pack_node(&rootfs, "out", S_IFLNK | 0777, "../../../../tmp", 0, 0);
    pack_node(&rootfs, "tmp", S_IFDIR | 01777, NULL, 0, 0);
    pack_close(&rootfs);
    pack_open(&c, NULL);
    pack_text(&c, "Dockerfile",
              "FROM scratch AS base\nADD rootfs.tar.gz /\nFROM base\nCOPY f /lib/\nCOPY f /out/\n"
              "FROM scratch\nCOPY --from=1 /lib/f /from-stage\nCOPY --from=base / /all\n");
    pack_file(&c, "rootfs.tar.gz", rootfs.out.data, rootfs.out.len);
    pack_text(&c, "f", "1");
    build_ok(&b, &c);
    assert_string_equal(content(&b, "from-stage", &t), "1");
    assert_int_equal(status(&b, "all/usr/lib").st_mode & 07777, 0711);
    assert_true(S_ISLNK(status(&b, "all/lib").st_mode));
    assert_int_equal(access("/tmp/f", F_OK), -1);
    auto(pack) struct pack d = {0};
    pack_open(&d, NULL);
    pack_text(&d, "Dockerfile", "FROM scratch\nADD rootfs.tar.gz /\nCOPY f /lib/\nCOPY f /out/\n");
    pack_file(&d, "rootfs.tar.gz", rootfs.out.data, rootfs.out.len);
    pack_text(&d, "f", "1");
    build_ok(&b, &d);
    assert_string_equal(content(&b, "usr/lib/f", &t), "1");
    assert_string_equal(content(&b, "tmp/f", &t), "1");
    assert_int_equal(status(&b, "usr/lib").st_mode & 07777,
                     0711); /* of the topmost layer that has it */
    assert_int_equal(status(&b, "tmp").st_mode & 07777, 01777);
}

static void what_dockerignore_names_stays_out(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    auto(buffer) struct buffer t = {0};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(&c, "Dockerfile", "FROM scratch\nCOPY . /\n");
    pack_text(&c, ".dockerignore",
              "# no\n*.o\n**/secret\ndir\n!dir/keep\n.dockerignore\nDockerfile\n");
    pack_text(&c, "a.c", "a");
    pack_text(&c, "a.o", "o");
    pack_text(&c, "x/y/secret", "s");
    pack_text(&c, "x/y/z", "z");
    pack_text(&c, "dir/lose", "l");
    pack_text(&c, "dir/keep", "k");
    build_ok(&b, &c);
    const char *out[] = {"a.o", "x/y/secret", "dir/lose", "Dockerfile", ".dockerignore"};
    for (size_t i = 0; i < ARRAY_SIZE(out); i++)
        assert_string_equal(content(&b, out[i], &t), "(none)");
    assert_string_equal(content(&b, "a.c", &t), "a");
    assert_string_equal(content(&b, "x/y/z", &t), "z");
    assert_string_equal(content(&b, "dir/keep", &t), "k");
}

static void what_cannot_be_built_is_refused_with_its_line(void **state)
{
    (void)state;
    build_fails("FROM scratch\n\nRUN true\n", "Dockerfile:3: RUN is not supported yet");
    build_fails("FRO scratch\n", "Dockerfile:1: unknown instruction: FRO");
    build_fails("COPY a b\n", "Dockerfile:1: no build stage in current context");
    build_fails("# only\n", "Dockerfile has no instructions");
    build_fails("FROM scratch\nADD https://example.org/x /\n",
                "Dockerfile:2: ADD of an address is not supported yet");
    build_fails("FROM scratch\nHEALTHCHECK NONE\n",
                "Dockerfile:2: HEALTHCHECK is not supported yet");
    build_fails("FROM scratch\nONBUILD RUN x\n", "Dockerfile:2: ONBUILD is not supported yet");
    build_fails("FROM scratch\nCOPY gone /\n",
                "Dockerfile:2: COPY failed: file not found in build context or excluded by "
                ".dockerignore: stat gone: file does not exist");
    build_fails("FROM scratch\nCOPY ../x /\n", "Dockerfile:2: COPY ../x: it leads out");
    build_fails("FROM scratch\nCOPY --chown=root file /\n", "only numeric ids");
    build_fails("FROM missing:1\n", "Dockerfile:1: FROM missing:1: no such image here");
    build_fails("FROM scratch\nENV A\n", "Dockerfile:2: ENV must have two arguments");
    build_fails("FROM scratch\nENV A=${B\n", "Dockerfile:2: 'A=${B': a brace is not closed");
    build_fails("FROM scratch\nCOPY file file /x\n", "the destination must be a directory");
    build_fails("FROM scratch\nCOPY --from=other file /x\n", "no earlier stage");
    build_fails("# escape=x\nFROM scratch\n", "Dockerfile:1: escape must be");
}

static void a_hostile_context_or_tar_is_refused_by_name(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0}, d = {0}, inner = {0};
    test_store_new(&b.t);
    pack_open(&c, NULL);
    pack_text(&c, "../../tmp/warren-escaped", "x");
    build_with(&b, &c, NULL, false);
    assert_true(b.status < 0);
    assert_non_null(
        strstr(b.err.message, "archive entry '../../tmp/warren-escaped': it leads out"));
    assert_int_equal(access("/tmp/warren-escaped", F_OK), -1);
    pack_open(&inner, NULL);
    pack_text(&inner, "ok", "x");
    pack_text(&inner, "../evil", "x");
    pack_close(&inner);
    pack_open(&d, NULL);
    pack_text(&d, "Dockerfile", "FROM scratch\nADD in.tar /x\n");
    pack_file(&d, "in.tar", inner.out.data, inner.out.len);
    build_with(&b, &d, NULL, false);
    assert_true(b.status < 0);
    assert_non_null(strstr(b.err.message, "Dockerfile:2: ADD in.tar: archive entry '../evil'"));
}

static void quiet_says_the_id_alone(void **state)
{
    (void)state;
    auto(built) struct built b = {0};
    auto(pack) struct pack c = {0};
    test_store_new(&b.t);
    pack_open(&c, "gzip");
    pack_text(&c, "Dockerfile", "FROM scratch\r\nENV \\\r\n A=b\r\n");
    build_with(&b, &c, NULL, true);
    assert_ok(b.status, b.err);
    autofree char *line = str_format("{\"stream\":\"%s\\n\"}\n", b.image->id);
    assert_string_equal(buffer_text(&b.said), line);
    assert_string_equal(b.image->config.env[0], "A=b");
}

static void a_pattern_matches_as_docker_s_does(void **state)
{
    (void)state;
    assert_true(pattern_matches("*.c", "a.c"));
    assert_false(pattern_matches("*.c", "d/a.c"));
    assert_true(pattern_matches("**/*.c", "a.c"));
    assert_true(pattern_matches("**/*.c", "d/e/a.c"));
    assert_true(pattern_matches("d/**", "d/e/f"));
    assert_true(pattern_matches("a[b-d]?", "acx"));
    assert_false(pattern_matches("a[^b-d]", "ac"));
    assert_true(pattern_matches("a\\*", "a*"));
    assert_false(pattern_matches("a\\*", "ab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wasm_image_is_built_from_scratch),
        cmocka_unit_test(the_same_context_gives_the_same_layers),
        cmocka_unit_test(every_setting_reaches_the_config),
        cmocka_unit_test(copies_land_where_docker_puts_them),
        cmocka_unit_test(a_symlink_of_the_base_is_followed_inside_the_image),
        cmocka_unit_test(what_dockerignore_names_stays_out),
        cmocka_unit_test(what_cannot_be_built_is_refused_with_its_line),
        cmocka_unit_test(a_hostile_context_or_tar_is_refused_by_name),
        cmocka_unit_test(quiet_says_the_id_alone),
        cmocka_unit_test(a_pattern_matches_as_docker_s_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
