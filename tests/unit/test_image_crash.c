/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose process is killed at any moment, or whose disk is full, holds whole images or none. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/image.h"
#include "image_pack.h"

enum { IMAGES = 3, FILES = 40, KILLS = 60 };

/* An image of two layers: one that all share, and one of its own. */
static void make_image(struct pack *p, int number, size_t size)
{
    struct pack layers[2];
    autofree char *data = malloc(size);
    memset(data, 'a' + number, size);
    pack_open(&layers[0], NULL);
    pack_text(&layers[0], "shared", "shared");
    pack_close(&layers[0]);
    pack_open(&layers[1], NULL);
    for (int i = 0; i < FILES; i++) {
        autofree char *name = str_format("d%d/f%d", i % 4, i);
        pack_file(&layers[1], name, data, size / FILES);
    }
    pack_close(&layers[1]);
    autofree char *tag = str_format("image%d:latest", number);
    pack_docker(p, tag, layers, 2, number % 2 ? "gzip" : NULL, NULL);
    pack_done(&layers[0]);
    pack_done(&layers[1]);
}

/* In the child: loads and removes for ever, with a byte a step. */
static _Noreturn void work(const char *dir, const struct pack *archives, int steps)
{
    struct image_store *s;
    if (image_store_open(&s, dir, NULL) < 0)
        _exit(1);
    for (int i = 0;; i++) {
        const struct pack *p = &archives[i % IMAGES];
        autofree char *name = str_format("image%d", (i + 1) % IMAGES);
        autofree char *other = str_format("other%d", i % IMAGES);
        char **names = NULL;
        struct image *image = NULL;
        int fd = pack_memory(p->out.data, p->out.len);
        if (image_load(s, fd, NULL, &names, NULL) == 0)
            strv_free(names);
        close(fd);
        if (write(steps, "", 1) < 0)
            _exit(1);
        autofree char *loaded = str_format("image%d", i % IMAGES);
        if (image_find(s, loaded, &image, NULL) == 0) {
            image_tag(s, image, other, NULL);
            image_unref(image);
        }
        image_remove(s, name, true, NULL, NULL, NULL);
        if (write(steps, "", 1) < 0)
            _exit(1);
        image_remove(s, other, true, NULL, NULL, NULL);
    }
}

static int count_files(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (*e->d_name == '.')
            continue;
        autofree char *path = str_format("%s/%s", dir, e->d_name);
        n += e->d_type == DT_DIR ? count_files(path) : 1;
    }
    if (d)
        closedir(d);
    return n;
}

/* What the store lists is whole, and what is on disk is listed. Returns how many images there are. */
static int check(struct test_store *t)
{
    struct image **list;
    int n = 0, layers = 0, blobs = 0;
    assert_int_equal(image_list(t->store, &list, NULL), 0);
    for (; list[n]; n++) {
        auto(strv) char **dirs = NULL;
        auto(buffer) struct buffer text = {0};
        assert_int_equal(image_lower_dirs(t->store, list[n], &dirs, NULL), 0);
        assert_int_equal(strv_len(dirs), 2);
        assert_int_equal(count_files(dirs[0]), FILES);
        assert_int_equal(count_files(dirs[1]), 1);
        assert_int_equal(image_read_blob(t->store, list[n]->manifest_digest, &text, NULL), 0);
        /* manifest, config and a layer of its own; the shared layer is one blob, plain, and one more, compressed */
        layers++;
        blobs += 3;
        image_unref(list[n]);
    }
    free(list);
    assert_int_equal(test_store_count(t, "ingest"), 0);
    assert_int_equal(test_store_count(t, "layers"), n ? layers + 1 : 0);
    int shared = test_store_count(t, "blobs/sha256") - blobs;
    assert_true(n ? shared >= 1 && shared <= 2 : shared == 0);
    return n;
}

static void a_store_that_was_killed_at_any_moment_is_whole_when_it_is_opened_again(void **state)
{
    (void)state;
    struct pack archives[IMAGES];
    struct test_store t;
    int seen = 0;
    for (int i = 0; i < IMAGES; i++)
        make_image(&archives[i], i, 40000);
    test_store_new(&t);
    srand(7);
    for (int i = 0; i < KILLS; i++) {
        image_store_free(t.store);
        t.store = NULL;
        int steps[2];
        assert_int_equal(pipe(steps), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (!pid)
            work(t.dir, archives, steps[1]);
        close(steps[1]);
        /* some steps first, however slow the disk is, then anywhere in the next */
        char byte;
        for (int n = rand() % 5; n && read(steps[0], &byte, 1) == 1; n--)
            ;
        usleep((useconds_t)(rand() % 20000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(steps[0]);
        test_store_reopen(&t);
        seen += check(&t);
    }
    assert_true(seen > 0); /* the kills did not all come before the first image */
    test_store_free(&t);
    for (int i = 0; i < IMAGES; i++)
        pack_done(&archives[i]);
}

/* In a child with a mount namespace of its own. 0, or the number of what went wrong. */
static int on_a_small_disk(void)
{
    char dir[] = "/tmp/warren-image.XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    int failures = 0, successes = 0, result = 0;
    for (int kib = 100; !result && kib < 1100; kib += 25) {
        struct test_store t = {0};
        struct pack p;
        struct error err = {0};
        char **names = NULL;
        autofree char *size = str_format("size=%dk,nr_inodes=400", kib);
        if (mount("tmpfs", dir, "tmpfs", 0, size) < 0)
            return 2;
        snprintf(t.dir, sizeof t.dir, "%s", dir);
        if (image_store_open(&t.store, dir, &err) < 0) {
            umount(dir);
            continue;
        }
        make_image(&p, 0, 200000);
        int fd = pack_memory(p.out.data, p.out.len);
        int r = image_load(t.store, fd, NULL, &names, &err);
        close(fd);
        failures += r < 0;
        successes += r == 0;
        if (r < 0 && (r != -ENOSPC || test_store_count(&t, "ingest") ||
                      test_store_count(&t, "layers") || test_store_count(&t, "blobs/sha256"))) {
            print_error("at %d KiB: %d %s\n", kib, r, err.message);
            result = 3;
        }
        image_store_free(t.store);
        t.store = NULL;
        /* the disk is as full as before, so opening may fail, but not for the store's sake */
        struct image **list = NULL;
        if (image_store_open(&t.store, dir, &err) == 0 && image_list(t.store, &list, NULL) == 0) {
            if ((r == 0) != (list[0] != NULL))
                result = 4;
            if (list[0])
                image_unref(list[0]);
            free(list);
        }
        image_store_free(t.store);
        strv_free(names);
        pack_done(&p);
        umount(dir);
    }
    rmdir(dir);
    return result ? result : failures && successes ? 0 : 5;
}

static void a_full_disk_is_told_and_nothing_half_made_stays(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        _exit(on_a_small_disk());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* mounts may not be made here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_store_has_one_process(void **state)
{
    (void)state;
    struct test_store t;
    struct image_store *other = NULL;
    struct error err = {0};
    test_store_new(&t);
    assert_int_equal(image_store_open(&other, t.dir, &err), -EBUSY);
    assert_non_null(strstr(err.message, "in use by another process"));
    test_store_free(&t);
}

static void a_damaged_image_does_not_keep_the_store_from_opening(void **state)
{
    (void)state;
    struct test_store t;
    auto(pack) struct pack p = {0};
    auto(strv) char **names = NULL;
    auto(image) struct image *image = NULL;
    struct error err = {0};
    test_store_new(&t);
    make_image(&p, 0, 4000);
    autoclose int fd = pack_memory(p.out.data, p.out.len);
    assert_ok(image_load(t.store, fd, NULL, &names, &err), err);
    assert_int_equal(image_find(t.store, "image0", &image, NULL), 0);
    autofree char *path = str_format("%s/blobs/sha256/%s", t.dir, image->id + 7);
    assert_int_equal(truncate(path, 10), 0);
    test_store_reopen(&t);
    assert_int_equal(check(&t), 0);
    lseek(fd, 0, SEEK_SET);
    strv_free(names);
    names = NULL;
    assert_ok(image_load(t.store, fd, NULL, &names, &err), err);
    assert_int_equal(check(&t), 1);
    test_store_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_was_killed_at_any_moment_is_whole_when_it_is_opened_again),
        cmocka_unit_test(a_full_disk_is_told_and_nothing_half_made_stays),
        cmocka_unit_test(a_store_has_one_process),
        cmocka_unit_test(a_damaged_image_does_not_keep_the_store_from_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
