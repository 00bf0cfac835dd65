/* SPDX-License-Identifier: Apache-2.0 */
#include "image/extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "image/tar.h"

#define WHITEOUT       ".wh."
#define WHITEOUT_META  ".wh..wh."
#define OPAQUE         ".wh..wh..opq"
#define OPAQUE_XATTR   "trusted.overlay.opaque"
#define XATTR_SIZE_MAX 65536

struct dir_time {
    char *path;
    struct timespec mtime;
};

struct extraction {
    struct tar_input *tar;
    const struct extract_options *options;
    int root;
    char *parent_path; /* the directory of the last entry, kept open: archives are sorted */
    int parent;
    struct dir_time *dirs; /* set last, since what is put into a directory changes them */
    size_t dir_count, dir_size;
    uint64_t bytes;
};

static void extraction_done(struct extraction *x)
{
    for (size_t i = 0; i < x->dir_count; i++)
        free(x->dirs[i].path);
    free(x->dirs);
    free(x->parent_path);
    close_fd(&x->parent);
}
CLEANUP_DONE(extraction, struct extraction);

static void forget_parent(struct extraction *x)
{
    free(take_ptr(&x->parent_path));
    close_fd(&x->parent);
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int proc_path(int dir, const char *base, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "/proc/self/fd/%d/%s", dir, base);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

__attribute__((noinline)) static int make_opaque(int dir, const char *base)
{
    char path[PATH_MAX];
    int r = proc_path(dir, base, path);
    return r < 0 ? r : lsetxattr(path, OPAQUE_XATTR, "y", 1, 0) < 0 ? -errno : 0;
}

/* mkdir with the mode asked for, whatever the umask. */
static int make_dir(int dir, const char *base, mode_t mode)
{
    if (mkdirat(dir, base, mode) < 0)
        return -errno;
    return fchmodat(dir, base, mode, 0) < 0 ? -errno : 0;
}

/* A symlink on the way: inside the root it is followed, but not to where removing again would need
 * a path too deep. */
__attribute__((noinline)) static int open_through_links(int root, const char *path)
{
    int fd = path_open_in_root(root, path, O_PATH | O_DIRECTORY, 0);
    if (fd == -ENOENT)
        fd = path_make_in_root(root, path, 0755);
    if (fd < 0)
        return fd;
    char link[64], real[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof real);
    int depth = 0;
    for (ssize_t i = 0; i < n; i++)
        depth += real[i] == '/';
    if (n < 0 || n == sizeof real || depth > 300) {
        close(fd);
        return -ELOOP;
    }
    return fd;
}

/* The directory at a cleaned path, made where it is missing. O_PATH, or -errno. Recursive: what
 * needs large buffers is kept out of its frame. */
static int open_dir(struct extraction *x, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, x->root, *path ? path : ".", &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    if (errno == ELOOP)
        return open_through_links(x->root, path);
    if (errno != ENOENT && errno != ENOTDIR)
        return -errno;
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    autofree char *up = strndup(path, slash ? (size_t)(slash - path) : 0);
    if (!up)
        return -ENOMEM;
    autoclose int parent = open_dir(x, up);
    if (parent < 0)
        return parent;
    struct stat st = {0};
    bool hidden = fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(&st);
    if (hidden && unlinkat(parent, base, 0) < 0)
        return -errno;
    int r = make_dir(parent, base, 0755);
    if (!r && hidden)
        r = make_opaque(parent, base);
    if (r == -EEXIST) /* a symlink or a file */
        return S_ISLNK(st.st_mode) ? open_through_links(x->root, path) : -ENOTDIR;
    if (r < 0)
        return r;
    int made = openat(parent, base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return made < 0 ? -errno : made;
}

/* Opens the directory that an entry goes into; *ret_base points into path. */
static int open_parent(struct extraction *x, const char *path, const char **ret_base)
{
    const char *slash = strrchr(path, '/');
    *ret_base = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (x->parent >= 0 && strlen(x->parent_path) == n && strncmp(x->parent_path, path, n) == 0)
        return 0;
    forget_parent(x);
    x->parent_path = strndup(path, n);
    if (!x->parent_path)
        return -ENOMEM;
    x->parent = open_dir(x, x->parent_path);
    return x->parent < 0 ? x->parent : 0;
}

static int remember_dir(struct extraction *x, const char *path, struct timespec mtime)
{
    if (x->dir_count == x->dir_size) {
        size_t size = x->dir_size ? x->dir_size * 2 : 64;
        struct dir_time *dirs = realloc(x->dirs, size * sizeof *dirs);
        if (!dirs)
            return -ENOMEM;
        x->dirs = dirs;
        x->dir_size = size;
    }
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    x->dirs[x->dir_count++] = (struct dir_time){copy, mtime};
    return 0;
}

static void set_dir_times(struct extraction *x)
{
    for (size_t i = 0; i < x->dir_count; i++) {
        const struct dir_time *d = &x->dirs[i];
        struct timespec times[2] = {d->mtime, d->mtime};
        autoclose int fd =
            path_open_in_root(x->root, *d->path ? d->path : "/", O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0) /* a later entry may have put something else there */
            futimens(fd, times);
    }
}

static bool xattr_is_wanted(const char *name)
{
    return str_eq(name, "security.capability") ||
           (str_after(name, "user.") && !str_after(name, "user.overlay."));
}

static int set_xattrs(int dir, const char *base, struct archive_entry *e, struct error *err)
{
    const char *name;
    const void *value;
    size_t size;
    char path[PATH_MAX];
    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
        if (!name || !xattr_is_wanted(name) || size > XATTR_SIZE_MAX)
            continue;
        int r = proc_path(dir, base, path);
        if (!r && lsetxattr(path, name, value, size, 0) < 0)
            r = -errno;
        /* a file system without user.* (tmpfs), or a symlink, which can have none: as other
         * engines, go on */
        if (r < 0 && !((r == -ENOTSUP || r == -EPERM) && str_after(name, "user.")))
            return fail(err, r, "set extended attribute '%.100s'", name);
    }
    return 0;
}

/* What every entry has: owner, mode, extended attributes, time; in the order in which they do not
 * undo each other. */
static int set_metadata(struct extraction *x, const char *path, const char *base,
                        struct archive_entry *e, struct error *err)
{
    bool root = !*path;
    const char *name = root ? "." : base;
    mode_t type = archive_entry_filetype(e), mode = archive_entry_perm(e) & 07777;
    if (x->options->plain) {
        mode &= 0777;
    } else {
        int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
        if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
            return fail_plain(err, ERANGE, "its owner %lld:%lld is no user", (long long)uid,
                              (long long)gid);
        if (fchownat(x->parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(err, errno, "set its owner");
    }
    if (type != AE_IFLNK && fchmodat(x->parent, name, mode, 0) < 0)
        return fail(err, errno, "set its mode");
    if (!x->options->plain) {
        int r = set_xattrs(x->parent, name, e, err);
        if (r < 0)
            return r;
    }
    struct timespec mtime = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
    if (type == AE_IFDIR)
        return remember_dir(x, path, mtime) < 0 ? fail(err, ENOMEM, "unpack") : 0;
    struct timespec times[2] = {mtime, mtime};
    if (utimensat(x->parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(err, errno, "set its time");
    return 0;
}

static int put_whiteout(struct extraction *x, const char *hidden, struct error *err)
{
    if (!*hidden || str_eq(hidden, ".") || str_eq(hidden, ".."))
        return fail_plain(err, EINVAL, "it is a whiteout of nothing");
    struct stat st;
    int r = 0;
    if (fstatat(x->parent, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        /* a whiteout hides what lower layers have, not what its own layer has (image-spec layer.md)
         */
        if (S_ISDIR(st.st_mode))
            r = make_opaque(x->parent, hidden);
    } else if (mknodat(x->parent, hidden, S_IFCHR, makedev(0, 0)) < 0) {
        r = -errno;
    }
    return r < 0 ? fail(err, r, "make the whiteout") : 0;
}

static int put_file(struct extraction *x, const char *base, struct error *err)
{
    autoclose int fd =
        openat(x->parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(err, errno, "create the file");
    uint64_t size = 0;
    int r = tar_input_copy(x->tar, fd, NULL, &size, err);
    x->bytes += size;
    return r;
}

static int put_hard_link(struct extraction *x, const char *base, const char *target,
                         struct error *err)
{
    autofree char *clean = NULL;
    char shown[TAR_NAME_TEXT];
    int r = tar_clean_path(target, &clean, err);
    if (r < 0)
        return fail_in(err, r, "hard link to '%s'", tar_show_name(target, shown));
    char *slash = strrchr(clean, '/');
    if (slash)
        *slash = 0;
    autoclose int dir = path_open_in_root(x->root, slash ? clean : "/", O_PATH | O_DIRECTORY, 0);
    if (dir < 0 || linkat(dir, slash ? slash + 1 : clean, x->parent, base, 0) < 0)
        return fail(err, dir < 0 ? dir : errno, "hard link to '%s'", tar_show_name(target, shown));
    return 0;
}

/* Makes place for an entry: what an earlier one put there goes, but a directory stays a directory.
 * *ret_keep: the directory is there already. *ret_opaque: a whiteout was there. */
static int make_place(struct extraction *x, const char *base, bool dir, bool *ret_keep,
                      bool *ret_opaque, struct error *err)
{
    struct stat st;
    *ret_keep = *ret_opaque = false;
    if (fstatat(x->parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(err, errno, "look at what is there");
    *ret_keep = dir && S_ISDIR(st.st_mode);
    *ret_opaque = x->options->layer && is_whiteout(&st);
    return *ret_keep ? 0 : dir_remove(x->parent, base, err);
}

static int put_node(struct extraction *x, const char *base, struct archive_entry *e,
                    struct error *err)
{
    mode_t type = archive_entry_filetype(e);
    bool keep, opaque;
    int r =
        make_place(x, base, type == AE_IFDIR && !archive_entry_hardlink(e), &keep, &opaque, err);
    if (r < 0)
        return r;
    if (archive_entry_hardlink(e))
        return put_hard_link(x, base, archive_entry_hardlink(e), err);
    if (x->options->plain && (type == AE_IFCHR || type == AE_IFBLK))
        return fail_plain(err, EPERM, "it is a device, which a build's context cannot have");
    dev_t device =
        makedev((unsigned)archive_entry_rdevmajor(e), (unsigned)archive_entry_rdevminor(e));
    switch (type) {
    case AE_IFREG:
        return put_file(x, base, err);
    case AE_IFDIR:
        r = keep ? 0 : make_dir(x->parent, base, 0755);
        if (!r && opaque)
            r = make_opaque(x->parent, base);
        break;
    case AE_IFLNK:
        r = symlinkat(str_or_empty(archive_entry_symlink(e)), x->parent, base) < 0 ? -errno : 0;
        break;
    case AE_IFCHR:
    case AE_IFBLK:
        r = mknodat(x->parent, base, type | 0600, device) < 0 ? -errno : 0;
        break;
    case AE_IFIFO:
        r = mknodat(x->parent, base, S_IFIFO | 0600, 0) < 0 ? -errno : 0;
        break;
    default:
        return fail_plain(err, EINVAL, "its type %06o is unknown", (unsigned)type);
    }
    return r < 0 ? fail(err, r, "create it") : 0;
}

static int put_entry(struct extraction *x, struct archive_entry *e, struct error *err)
{
    autofree char *path = NULL;
    int r = tar_clean_path(archive_entry_pathname(e), &path, err);
    if (r < 0)
        return r;
    const char *base;
    r = open_parent(x, path, &base);
    if (r < 0)
        return fail(err, r, "open its directory");
    if (!*path) {
        if (archive_entry_filetype(e) != AE_IFDIR)
            return fail_plain(err, EINVAL, "it would replace the root");
        return set_metadata(x, path, base, e, err);
    }
    if (x->options->layer && str_after(base, WHITEOUT)) {
        if (str_eq(base, OPAQUE)) {
            r = make_opaque(x->parent, ".");
            return r < 0 ? fail(err, r, "make its directory opaque") : 0;
        }
        return str_after(base, WHITEOUT_META) ? 0 : put_whiteout(x, str_after(base, WHITEOUT), err);
    }
    r = put_node(x, base, e, err);
    if (!r && !archive_entry_hardlink(e))
        r = set_metadata(x, path, base, e, err);
    return r;
}

int tar_extract(struct tar_input *t, int root, const struct extract_options *options,
                uint64_t *ret_bytes, struct error *err)
{
    auto(extraction) struct extraction x = {
        .tar = t, .options = options, .root = root, .parent = -1};
    struct archive_entry *e;
    int r;
    while ((r = tar_input_next(t, &e, err)) > 0) {
        r = put_entry(&x, e, err);
        if (r < 0) {
            char shown[TAR_NAME_TEXT];
            return fail_in(err, r, "archive entry '%s'",
                           tar_show_name(archive_entry_pathname(e), shown));
        }
    }
    if (r < 0)
        return r;
    set_dir_times(&x);
    *ret_bytes = x.bytes;
    return 0;
}
