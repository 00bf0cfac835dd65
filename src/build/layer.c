/* SPDX-License-Identifier: Apache-2.0 */
#include "build/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "build/ignore.h"
#include "image/tar.h"

enum { COPY_CHUNK = 128 * 1024, XATTR_MAX = 256, UNPACK_ENTRIES_MAX = 2000000 };

static void cleanup_entry(struct archive_entry **e)
{
    archive_entry_free(*e);
}

int layer_begin(struct layer *l, int fd, const struct tree *below, struct error *err)
{
    *l = (struct layer){.fd = fd, .below = below, .tar = archive_write_new()};
    /* BINARY: names are written as the bytes they are, whatever the locale */
    if (!l->tar || archive_write_set_format_pax_restricted(l->tar) != ARCHIVE_OK ||
        archive_write_set_options(l->tar, "hdrcharset=BINARY") != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(l->tar, 1) != ARCHIVE_OK ||
        archive_write_open_fd(l->tar, fd) != ARCHIVE_OK)
        return fail(err, ENOMEM, "begin a layer");
    return 0;
}

static int tar_fail(struct layer *l, struct error *err)
{
    int code = archive_errno(l->tar);
    return fail_plain(err, code > 0 ? code : EIO, "write the layer: %s",
                      str_or_empty(archive_error_string(l->tar)));
}

int layer_end(struct layer *l, struct error *err)
{
    if (archive_write_close(l->tar) != ARCHIVE_OK)
        return tar_fail(l, err);
    return lseek(l->fd, 0, SEEK_SET) < 0 ? fail(err, errno, "read the layer") : 0;
}

void layer_done(struct layer *l)
{
    archive_write_free(l->tar);
    char *path;
    for (size_t i = 0; (path = map_next(&l->dirs, &i));)
        free(path);
    map_done(&l->dirs);
}

static int put_header(struct layer *l, struct archive_entry *e, struct error *err)
{
    int r = archive_write_header(l->tar, e);
    l->entries++;
    return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 0 : tar_fail(l, err);
}

static void set_stat(struct archive_entry *e, const struct stat *st,
                     const struct layer_owner *owner)
{
    archive_entry_set_mode(e, st->st_mode);
    if (owner->mode >= 0 && !S_ISLNK(st->st_mode))
        archive_entry_set_perm(e, (mode_t)owner->mode);
    archive_entry_set_uid(e, owner->uid >= 0 ? owner->uid : owner->context ? 0 : st->st_uid);
    archive_entry_set_gid(e, owner->gid >= 0 ? owner->gid : owner->context ? 0 : st->st_gid);
    /* whole seconds, as docker's own: the same files give the same layer whoever sent them */
    archive_entry_set_mtime(e, st->st_mtim.tv_sec, 0);
}

static int put_dir(struct layer *l, const char *path, const struct stat *st,
                   const struct layer_owner *owner, struct error *err)
{
    char *key = strdup(path);
    int r = key ? map_add(&l->dirs, key, key) : -ENOMEM;
    if (r < 0) {
        free(key);
        return r == -EEXIST ? 0 : fail(err, r, "write the layer");
    }
    __attribute__((cleanup(cleanup_entry))) struct archive_entry *e = archive_entry_new();
    autofree char *name = str_format("%s/", *path ? path : ".");
    if (!e || !name)
        return fail(err, ENOMEM, "write the layer");
    archive_entry_set_pathname(e, name);
    set_stat(e, st, owner);
    archive_entry_set_filetype(e, AE_IFDIR);
    return put_header(l, e, err);
}

/* A directory that copies say nothing about is made as mkdir would, at the beginning of time: the same build, the same bytes. */
static const struct stat new_dir = {.st_mode = S_IFDIR | 0755};

int layer_make_dirs(struct layer *l, const char *path, const struct layer_owner *owner,
                    struct error *err)
{
    static const struct layer_owner as_it_is = {-1, -1, -1, false};
    if (!*path || map_get(&l->dirs, path))
        return 0;
    autofree char *up = strdup(path);
    if (!up)
        return fail(err, ENOMEM, "write the layer");
    char *slash = strrchr(up, '/');
    if (slash) {
        *slash = 0;
        int r = layer_make_dirs(l, up, owner, err);
        if (r < 0)
            return r;
    }
    auto(tree_node) struct tree_node node = {0};
    int r = tree_find(l->below, path, false, &node, err);
    if (r < 0)
        return r;
    if (node.root < 0) {
        const struct layer_owner made = {owner->uid, owner->gid, -1, owner->context};
        return put_dir(l, path, &new_dir, &made, err);
    }
    if (!S_ISDIR(node.st.st_mode))
        return fail_plain(err, ENOTDIR, "'/%s' is no directory", path);
    return put_dir(l, path, &node.st, &as_it_is, err);
}

static int check_name(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (str_after(slash ? slash + 1 : path, ".wh."))
        return fail_plain(err, EINVAL,
                          "'/%s': names that begin with .wh. mean deleted files in layers", path);
    return 0;
}

static int put_data(struct layer *l, int fd, int64_t size, const char *path, struct error *err)
{
    autofree char *chunk = malloc(COPY_CHUNK);
    if (!chunk)
        return fail(err, ENOMEM, "write the layer");
    for (int64_t left = size; left > 0;) {
        ssize_t n = read(fd, chunk, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK);
        if (n < 0)
            return fail(err, errno, "read '%s'", path);
        if (!n)
            return fail_plain(err, EIO, "read '%s': it became shorter meanwhile", path);
        if (archive_write_data(l->tar, chunk, (size_t)n) < 0)
            return tar_fail(l, err);
        left -= n;
    }
    return 0;
}

/* A file's capabilities go with it from stage to stage; a context has none. */
static void copy_capability(int fd, struct archive_entry *e)
{
    char value[XATTR_MAX];
    ssize_t n = fgetxattr(fd, "security.capability", value, sizeof value);
    if (n > 0)
        archive_entry_xattr_add_entry(e, "security.capability", value, (size_t)n);
}

static int put_node(struct layer *l, const struct tree_node *node, const char *path,
                    const struct layer_owner *owner, struct error *err)
{
    __attribute__((cleanup(cleanup_entry))) struct archive_entry *e = archive_entry_new();
    autofree char *target = NULL;
    autoclose int fd = -1;
    int r = check_name(path, err);
    if (r < 0)
        return r;
    if (!e)
        return fail(err, ENOMEM, "write the layer");
    archive_entry_set_pathname(e, path);
    set_stat(e, &node->st, owner);
    if (S_ISLNK(node->st.st_mode)) {
        target = tree_read_link(node);
        if (!target)
            return fail(err, errno, "read the symlink '%s'", node->path);
        archive_entry_set_symlink(e, target);
    } else if (S_ISREG(node->st.st_mode)) {
        fd = tree_open(node, O_RDONLY);
        if (fd < 0)
            return fail(err, fd, "open '%s'", node->path);
        if (!owner->context)
            copy_capability(fd, e);
        archive_entry_set_size(e, node->st.st_size);
    } else if (S_ISCHR(node->st.st_mode) || S_ISBLK(node->st.st_mode)) {
        archive_entry_set_rdev(e, node->st.st_rdev);
    } else if (!S_ISFIFO(node->st.st_mode)) {
        return fail_plain(err, EINVAL, "'%s' can be in no layer", node->path);
    }
    r = put_header(l, e, err);
    return r < 0 || fd < 0 ? r : put_data(l, fd, node->st.st_size, node->path, err);
}

static int copy_children(struct layer *l, const struct tree *from, const struct tree_node *node,
                         const char *path, const struct layer_owner *owner,
                         const struct ignore *ignore, struct error *err)
{
    auto(strv) char **names = NULL;
    int r = tree_list(from, node->path, &names, err);
    for (size_t i = 0; !r && names[i]; i++) {
        autofree char *source = str_format("%s%s%s", node->path, *node->path ? "/" : "", names[i]);
        autofree char *to = str_format("%s%s%s", path, *path ? "/" : "", names[i]);
        auto(tree_node) struct tree_node child = {0};
        if (!source || !to)
            return fail(err, ENOMEM, "write the layer");
        if (ignore && !ignore->exceptions && ignore_matches(ignore, source))
            continue;
        r = tree_find(from, source, false, &child, err);
        if (r < 0)
            return r;
        if (ignore && ignore_matches(ignore, source) && !S_ISDIR(child.st.st_mode))
            continue;
        r = layer_copy(l, from, &child, to, owner, ignore, err);
    }
    return r;
}

int layer_copy(struct layer *l, const struct tree *from, const struct tree_node *node,
               const char *path, const struct layer_owner *owner, const struct ignore *ignore,
               struct error *err)
{
    if (!S_ISDIR(node->st.st_mode))
        return put_node(l, node, path, owner, err);
    /* an ignored directory is walked for the exceptions below it, whose parents then are made */
    bool skipped = ignore && *node->path && ignore_matches(ignore, node->path);
    if (*path && !skipped) {
        int r = check_name(path, err);
        if (!r)
            r = put_dir(l, path, &node->st, owner, err);
        if (r < 0)
            return r;
    }
    return copy_children(l, from, node, path, owner, ignore, err);
}

/* Tars */

struct unpacking {
    struct layer *layer;
    struct tar_input *tar;
    const char *under;
    const struct layer_owner *owner;
};

static int place_name(const struct unpacking *u, const char *name, char **ret, struct error *err)
{
    autofree char *clean = NULL;
    int r = tar_clean_path(name, &clean, err);
    if (r < 0)
        return r;
    *ret = str_format("%s%s%s", u->under, *u->under && *clean ? "/" : "", clean);
    return *ret ? check_name(*ret, err) : fail(err, ENOMEM, "write the layer");
}

static int put_entry(const struct unpacking *u, struct archive_entry *e, struct error *err)
{
    static const struct layer_owner parents = {0, 0, -1, false};
    autofree char *path = NULL, *link = NULL;
    int r = place_name(u, archive_entry_pathname(e), &path, err);
    if (r < 0 || !*path)
        return r;
    bool root = str_eq(path, u->under); /* the directory it is unpacked in stays as it is */
    const char *slash = strrchr(path, '/');
    autofree char *up = strndup(path, slash ? (size_t)(slash - path) : 0);
    if (!up)
        return fail(err, ENOMEM, "write the layer");
    r = layer_make_dirs(u->layer, root ? path : up, &parents, err);
    if (r < 0 || root)
        return r;
    if (archive_entry_filetype(e) == AE_IFDIR) {
        char *key = strdup(path);
        if (!key || map_add(&u->layer->dirs, key, key) < 0)
            free(key);
    }
    if (archive_entry_hardlink(e)) {
        r = place_name(u, archive_entry_hardlink(e), &link, err);
        if (r < 0)
            return fail_in(err, r, "hard link");
        archive_entry_set_hardlink(e, link);
    }
    archive_entry_set_pathname(e, path);
    if (u->owner->uid >= 0)
        archive_entry_set_uid(e, u->owner->uid);
    if (u->owner->gid >= 0)
        archive_entry_set_gid(e, u->owner->gid);
    if (u->owner->mode >= 0 && archive_entry_filetype(e) != AE_IFLNK)
        archive_entry_set_perm(e, (mode_t)u->owner->mode);
    archive_entry_sparse_clear(e); /* the data is written whole */
    r = put_header(u->layer, e, err);
    if (r < 0 || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
        return r;
    autofree char *chunk = malloc(COPY_CHUNK);
    for (la_ssize_t n; chunk && (n = archive_read_data(u->tar->tar, chunk, COPY_CHUNK));) {
        if (n < 0)
            return fail_plain(err, EINVAL, "read: %s", archive_error_string(u->tar->tar));
        if (archive_write_data(u->layer->tar, chunk, (size_t)n) < 0)
            return tar_fail(u->layer, err);
    }
    return chunk ? 0 : fail(err, ENOMEM, "write the layer");
}

int layer_unpack(struct layer *l, int fd, const char *path, const struct layer_owner *owner,
                 bool *ret_is_tar, struct error *err)
{
    auto(tar_input) struct tar_input t = {0};
    struct archive_entry *e;
    char shown[TAR_NAME_TEXT];
    *ret_is_tar = false;
    int r = tar_input_open(&t, fd, UNPACK_ENTRIES_MAX, NULL);
    if (!r)
        r = tar_input_next(&t, &e, NULL);
    if (r <= 0) /* libarchive reads anything that is empty as an archive without entries */
        return 0;
    *ret_is_tar = true;
    const struct unpacking u = {l, &t, path, owner};
    for (; r > 0; r = tar_input_next(&t, &e, err)) {
        r = put_entry(&u, e, err);
        if (r < 0)
            return fail_in(err, r, "archive entry '%s'",
                           tar_show_name(archive_entry_pathname(e), shown));
    }
    return r;
}
