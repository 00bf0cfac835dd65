/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/warren/context.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "build/ignore.h"

enum { CHUNK = 128 * 1024, TEXT_MAX = 1 << 20, MAGIC = 512 };

struct context {
    int root; /* the directory; -1: standard input is sent as it is */
    struct ignore ignore;
    char *dockerfile;    /* its name in the tar */
    struct buffer extra; /* a Dockerfile from elsewhere, sent as `dockerfile` */
    bool has_extra;
    struct buffer head; /* what was read of standard input to tell what it is */
    struct archive *tar;
    int pipe[2];
    pthread_t thread;
    bool running;
    unsigned long long sent;
    struct error err; /* the thread's; read after it has ended */
};

/* The thread: from a directory to a tar */

static int tar_fail(struct context *c, struct error *err)
{
    int code = archive_errno(c->tar);
    return fail_plain(err, code > 0 ? code : EIO, "send the build's context: %s",
                      str_or_empty(archive_error_string(c->tar)));
}

static int put_data(struct context *c, int fd, int64_t size, const char *path, struct error *err)
{
    autofree char *chunk = malloc(CHUNK);
    for (int64_t left = size; chunk && left > 0;) {
        ssize_t n = read(fd, chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n <= 0)
            return fail(err, n < 0 ? errno : EIO, "read '%s'", path);
        if (archive_write_data(c->tar, chunk, (size_t)n) < 0)
            return tar_fail(c, err);
        left -= n;
    }
    return chunk ? 0 : fail(err, ENOMEM, "send the build's context");
}

static int put_header(struct context *c, struct archive_entry *e, struct error *err)
{
    int r = archive_write_header(c->tar, e);
    return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 0 : tar_fail(c, err);
}

static int put_node(struct context *c, int dir, const char *name, const char *path,
                    const struct stat *st, struct error *err)
{
    struct archive_entry *e = archive_entry_new();
    autoclose int fd = -1;
    char target[PATH_MAX];
    int r = e ? 0 : fail(err, ENOMEM, "send the build's context");
    if (!r) {
        archive_entry_set_pathname(e, path);
        archive_entry_set_mode(e, st->st_mode);
        archive_entry_set_mtime(e, st->st_mtim.tv_sec, 0);
    }
    if (!r && S_ISREG(st->st_mode)) {
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? fail(err, errno, "open '%s'", path) : 0;
        archive_entry_set_size(e, st->st_size);
    } else if (!r && S_ISLNK(st->st_mode)) {
        ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
        r = n < 0 ? fail(err, errno, "read '%s'", path) : 0;
        target[n < 0 ? 0 : n] = 0;
        archive_entry_set_symlink(e, target);
    }
    if (!r)
        r = put_header(c, e, err);
    archive_entry_free(e);
    return r < 0 || fd < 0 ? r : put_data(c, fd, st->st_size, path, err);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int put_dir(struct context *c, int dir, const char *below, struct error *err);

/* Both files are always sent, since the engine needs them. */
static bool is_left_out(const struct context *c, const char *path)
{
    return ignore_matches(&c->ignore, path) && !str_eq(path, ".dockerignore") &&
           !str_eq(path, c->dockerfile);
}

static int put_child(struct context *c, int dir, const char *name, const char *below,
                     struct error *err)
{
    autofree char *path = str_format("%s%s%s", below, *below ? "/" : "", name);
    struct stat st;
    if (!path)
        return fail(err, ENOMEM, "send the build's context");
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(err, errno, "look at '%s'", path);
    bool out = is_left_out(c, path);
    if (!S_ISDIR(st.st_mode))
        return out || S_ISSOCK(st.st_mode) ? 0 : put_node(c, dir, name, path, &st, err);
    /* below what is left out there may be exceptions, or the Dockerfile */
    if (out && !c->ignore.exceptions && !str_after(c->dockerfile, path))
        return 0;
    int r = out ? 0 : put_node(c, dir, name, path, &st, err);
    autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!r && fd < 0)
        r = fail(err, errno, "open '%s'", path);
    return r < 0 ? r : put_dir(c, fd, path, err);
}

static int put_dir(struct context *c, int dir, const char *below, struct error *err)
{
    struct dirent **entries;
    int n = scandirat(dir, ".", &entries, NULL, compare_names);
    if (n < 0)
        return fail(err, errno, "list '%s'", *below ? below : ".");
    int r = 0;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (!r && !str_eq(name, ".") && !str_eq(name, ".."))
            r = put_child(c, dir, name, below, err);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int put_extra(struct context *c, struct error *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        return fail(err, ENOMEM, "send the build's context");
    archive_entry_set_pathname(e, c->dockerfile);
    archive_entry_set_mode(e, S_IFREG | 0600);
    archive_entry_set_size(e, (la_int64_t)c->extra.len);
    int r = put_header(c, e, err);
    archive_entry_free(e);
    if (!r && c->extra.len && archive_write_data(c->tar, c->extra.data, c->extra.len) < 0)
        r = tar_fail(c, err);
    return r;
}

static int write_tar(struct context *c, struct error *err)
{
    c->tar = archive_write_new();
    if (!c->tar || archive_write_set_format_pax_restricted(c->tar) != ARCHIVE_OK ||
        archive_write_set_options(c->tar, "hdrcharset=BINARY") != ARCHIVE_OK ||
        archive_write_open_fd(c->tar, c->pipe[1]) != ARCHIVE_OK)
        return fail(err, ENOMEM, "send the build's context");
    int r = c->root >= 0 ? put_dir(c, c->root, "", err) : 0;
    if (!r && c->has_extra)
        r = put_extra(c, err);
    if (!r && archive_write_close(c->tar) != ARCHIVE_OK)
        r = tar_fail(c, err);
    return r;
}

/* Standard input is a tar already. */
static int pass_on(struct context *c, struct error *err)
{
    autofree char *chunk = malloc(CHUNK);
    int r = fd_write_all(c->pipe[1], c->head.data, c->head.len);
    for (ssize_t n; chunk && !r && (n = read(STDIN_FILENO, chunk, CHUNK)) != 0;)
        r = n < 0 ? -errno : fd_write_all(c->pipe[1], chunk, (size_t)n);
    return r < 0 ? fail(err, r, "send standard input") : 0;
}

static void *run(void *arg)
{
    struct context *c = arg;
    if (c->head.len)
        pass_on(c, &c->err);
    else
        write_tar(c, &c->err);
    archive_write_free(c->tar);
    close_fd(&c->pipe[1]);
    return NULL;
}

/* Preparing */

static void context_free(struct context *c)
{
    close_fd(&c->root);
    close_fd(&c->pipe[0]);
    close_fd(&c->pipe[1]);
    ignore_done(&c->ignore);
    free(c->dockerfile);
    buffer_done(&c->extra);
    buffer_done(&c->head);
    free(c);
}

static int read_stdin(struct buffer *out, size_t max, bool to_end, struct error *err)
{
    while (out->len < max) {
        if (buffer_reserve(out, 4096) < 0)
            return fail(err, ENOMEM, "read standard input");
        size_t room = max - out->len < 4096 ? max - out->len : 4096;
        ssize_t n = read(STDIN_FILENO, out->data + out->len, room);
        if (n < 0)
            return fail(err, errno, "read standard input");
        if (!n)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = 0;
    }
    return to_end ? fail_plain(err, EFBIG, "the Dockerfile is larger than %zu bytes", max) : 0;
}

static bool is_archive(const struct buffer *head)
{
    const uint8_t *d = head->data;
    return (head->len >= 262 && memcmp(d + 257, "ustar", 5) == 0) ||
           (head->len >= 6 && ((d[0] == 0x1f && d[1] == 0x8b) || memcmp(d, "BZh", 3) == 0 ||
                               memcmp(d,
                                      "\xfd"
                                      "7zXZ",
                                      5) == 0 ||
                               memcmp(d, "\x28\xb5\x2f\xfd", 4) == 0));
}

static int prepare_stdin(struct context *c, const char *dockerfile, struct error *err)
{
    int r = read_stdin(&c->head, MAGIC, false, err);
    if (r < 0)
        return r;
    c->dockerfile = strdup(dockerfile ? dockerfile : "Dockerfile");
    if (!c->dockerfile)
        return fail(err, ENOMEM, "read the build's context");
    if (is_archive(&c->head))
        return 0;
    c->extra = c->head;
    c->head = (struct buffer){0};
    c->has_extra = true;
    return read_stdin(&c->extra, TEXT_MAX, true, err);
}

/* A Dockerfile that is not in the context is sent along under a name that nobody has. */
static int send_along(struct context *c, const char *path, struct error *err)
{
    char id[ID_LEN + 1];
    id_new(id);
    c->has_extra = true;
    c->dockerfile = str_format(".dockerfile.%.20s", id);
    if (!c->dockerfile)
        return fail(err, ENOMEM, "read the Dockerfile");
    return path ? file_read(AT_FDCWD, path, TEXT_MAX, &c->extra, err)
                : read_stdin(&c->extra, TEXT_MAX, true, err);
}

static int find_dockerfile(struct context *c, const char *dir, const char *dockerfile,
                           struct error *err)
{
    if (dockerfile && str_eq(dockerfile, "-"))
        return send_along(c, NULL, err);
    autofree char *path = dockerfile ? strdup(dockerfile) : str_format("%s/Dockerfile", dir);
    autofree char *real = path ? realpath(path, NULL) : NULL;
    autofree char *root = realpath(dir, NULL);
    if (!real || !root)
        return fail(err, errno,
                    "unable to prepare context: unable to evaluate the Dockerfile's path '%s'",
                    str_or_empty(path));
    size_t n = strlen(root);
    const char *below = str_eq(root, "/") ? real : str_after(real, root);
    if (!below || (n > 1 && *below != '/'))
        return send_along(c, real, err);
    c->dockerfile = strdup(below + 1);
    return c->dockerfile ? 0 : fail(err, ENOMEM, "read the Dockerfile");
}

static int prepare_dir(struct context *c, const char *dir, const char *dockerfile,
                       struct error *err)
{
    auto(buffer) struct buffer text = {0};
    c->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->root < 0)
        return fail(err, errno, "unable to prepare context: path '%s'", dir);
    int r = find_dockerfile(c, dir, dockerfile, err);
    if (r < 0)
        return r;
    if (faccessat(c->root, ".dockerignore", F_OK, 0) == 0)
        r = file_read(c->root, ".dockerignore", TEXT_MAX, &text, err);
    if (!r && ignore_parse(buffer_text(&text), text.len, &c->ignore) < 0)
        r = fail(err, ENOMEM, "read .dockerignore");
    return r;
}

int context_open(const char *dir, const char *dockerfile, struct context **ret, struct error *err)
{
    struct context *c = calloc(1, sizeof *c);
    if (!c)
        return fail(err, ENOMEM, "read the build's context");
    c->root = c->pipe[0] = c->pipe[1] = -1;
    int r =
        str_eq(dir, "-") ? prepare_stdin(c, dockerfile, err) : prepare_dir(c, dir, dockerfile, err);
    if (!r && pipe2(c->pipe, O_CLOEXEC) < 0)
        r = fail(err, errno, "make a pipe");
    if (!r && pthread_create(&c->thread, NULL, run, c) != 0)
        r = fail(err, EAGAIN, "start a thread");
    if (r < 0) {
        context_free(c);
        return r;
    }
    c->running = true;
    *ret = c;
    return 0;
}

const char *context_dockerfile(const struct context *c)
{
    return c->dockerfile;
}

unsigned long long context_sent(const struct context *c)
{
    return c->sent;
}

ssize_t context_read(void *context, void *data, size_t size)
{
    struct context *c = context;
    ssize_t n;
    do
        n = read(c->pipe[0], data, size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        c->sent += (unsigned long long)n;
    if (n)
        return n;
    /* the end of the pipe is the end of the thread; whether of the tar, it says */
    pthread_join(c->thread, NULL);
    c->running = false;
    return c->err.code ? -1 : 0;
}

int context_close(struct context *c, struct error *err)
{
    bool cut = c->running;
    close_fd(&c->pipe[0]); /* a thread that writes gets EPIPE */
    if (c->running)
        pthread_join(c->thread, NULL);
    int r = c->err.code && !cut ? fail_with(err, &c->err) : 0;
    context_free(c);
    return r;
}
