/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/image.h"
#include "image/reference.h"
#include "image_pack.h"

static void expands(const char *from, const char *to)
{
    autofree char *full = NULL;
    struct error err = {0};
    assert_ok(image_reference_expand(from, &full, &err), err);
    assert_string_equal(full, to);
}

static void a_name_means_what_docker_means_by_it(void **state)
{
    (void)state;
    static const char hex[] =
        "@sha256:0123456789012345678901234567890123456789012345678901234567890123";
    expands("busybox", "docker.io/library/busybox:latest");
    expands("busybox:1.36", "docker.io/library/busybox:1.36");
    expands("library/busybox", "docker.io/library/busybox:latest");
    expands("docker.io/busybox", "docker.io/library/busybox:latest");
    expands("index.docker.io/busybox", "docker.io/library/busybox:latest");
    expands("me/app:v1", "docker.io/me/app:v1");
    expands("localhost/x", "localhost/x:latest");
    expands("localhost:5000/x:y", "localhost:5000/x:y");
    expands("a.b/c/d", "a.b/c/d:latest");
    expands("[::1]:5000/x", "[::1]:5000/x:latest");
    expands("HOST/x", "HOST/x:latest");
    expands("a__b--c.d", "docker.io/library/a__b--c.d:latest");
    autofree char *digested = str_format("busybox:1%s", hex),
                  *full = str_format("docker.io/library/busybox%s", hex);
    expands(digested, full);
    autofree char *one = image_reference_short("docker.io/library/busybox:latest");
    autofree char *two = image_reference_short("docker.io/me/app:v1");
    autofree char *three = image_reference_short("docker.io/a.b/c:1");
    assert_string_equal(three, "docker.io/a.b/c:1");
    assert_string_equal(one, "busybox:latest");
    assert_string_equal(two, "me/app:v1");
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         ":x",
                         "a:",
                         "a:-x",
                         "Upper",
                         "a/B",
                         "a..b",
                         "a___b",
                         "-a",
                         "a-",
                         "a//b",
                         "/a",
                         "a/",
                         "a@sha256:12",
                         "a b",
                         "../a",
                         "a/../b",
                         "a:b c",
                         "host:port/x",
                         "a.b-/c",
                         "[::1/x",
                         "0123456789012345678901234567890123456789012345678901234567890123",
                         NULL};
    for (int i = 0; bad[i]; i++) {
        char *full = NULL;
        struct error err = {0};
        if (image_reference_expand(bad[i], &full, &err) != -EINVAL)
            print_error("'%s' became '%s'\n", bad[i], full);
        assert_null(full);
    }
}

static struct pack simple_layer(const char *name, const char *text)
{
    struct pack p;
    pack_open(&p, NULL);
    pack_text(&p, name, text);
    pack_close(&p);
    return p;
}

static void load_ok(struct test_store *t, const struct pack *p, const char *expected)
{
    auto(strv) char **names = NULL;
    struct error err = {0};
    autoclose int fd = pack_memory(p->out.data, p->out.len);
    assert_ok(image_load(t->store, fd, NULL, &names, &err), err);
    assert_string_equal(names[0], expected);
}

static void read_layer(struct test_store *t, const char *reference, size_t at, const char *file,
                       const char *expected)
{
    struct error err = {0};
    auto(image) struct image *image = NULL;
    auto(strv) char **dirs = NULL;
    auto(buffer) struct buffer text = {0};
    assert_int_equal(image_find(t->store, reference, &image, &err), 0);
    assert_int_equal(image_lower_dirs(t->store, image, &dirs, &err), 0);
    assert_true(strv_len(dirs) > at);
    autofree char *path = str_format("%s/%s", dirs[at], file);
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &err), 0);
    assert_string_equal(buffer_text(&text), expected);
}

static void a_saved_docker_image_loads_whatever_its_compression(void **state)
{
    (void)state;
    const char *filters[] = {NULL, "gzip", "zstd"};
    for (int i = 0; i < 9; i++) {
        struct test_store t;
        test_store_new(&t);
        auto(pack) struct pack lower = simple_layer("etc/motd", "one");
        auto(pack) struct pack upper = simple_layer("etc/motd", "two");
        struct pack layers[] = {lower, upper};
        auto(pack) struct pack p = {0};
        pack_docker(&p, "demo:1", layers, 2, filters[i % 3], filters[i / 3]);
        load_ok(&t, &p, "docker.io/library/demo:1");
        read_layer(&t, "demo:1", 0, "etc/motd", "two");
        read_layer(&t, "demo:1", 1, "etc/motd", "one");
        test_store_reopen(&t);
        read_layer(&t, "demo:1", 0, "etc/motd", "two");
        auto(image) struct image *image = NULL;
        assert_int_equal(image_find(t.store, "demo:1", &image, NULL), 0);
        assert_int_equal(image->size, 6);
        assert_string_equal(image->config.env[0], "A=b");
        assert_string_equal(image->config.cmd[0], "sh");
        assert_string_equal(image->config.labels[0], "k=v");
        assert_string_equal(image->tags[0], "docker.io/library/demo:1");
        assert_int_equal(image->created_ns, INT64_C(1706933106700000000));
        auto(image) struct image *same = NULL;
        char prefix[13];
        memcpy(prefix, image->id + 7, 12);
        prefix[12] = 0;
        assert_int_equal(image_find(t.store, prefix, &same, NULL), 0);
        assert_ptr_equal(image, same);
        assert_int_equal(test_store_count(&t, "ingest"), 0);
        test_store_free(&t);
    }
}

static void an_oci_layout_loads_for_this_platform_or_wasm(void **state)
{
    (void)state;
    struct test_store t;
    test_store_new(&t);
    auto(pack) struct pack layer = simple_layer("app.wasm", "x");
    auto(pack) struct pack amd64 = {0}, wasm = {0}, arm = {0};
    pack_oci(&amd64, "example.org/a:1", &layer, "linux/amd64", true);
    pack_oci(&wasm, "example.org/w:1", &layer, "wasi/wasm", true);
    pack_oci(&arm, "example.org/r:1", &layer, "linux/arm64", true);
    load_ok(&t, &amd64, "example.org/a:1");
    load_ok(&t, &wasm, "example.org/w:1");
    auto(strv) char **names = NULL;
    struct error err = {0};
    autoclose int fd = pack_memory(arm.out.data, arm.out.len);
    assert_int_equal(image_load(t.store, fd, NULL, &names, &err), -ENOENT);
    assert_non_null(strstr(err.message, "linux/arm64"));
    test_store_free(&t);
}

static void a_layer_that_two_images_share_is_kept_once_and_goes_with_the_last(void **state)
{
    (void)state;
    struct test_store t;
    struct error err = {0};
    test_store_new(&t);
    struct pack one[] = {simple_layer("a", "1")};
    struct pack two[] = {simple_layer("a", "1"), simple_layer("b", "2")};
    auto(pack) struct pack p = {0};
    auto(pack) struct pack q = {0};
    pack_docker(&p, "one", one, 1, NULL, NULL);
    pack_docker(&q, "two", two, 2, "gzip", NULL);
    load_ok(&t, &p, "docker.io/library/one:latest");
    load_ok(&t, &q, "docker.io/library/two:latest");
    assert_int_equal(test_store_count(&t, "layers"), 2);
    auto(strv) char **untagged = NULL, **deleted = NULL;
    assert_int_equal(image_remove(t.store, "one", false, &untagged, &deleted, &err), 0);
    assert_string_equal(untagged[0], "docker.io/library/one:latest");
    assert_int_equal(strv_len(deleted), 1);
    assert_int_equal(test_store_count(&t, "layers"), 2);
    read_layer(&t, "two", 1, "a", "1");
    assert_int_equal(image_remove(t.store, "two", false, NULL, NULL, &err), 0);
    assert_int_equal(test_store_count(&t, "layers"), 0);
    assert_int_equal(test_store_count(&t, "blobs/sha256"), 0);
    assert_int_equal(test_store_count(&t, "ingest"), 0);
    test_store_reopen(&t);
    struct image **list = NULL;
    assert_int_equal(image_list(t.store, &list, &err), 0);
    assert_null(list[0]);
    free(list);
    pack_done(&one[0]);
    pack_done(&two[0]);
    pack_done(&two[1]);
    test_store_free(&t);
}

static void an_image_in_use_is_kept_and_says_by_whom(void **state)
{
    (void)state;
    struct test_store t;
    struct error err = {0};
    test_store_new(&t);
    auto(pack) struct pack layer = simple_layer("a", "1");
    auto(pack) struct pack p = {0};
    pack_docker(&p, "used", &layer, 1, NULL, NULL);
    load_ok(&t, &p, "docker.io/library/used:latest");
    auto(image) struct image *image = NULL;
    assert_int_equal(image_find(t.store, "used", &image, &err), 0);
    assert_int_equal(image_pin(t.store, image->id, "container-7", &err), 0);
    assert_int_equal(image_remove(t.store, "used", false, NULL, NULL, &err), -EBUSY);
    assert_non_null(strstr(err.message, "container-7"));
    assert_int_equal(image_remove(t.store, "used", true, NULL, NULL, &err), 0);
    assert_int_equal(image_remove(t.store, image->id, true, NULL, NULL, &err), -EBUSY);
    assert_int_equal(test_store_count(&t, "layers"), 1);
    image_unpin(t.store, image->id, "container-7");
    assert_int_equal(image_remove(t.store, image->id, false, NULL, NULL, &err), 0);
    assert_int_equal(test_store_count(&t, "layers"), 0);
    assert_int_equal(image_remove(t.store, "used", false, NULL, NULL, &err), -ENOENT);
    assert_string_equal(err.message, "No such image: used:latest");
    test_store_free(&t);
}

static void a_name_moves_to_the_image_it_is_given_to(void **state)
{
    (void)state;
    struct test_store t;
    struct error err = {0};
    test_store_new(&t);
    auto(pack) struct pack a = simple_layer("a", "1");
    auto(pack) struct pack b = simple_layer("a", "2");
    auto(pack) struct pack p = {0};
    auto(pack) struct pack q = {0};
    pack_docker(&p, "x:1", &a, 1, NULL, NULL);
    pack_docker(&q, "x:2", &b, 1, NULL, NULL);
    load_ok(&t, &p, "docker.io/library/x:1");
    load_ok(&t, &q, "docker.io/library/x:2");
    auto(image) struct image *one = NULL, *two = NULL, *after = NULL;
    assert_int_equal(image_find(t.store, "x:1", &one, &err), 0);
    assert_int_equal(image_tag(t.store, one, "x:2", &err), 0);
    assert_int_equal(image_find(t.store, "x:2", &two, &err), 0);
    assert_string_equal(one->id, two->id);
    assert_int_equal(strv_len(two->tags), 2);
    assert_int_equal(strv_len(one->tags), 1); /* a snapshot */
    test_store_reopen(&t);
    assert_int_equal(image_find(t.store, "x:2", &after, &err), 0);
    assert_string_equal(one->id, after->id);
    struct image **list = NULL;
    assert_int_equal(image_list(t.store, &list, &err), 0);
    assert_non_null(list[0]);
    assert_non_null(list[1]);
    for (int i = 0; list[i]; i++)
        image_unref(list[i]);
    free(list);
    test_store_free(&t);
}

static void an_image_is_made_on_another_and_saved_and_loaded_elsewhere(void **state)
{
    (void)state;
    struct test_store t, u;
    char run[] = "run", made_name[] = "made";
    struct error err = {0};
    test_store_new(&t);
    test_store_new(&u);
    auto(pack) struct pack a = simple_layer("a", "1");
    auto(pack) struct pack b = simple_layer("b", "2");
    struct image_config config = {.cmd = (char *[]){run, NULL}};
    struct image_history history[] = {{"ADD b", false}, {"CMD run", true}};
    auto(image) struct image *base = NULL, *made = NULL, *loaded = NULL;
    autoclose int afd = pack_memory(a.out.data, a.out.len),
                  bfd = pack_memory(b.out.data, b.out.len);
    assert_int_equal(image_create(t.store, NULL, &afd, 1, history, 1, &config, &base, &err), 0);
    assert_int_equal(image_create(t.store, base, &bfd, 1, history, 2, &config, &made, &err), 0);
    assert_int_equal(image_tag(t.store, made, "made", &err), 0);
    assert_string_equal(made->config.os, "linux");
    autoclose int out = pack_memory("", 0);
    assert_int_equal(image_save(t.store, (char *[]){made_name, NULL}, out, &err), 0);
    lseek(out, 0, SEEK_SET);
    auto(strv) char **names = NULL;
    assert_ok(image_load(u.store, out, NULL, &names, &err), err);
    assert_string_equal(names[0], "docker.io/library/made:latest");
    assert_int_equal(strv_len(names), 1);
    read_layer(&u, "made", 0, "b", "2");
    read_layer(&u, "made", 1, "a", "1");
    assert_int_equal(image_find(u.store, "made", &loaded, &err), 0);
    assert_string_equal(loaded->id, made->id);
    assert_string_equal(loaded->manifest_digest, made->manifest_digest);
    test_store_free(&t);
    test_store_free(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_means_what_docker_means_by_it),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(a_saved_docker_image_loads_whatever_its_compression),
        cmocka_unit_test(an_oci_layout_loads_for_this_platform_or_wasm),
        cmocka_unit_test(a_layer_that_two_images_share_is_kept_once_and_goes_with_the_last),
        cmocka_unit_test(an_image_in_use_is_kept_and_says_by_whom),
        cmocka_unit_test(a_name_moves_to_the_image_it_is_given_to),
        cmocka_unit_test(an_image_is_made_on_another_and_saved_and_loaded_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
