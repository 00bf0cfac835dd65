/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered from memory, and names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/db.h"
#include "image/reference.h"
#include "image/store.h"

int image_find(struct image_store *s, const char *reference, struct image **ret, struct error *err)
{
    autounlock held = hold(&s->lock);
    struct record *record;
    int r = store_find(s, reference, &record, err);
    if (r < 0)
        return r;
    *ret = image_ref(record->image);
    return 0;
}

static int newer_first(const void *a, const void *b)
{
    const struct image *x = *(struct image *const *)a, *y = *(struct image *const *)b;
    if (x->created_ns != y->created_ns)
        return x->created_ns < y->created_ns ? 1 : -1;
    return strcmp(x->id, y->id);
}

int image_list(struct image_store *s, struct image ***ret, struct error *err)
{
    autounlock held = hold(&s->lock);
    struct image **list = calloc(s->images.count + 1, sizeof *list);
    if (!list)
        return fail(err, ENOMEM, "list images");
    struct record *record;
    size_t n = 0;
    for (size_t i = 0; (record = map_next(&s->images, &i));)
        list[n++] = image_ref(record->image);
    qsort(list, n, sizeof *list, newer_first);
    *ret = list;
    return 0;
}

int image_lower_dirs(struct image_store *s, const struct image *image, char ***ret,
                     struct error *err)
{
    size_t n = strv_len(image->layers);
    auto(strv) char **dirs = calloc(n + 1, sizeof *dirs);
    for (size_t i = 0; dirs && i < n; i++)
        if (!(dirs[i] = str_format("%s/layers/%s", s->dir,
                                   str_after(image->layers[n - 1 - i], "sha256:"))))
            return fail(err, ENOMEM, "list the layers of image %s", image->id);
    if (!dirs)
        return fail(err, ENOMEM, "list the layers of image %s", image->id);
    *ret = take_ptr(&dirs);
    return 0;
}

int image_scratch_dir(struct image_store *s, char **ret_path, struct error *err)
{
    char id[ID_LEN + 1];
    id_new(id);
    autofree char *path = str_format("%s/ingest/%s", s->dir, id);
    if (!path)
        return fail(err, ENOMEM, "make a directory");
    if (mkdir(path, 0700) < 0)
        return fail(err, errno, "make directory '%s'", path);
    *ret_path = take_ptr(&path);
    return 0;
}

uint64_t image_layer_size(struct image_store *s, const char *chain_id)
{
    autounlock held = hold(&s->lock);
    const struct stored *layer = map_get(&s->layers, chain_id);
    return layer ? layer->size : 0;
}

int image_read_blob(struct image_store *s, const char *digest, struct buffer *out,
                    struct error *err)
{
    if (!digest_is_valid(digest))
        return fail_plain(err, EINVAL, "'%.100s' is no digest", digest);
    return store_read_blob(s, digest, out, err);
}

int image_tag(struct image_store *s, const struct image *image, const char *reference,
              struct error *err)
{
    auto(reference) struct reference name = {0};
    autofree char *full = NULL;
    int r = reference_parse(reference, &name, err);
    if (!r && name.digest)
        return fail_plain(err, EINVAL, "refusing to create a tag with a digest reference");
    if (!r)
        r = image_reference_expand(reference, &full, err);
    if (r < 0)
        return r;
    autounlock writing = hold(&s->write);
    /* `write` is held, so the record stays as it is until it is in the database */
    {
        autounlock held = hold(&s->lock);
        if (!map_get(&s->images, image->id))
            return fail_plain(err, ENOENT, "No such image: %s", image->id);
    }
    r = db_do(
        s->db, err,
        "INSERT INTO names VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET image=excluded.image",
        full, image->id);
    if (r < 0)
        return fail_in(err, r, "tag image as '%s'", reference);
    autounlock held = hold(&s->lock);
    struct record *record = map_get(&s->images, image->id);
    const struct name *before = map_get(&s->names, full);
    struct record *loser = before ? before->record : NULL;
    r = store_set_name(s, full, record);
    if (!r)
        r = store_retag(s, record);
    if (!r && loser && loser != record)
        r = store_retag(s, loser);
    return r < 0 ? fail(err, r, "tag image as '%s'", reference) : 0;
}

int image_pin(struct image_store *s, const char *image_id, const char *user, struct error *err)
{
    autounlock held = hold(&s->lock);
    struct record *record = map_get(&s->images, image_id);
    if (!record)
        return fail_plain(err, ENOENT, "No such image: %s", image_id);
    int r = map_add(&record->pins, user, (void *)(uintptr_t)user);
    return r == -ENOMEM ? fail(err, r, "pin image %s", image_id) : 0;
}

void image_unpin(struct image_store *s, const char *image_id, const char *user)
{
    autounlock held = hold(&s->lock);
    struct record *record = map_get(&s->images, image_id);
    if (record)
        map_remove(&record->pins, user);
}

static int count_usage(int dir, const char *name, int depth, struct image_usage *usage)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    usage->bytes += (uint64_t)st.st_blocks * 512;
    usage->inodes++;
    if (!S_ISDIR(st.st_mode) || depth > 400)
        return 0;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        close_fd(&fd);
        return errno == ENOENT ? 0 : -errno;
    }
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            r = count_usage(dirfd(d), e->d_name, depth + 1, usage);
    closedir(d);
    return r;
}

int image_store_usage(struct image_store *s, struct image_usage *ret, struct error *err)
{
    struct image_usage usage = {.mountpoint = s->dir};
    int r = count_usage(s->dir_fd, ".", 0, &usage);
    if (r < 0)
        return fail(err, r, "measure image store '%s'", s->dir);
    *ret = usage;
    return 0;
}
