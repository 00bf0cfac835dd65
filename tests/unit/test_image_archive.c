/* SPDX-License-Identifier: Apache-2.0 */
/* What archives that nobody should trust do to a store: nothing outside their layer, and no trace where they are refused. */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/image.h"
#include "image_pack.h"

static const char capability[] =
    "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

struct fixture {
    struct test_store t;
    struct pack layer, image;
    char **names;
    struct error err;
    char root[300]; /* of the layer, once it is loaded */
};

static void fixture_done(struct fixture *f)
{
    pack_done(&f->layer);
    pack_done(&f->image);
    strv_free(f->names);
    test_store_free(&f->t);
}
CLEANUP_DONE(fixture, struct fixture);

static void fixture_begin(struct fixture *f)
{
    test_store_new(&f->t);
    pack_open(&f->layer, NULL);
}

static int load(struct fixture *f, const struct buffer *archive)
{
    autoclose int fd = pack_memory(archive->data, archive->len);
    return image_load(f->t.store, fd, NULL, &f->names, &f->err);
}

/* Ends the layer and loads an image of it. */
static int load_layer(struct fixture *f)
{
    pack_close(&f->layer);
    pack_docker(&f->image, "x", &f->layer, 1, NULL, NULL);
    int r = load(f, &f->image.out);
    if (r < 0)
        return r;
    auto(image) struct image *image = NULL;
    auto(strv) char **dirs = NULL;
    assert_int_equal(image_find(f->t.store, "x", &image, NULL), 0);
    assert_int_equal(image_lower_dirs(f->t.store, image, &dirs, NULL), 0);
    snprintf(f->root, sizeof f->root, "%s", dirs[0]);
    return 0;
}

static void nothing_is_left(const struct fixture *f)
{
    assert_int_equal(test_store_count(&f->t, "ingest"), 0);
    assert_int_equal(test_store_count(&f->t, "layers"), 0);
    assert_int_equal(test_store_count(&f->t, "blobs/sha256"), 0);
}

static void refused(struct fixture *f, int status, const char *text)
{
    assert_true(status < 0);
    if (!strstr(f->err.message, text))
        print_error("said: %s\n", f->err.message);
    assert_non_null(strstr(f->err.message, text));
    nothing_is_left(f);
}

static struct stat status_of(const struct fixture *f, const char *path)
{
    struct stat st;
    autofree char *full = str_format("%s/%s", f->root, path);
    if (lstat(full, &st) < 0)
        print_error("%s is not there\n", path);
    assert_int_equal(lstat(full, &st), 0);
    return st;
}

static void layer_refused(void (*fill)(struct pack *layer), const char *text)
{
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    fill(&f.layer);
    refused(&f, load_layer(&f), text);
}

static void dots(struct pack *p)
{
    pack_text(p, "ok", "x");
    pack_text(p, "a/../../escape", "x");
}
static void link_dots(struct pack *p)
{
    pack_node(p, "passwd", 0644, "../../etc/passwd", 0, 0);
}
static void link_absolute(struct pack *p)
{
    pack_node(p, "passwd", 0644, "/etc/passwd", 0, 0);
}
static void link_through_symlink(struct pack *p)
{
    pack_node(p, "e", S_IFLNK | 0777, "/etc", 0, 0);
    pack_node(p, "passwd", 0644, "e/passwd", 0, 0);
}
static void whiteout_of_parent(struct pack *p)
{
    pack_text(p, "a/.wh...", "");
}
static void whiteout_of_nothing(struct pack *p)
{
    pack_text(p, "a/.wh.", "");
}
static void over_the_root(struct pack *p)
{
    pack_text(p, ".", "x");
}
static void too_deep(struct pack *p)
{
    auto(buffer) struct buffer name = {0};
    for (int i = 0; i < 300; i++)
        buffer_puts(&name, "d/");
    buffer_puts(&name, "f");
    pack_text(p, buffer_text(&name), "x");
}
static void loop_of_links(struct pack *p)
{
    pack_node(p, "a", S_IFLNK | 0777, "b", 0, 0);
    pack_node(p, "b", S_IFLNK | 0777, "a", 0, 0);
    pack_text(p, "a/f", "x");
}

static void an_entry_that_leads_out_is_refused_by_its_name(void **state)
{
    (void)state;
    layer_refused(dots, "archive entry 'a/../../escape': it leads out of the archive's root");
    layer_refused(link_dots,
                  "archive entry 'passwd': hard link to '../../etc/passwd': it leads out");
    layer_refused(link_absolute,
                  "archive entry 'passwd': hard link to '/etc/passwd': No such file");
    layer_refused(link_through_symlink,
                  "archive entry 'passwd': hard link to 'e/passwd': No such file");
    layer_refused(whiteout_of_parent, "archive entry 'a/.wh...': it is a whiteout of nothing");
    layer_refused(whiteout_of_nothing, "it is a whiteout of nothing");
    layer_refused(over_the_root, "archive entry '.': it would replace the root");
    layer_refused(too_deep, "deeper than 256 directories");
    layer_refused(loop_of_links, "archive entry 'a/f': open its directory: Too many levels");
}

static void symlinks_are_followed_within_the_layer_alone(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    char outside[] = "/tmp/warren-image.XXXXXX";
    assert_non_null(mkdtemp(outside));
    fixture_begin(&f);
    pack_node(&f.layer, outside + 1, S_IFDIR | 0755, NULL, 0, 0);
    pack_node(&f.layer, "abs", S_IFLNK | 0777, outside, 0, 0);
    pack_text(&f.layer, "abs/one", "1");
    autofree char *up = str_format("../../../../../../..%s", outside);
    pack_node(&f.layer, "rel", S_IFLNK | 0777, up, 0, 0);
    pack_text(&f.layer, "rel/two", "2");
    pack_node(&f.layer, "file", S_IFLNK | 0777, "/etc/hostname", 0, 0);
    pack_text(&f.layer, "file", "replaced");
    autofree char *absolute = str_format("%s/three", outside);
    pack_text(&f.layer, absolute, "3");
    assert_ok(load_layer(&f), f.err);
    assert_int_equal(rmdir(outside), 0); /* it is empty */
    autofree char *one = str_format("%s/one", outside + 1),
                  *two = str_format("%s/two", outside + 1),
                  *three = str_format("%s/three", outside + 1);
    assert_int_equal(status_of(&f, one).st_size, 1);
    assert_int_equal(status_of(&f, two).st_size, 1);
    assert_int_equal(status_of(&f, three).st_size, 1);
    assert_true(S_ISREG(status_of(&f, "file").st_mode));
}

static void a_layer_keeps_what_its_files_are(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    pack_node(&f.layer, "dev/null", S_IFCHR | 0666, NULL, 1, 3);
    pack_node(&f.layer, "dev/loop", S_IFBLK | 0660, NULL, 7, 1);
    pack_node(&f.layer, "fifo", S_IFIFO | 0600, NULL, 0, 0);
    pack_node(&f.layer, "bin/su", S_IFREG | 04755, NULL, 0, 0);
    pack_node(&f.layer, "bin/link", 0, "bin/su", 0, 0);
    pack_node(&f.layer, "tmp", S_IFDIR | 01777, NULL, 0, 0);
    pack_text(&f.layer, "tmp/file", "x");
    pack_text(&f.layer, "na\xc3\xafve \xff", "bytes");
    assert_ok(load_layer(&f), f.err);
    assert_int_equal(status_of(&f, "dev/null").st_rdev, makedev(1, 3));
    assert_true(S_ISBLK(status_of(&f, "dev/loop").st_mode));
    assert_true(S_ISFIFO(status_of(&f, "fifo").st_mode));
    assert_int_equal(status_of(&f, "bin/su").st_mode & 07777, 04755);
    assert_int_equal(status_of(&f, "bin/su").st_ino, status_of(&f, "bin/link").st_ino);
    assert_int_equal(status_of(&f, "tmp").st_mode & 07777, 01777);
    assert_int_equal(status_of(&f, "tmp").st_mtime, 1000000000);
    assert_int_equal(status_of(&f, "tmp/file").st_mtime, 1000000000);
    assert_int_equal(status_of(&f, "na\xc3\xafve \xff").st_size, 5);
    assert_int_equal(status_of(&f, "bin").st_mode & 07777, 0755); /* no entry of its own */
}

static void put_xattrs(struct pack *p, const char *name)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, S_IFDIR | 0755);
    archive_entry_xattr_add_entry(e, "security.capability", capability, sizeof capability - 1);
    archive_entry_xattr_add_entry(e, "user.note", "n", 1);
    archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
    archive_entry_xattr_add_entry(e, "trusted.overlay.redirect", "/etc", 4);
    archive_entry_xattr_add_entry(e, "user.overlay.opaque", "y", 1);
    assert_int_equal(archive_write_header(p->tar, e), ARCHIVE_OK);
    archive_entry_free(e);
}

static void extended_attributes_are_kept_but_those_that_mean_something_to_overlay(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    char value[64];
    fixture_begin(&f);
    put_xattrs(&f.layer, "d");
    assert_ok(load_layer(&f), f.err);
    autofree char *path = str_format("%s/d", f.root);
    assert_int_equal(getxattr(path, "security.capability", value, sizeof value), 20);
    assert_int_equal(getxattr(path, "user.note", value, sizeof value), 1);
    assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, sizeof value), -1);
    assert_int_equal(getxattr(path, "trusted.overlay.redirect", value, sizeof value), -1);
    assert_int_equal(getxattr(path, "user.overlay.opaque", value, sizeof value), -1);
}

static bool is_opaque(const struct fixture *f, const char *name)
{
    char value = 0;
    autofree char *path = str_format("%s/%s", f->root, name);
    return getxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static void whiteouts_become_overlay_s(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    pack_text(&f.layer, "etc/.wh.gone", "");
    pack_text(&f.layer, "var/.wh..wh..opq", "");
    pack_text(&f.layer, "var/new", "n");
    pack_text(&f.layer, ".wh..wh.plnk/1.2", ""); /* aufs's own */
    pack_text(&f.layer, ".wh.replaced", "");
    pack_node(&f.layer, "replaced", S_IFDIR | 0755, NULL, 0, 0);
    pack_text(&f.layer, ".wh.filled", "");
    pack_text(&f.layer, "filled/below", "b");
    pack_text(&f.layer, "kept/file", "k");
    pack_text(&f.layer, ".wh.kept", ""); /* hides lower layers', not its own */
    assert_ok(load_layer(&f), f.err);
    assert_true(S_ISCHR(status_of(&f, "etc/gone").st_mode));
    assert_int_equal(status_of(&f, "etc/gone").st_rdev, makedev(0, 0));
    assert_true(is_opaque(&f, "var"));
    assert_int_equal(status_of(&f, "var/new").st_size, 1);
    assert_true(is_opaque(&f, "replaced"));
    assert_true(is_opaque(&f, "filled"));
    assert_int_equal(status_of(&f, "filled/below").st_size, 1);
    assert_true(is_opaque(&f, "kept"));
    assert_int_equal(status_of(&f, "kept/file").st_size, 1);
    assert_false(is_opaque(&f, "etc"));
}

static void the_last_entry_of_a_name_counts(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    pack_text(&f.layer, "a/b/c", "x");
    pack_text(&f.layer, "a", "file now");
    pack_text(&f.layer, "b", "x");
    pack_node(&f.layer, "b", S_IFDIR | 0700, NULL, 0, 0);
    pack_text(&f.layer, "b/in", "y");
    pack_text(&f.layer, "c", "first");
    pack_text(&f.layer, "c", "second time");
    assert_ok(load_layer(&f), f.err);
    assert_int_equal(status_of(&f, "a").st_size, 8);
    assert_int_equal(status_of(&f, "b/in").st_size, 1);
    assert_int_equal(status_of(&f, "c").st_size, 11);
}

static void put_sparse(struct pack *p, int64_t size)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "sparse");
    archive_entry_set_mode(e, S_IFREG | 0644);
    archive_entry_set_size(e, size);
    archive_entry_sparse_add_entry(e, 4096, 4);
    if (archive_write_header(p->tar, e) != ARCHIVE_OK)
        abort();
    auto(buffer) struct buffer zeros = {0};
    assert_int_equal(buffer_reserve(&zeros, 4096), 0);
    memset(zeros.data, 0, 4096);
    archive_write_data(p->tar, zeros.data, 4096);
    archive_write_data(p->tar, "data", 4);
    archive_entry_free(e);
}

static void a_sparse_file_stays_sparse_and_a_boundless_one_is_refused(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0}, g = {0};
    fixture_begin(&f);
    put_sparse(&f.layer, 1 << 30);
    assert_ok(load_layer(&f), f.err);
    struct stat st = status_of(&f, "sparse");
    assert_int_equal(st.st_size, 1 << 30);
    assert_true(st.st_blocks < 1000);
    fixture_begin(&g);
    put_sparse(&g.layer, INT64_C(1) << 50);
    refused(&g, load_layer(&g), "archive entry 'sparse' says it is larger than 1 TiB");
}

static void an_owner_that_is_no_user_is_refused(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "f");
    archive_entry_set_mode(e, S_IFREG | 0644);
    archive_entry_set_size(e, 0);
    archive_entry_set_uid(e, INT64_C(1) << 33);
    assert_int_equal(archive_write_header(f.layer.tar, e), ARCHIVE_OK);
    archive_entry_free(e);
    refused(&f, load_layer(&f), "is no user");
}

/* Damage */

static void a_cut_archive_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    const char *filters[] = {NULL, "gzip", "zstd"};
    for (int i = 0; i < 3; i++) {
        auto(fixture) struct fixture f = {0};
        fixture_begin(&f);
        autofree char *noise = malloc(20000);
        unsigned seed = 1;
        for (int k = 0; k < 20000; k++)
            noise[k] = (char)(seed = seed * 1103515245 + 12345);
        pack_file(&f.layer, "noise", noise, 20000);
        pack_close(&f.layer);
        pack_docker(&f.image, "x", &f.layer, 1, NULL, filters[i]);
        size_t whole = f.image.out.len;
        for (int part = 1; part < 20; part++) {
            struct buffer cut = {.data = f.image.out.data, .len = whole * (size_t)part / 20};
            /* what is cut behind the last file but before the tar's end marks is whole all the same */
            if (load(&f, &cut) < 0)
                nothing_is_left(&f);
            else
                assert_true(part == 19);
        }
    }
}

static void a_layer_that_is_not_what_the_config_says_is_refused(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    auto(pack) struct pack other = {0};
    fixture_begin(&f);
    pack_text(&f.layer, "f", "1");
    pack_close(&f.layer);
    pack_docker(&f.image, "x", &f.layer, 1, NULL, NULL);
    /* one byte of the file's data */
    for (size_t i = 0; i + 513 < f.image.out.len; i++)
        if (memcmp(f.image.out.data + i, "ustar", 5) == 0 && f.image.out.data[i + 255] == '1' &&
            f.image.out.data[i + 256] == 0)
            f.image.out.data[i + 255] = '2';
    refused(&f, load(&f, &f.image.out), "its content is sha256:");
    assert_non_null(strstr(f.err.message, "0/layer.tar"));
}

static void a_blob_that_is_not_what_its_name_says_is_refused(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    pack_text(&f.layer, "f", "data to be found");
    pack_close(&f.layer);
    pack_oci(&f.image, "a.b/c:1", &f.layer, "linux/amd64", true);
    uint8_t *data = memmem(f.image.out.data, f.image.out.len, "data to be found", 16);
    assert_non_null(data);
    data[0] = 'D';
    refused(&f, load(&f, &f.image.out), "is damaged: its content is sha256:");
}

static void documents(const char *name, const char *text, const char *message)
{
    auto(fixture) struct fixture f = {0};
    fixture_begin(&f);
    pack_open(&f.image, NULL);
    pack_text(&f.image, name, text);
    pack_close(&f.image);
    refused(&f, load(&f, &f.image.out), message);
}

static void documents_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    documents("x", "y", "neither index.json (OCI layout) nor manifest.json");
    documents("manifest.json", "{", "manifest.json is not JSON: at byte 1");
    documents("manifest.json", "[]", "manifest.json is no list of images");
    documents("manifest.json", "[{\"Config\":\"gone\"}]",
              "manifest.json names 'gone', which the archive does not have");
    documents("manifest.json", "[{\"Config\":\"../../etc/passwd\"}]",
              "manifest.json: '../../etc/passwd': it leads out");
    documents("manifest.json", "[{\"Config\":\"manifest.json\",\"RepoTags\":[\"Bad Name\"]}]",
              "invalid reference format");
    documents("manifest.json", "[{\"Config\":\"manifest.json\"}]", "has no rootfs with diff_ids");
    documents("index.json", "{\"manifests\":[]}", "has no image for linux/amd64");
    documents("index.json", "{\"manifests\":[{\"digest\":\"../../x\"}]}",
              "'../../x' is no sha256 digest");
    documents("index.json", "{\"manifests\":[],\"layers\":[]}",
              "neither an image manifest nor an index");
    documents("../index.json", "{}", "archive entry '../index.json': it leads out");
}

static void links_in_an_archive_lead_nowhere_else(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0}, g = {0};
    fixture_begin(&f);
    pack_open(&f.image, NULL);
    pack_node(&f.image, "manifest.json", S_IFLNK | 0777, "index.json", 0, 0);
    pack_node(&f.image, "index.json", S_IFLNK | 0777, "manifest.json", 0, 0);
    pack_close(&f.image);
    refused(&f, load(&f, &f.image.out), "it is no image");
    fixture_begin(&g);
    pack_open(&g.image, NULL);
    pack_node(&g.image, "manifest.json", S_IFLNK | 0777, "/etc/passwd", 0, 0);
    pack_close(&g.image);
    refused(&g, load(&g, &g.image.out), "it is no image");
}

static void an_index_that_names_itself_ends(void **state)
{
    (void)state;
    auto(fixture) struct fixture f = {0};
    char digest[DIGEST_TEXT] = "";
    fixture_begin(&f);
    pack_open(&f.image, NULL);
    autofree char *text = strdup("{\"manifests\":[]}");
    for (int depth = 0; depth < 10; depth++) {
        digest_of(text, strlen(text), digest);
        autofree char *name = str_format("blobs/sha256/%s", digest + 7);
        pack_text(&f.image, name, text);
        free(text);
        text = str_format("{\"manifests\":[{\"digest\":\"%s\"}]}", digest);
    }
    pack_text(&f.image, "index.json", text);
    pack_close(&f.image);
    refused(&f, load(&f, &f.image.out), "nested deeper than 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_that_leads_out_is_refused_by_its_name),
        cmocka_unit_test(symlinks_are_followed_within_the_layer_alone),
        cmocka_unit_test(a_layer_keeps_what_its_files_are),
        cmocka_unit_test(extended_attributes_are_kept_but_those_that_mean_something_to_overlay),
        cmocka_unit_test(whiteouts_become_overlay_s),
        cmocka_unit_test(the_last_entry_of_a_name_counts),
        cmocka_unit_test(a_sparse_file_stays_sparse_and_a_boundless_one_is_refused),
        cmocka_unit_test(an_owner_that_is_no_user_is_refused),
        cmocka_unit_test(a_cut_archive_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_layer_that_is_not_what_the_config_says_is_refused),
        cmocka_unit_test(a_blob_that_is_not_what_its_name_says_is_refused),
        cmocka_unit_test(documents_that_make_no_sense_are_refused),
        cmocka_unit_test(links_in_an_archive_lead_nowhere_else),
        cmocka_unit_test(an_index_that_names_itself_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
