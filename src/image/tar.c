/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum { TAR_BLOCK = 64 * 1024, PATH_DEPTH_MAX = 256 };
#define ENTRY_SIZE_MAX (INT64_C(1) << 40)

/* libarchive's own texts for what users meet. */
static const char *archive_says(struct archive *a)
{
    const char *text = archive_error_string(a);
    if (!text)
        return "it cannot be read";
    return str_eq(text, "Unrecognized archive format") ? "it is not a tar archive" : text;
}

static la_ssize_t give(struct archive *a, void *arg, const void **ret)
{
    struct tar_input *t = arg;
    size_t size = 0;
    la_int64_t offset = 0;
    int r = archive_read_data_block(t->filter, ret, &size, &offset);
    if (r == ARCHIVE_EOF) {
        t->ended = true;
        return 0;
    }
    if (r != ARCHIVE_OK) {
        t->broken = archive_says(t->filter);
        archive_set_error(a, EIO, "%s", t->broken);
        return -1;
    }
    digester_update(&t->digest, *ret, size);
    return (la_ssize_t)size;
}

int tar_input_open(struct tar_input *t, int fd, uint64_t entries_max, struct error *err)
{
    *t = (struct tar_input){.fd = fd, .entries_max = entries_max};
    t->filter = archive_read_new();
    t->tar = archive_read_new();
    if (!t->filter || !t->tar || digester_init(&t->digest) < 0) {
        tar_input_done(t);
        return fail(err, ENOMEM, "read an archive");
    }
    archive_read_support_filter_gzip(t->filter);
    archive_read_support_filter_zstd(t->filter);
    archive_read_support_filter_xz(t->filter);
    archive_read_support_filter_bzip2(t->filter);
    archive_read_support_format_raw(t->filter);
    archive_read_support_format_empty(t->filter);
    archive_read_support_format_tar(t->tar);
    archive_read_support_format_empty(t->tar);
    struct archive_entry *whole;
    int r = archive_read_open_fd(t->filter, fd, TAR_BLOCK);
    if (r == ARCHIVE_OK)
        r = archive_read_next_header(t->filter, &whole);
    if (r != ARCHIVE_OK && r != ARCHIVE_EOF) {
        fail_plain(err, EINVAL, "read the archive: %s", archive_says(t->filter));
        tar_input_done(t);
        return -EINVAL;
    }
    if (archive_read_open(t->tar, t, NULL, give, NULL) != ARCHIVE_OK) {
        fail_plain(err, EINVAL, "read the archive: %s", archive_says(t->tar));
        tar_input_done(t);
        return -EINVAL;
    }
    return 0;
}

void tar_input_done(struct tar_input *t)
{
    archive_read_free(t->tar);
    archive_read_free(t->filter);
    digester_done(&t->digest);
    t->tar = t->filter = NULL;
}

int tar_input_next(struct tar_input *t, struct archive_entry **ret, struct error *err)
{
    if (t->cut)
        return 0;
    /* ARCHIVE_WARN is what a name that is not ASCII gets in the C locale; the name itself is whole
     */
    int r = archive_read_next_header(t->tar, ret);
    if (r == ARCHIVE_EOF)
        return 0;
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
        return fail_plain(err, EINVAL, "read the archive after %llu entries: %s",
                          (unsigned long long)t->entries, archive_says(t->tar));
    if (++t->entries > t->entries_max)
        return fail_plain(err, E2BIG, "the archive has more than %llu entries",
                          (unsigned long long)t->entries_max);
    char shown[TAR_NAME_TEXT];
    if (!archive_entry_pathname(*ret))
        return fail_plain(err, EINVAL, "archive entry %llu has no name",
                          (unsigned long long)t->entries);
    if (archive_entry_size(*ret) > ENTRY_SIZE_MAX || archive_entry_size(*ret) < 0)
        return fail_plain(err, EFBIG, "archive entry '%s' says it is larger than 1 TiB",
                          tar_show_name(archive_entry_pathname(*ret), shown));
    t->expected = (uint64_t)archive_entry_size(*ret);
    return 1;
}

static int write_at(int fd, const char *data, size_t len, off_t offset)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, data + done, len - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

int tar_input_copy(struct tar_input *t, int fd, struct digester *digest, uint64_t *ret_size,
                   struct error *err)
{
    uint64_t size = 0;
    for (;;) {
        const void *data;
        size_t len;
        la_int64_t offset;
        int r = archive_read_data_block(t->tar, &data, &len, &offset);
        if (r == ARCHIVE_EOF) {
            /* the last block of a sparse file is empty and says where the file ends */
            if ((uint64_t)offset > size)
                size = (uint64_t)offset;
            break;
        }
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
            /* docker build -f ends its context so, where the Dockerfile is not in it */
            t->cut = t->ended && !t->broken && size == t->expected;
            if (t->cut)
                break;
            return fail_plain(err, EINVAL, "read: %s", archive_says(t->tar));
        }
        if (digest && (uint64_t)offset != size)
            return fail_plain(err, EINVAL, "it is sparse, which no image's file is");
        r = write_at(fd, data, len, offset);
        if (r < 0)
            return fail(err, r, "write");
        if (digest)
            digester_update(digest, data, len);
        size = (uint64_t)offset + len;
    }
    if (ftruncate(fd, (off_t)size) < 0)
        return fail(err, errno, "write");
    *ret_size = size;
    return 0;
}

int tar_input_finish(struct tar_input *t, char digest[DIGEST_TEXT], struct error *err)
{
    const void *data;
    la_ssize_t n;
    while ((n = give(t->tar, t, &data)) > 0)
        ;
    if (n < 0)
        return fail_plain(err, EINVAL, "read the end of the archive: %s", t->broken);
    digester_text(&t->digest, digest);
    /* what a pipe still brings behind a compressed end is taken, so that its writer is not left waiting */
    char rest[4096];
    for (ssize_t left; (left = read(t->fd, rest, sizeof rest)) > 0 || (left < 0 && errno == EINTR);)
        ;
    return 0;
}

int tar_clean_path(const char *name, char **ret, struct error *err)
{
    if (strlen(name) >= PATH_MAX)
        return fail_plain(err, ENAMETOOLONG, "its name is longer than %d bytes", PATH_MAX - 1);
    autofree char *clean = malloc(strlen(name) + 1);
    if (!clean)
        return fail(err, ENOMEM, "read an archive");
    char *end = clean;
    int depth = 0;
    for (const char *p = name; *(p += strspn(p, "/"));) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            if (!depth--)
                return fail_plain(err, EINVAL, "it leads out of the archive's root");
            while (end > clean && *--end != '/')
                ;
        } else if (n != 1 || p[0] != '.') {
            if (++depth > PATH_DEPTH_MAX)
                return fail_plain(err, EINVAL, "it is deeper than %d directories", PATH_DEPTH_MAX);
            if (end > clean)
                *end++ = '/';
            memcpy(end, p, n);
            end += n;
        }
        p += n;
    }
    *end = 0;
    *ret = take_ptr(&clean);
    return 0;
}

const char *tar_show_name(const char *name, char text[TAR_NAME_TEXT])
{
    size_t n = 0;
    for (; name[n] && n < TAR_NAME_TEXT - 1; n++)
        text[n] = name[n] >= ' ' && name[n] < 127 ? name[n] : '?';
    text[n] = 0;
    return text;
}
