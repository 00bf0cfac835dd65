/* SPDX-License-Identifier: Apache-2.0 */
#include "image_pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"

static la_ssize_t collect(struct archive *a, void *arg, const void *data, size_t len)
{
    (void)a;
    return buffer_append(arg, data, len) < 0 ? -1 : (la_ssize_t)len;
}

void pack_open(struct pack *p, const char *filter)
{
    *p = (struct pack){.tar = archive_write_new()};
    archive_write_set_format_pax(p->tar);
    archive_write_set_options(p->tar, "hdrcharset=BINARY");
    if (filter && str_eq(filter, "gzip"))
        archive_write_add_filter_gzip(p->tar);
    if (filter && str_eq(filter, "zstd"))
        archive_write_add_filter_zstd(p->tar);
    archive_write_set_bytes_in_last_block(p->tar, 1);
    if (archive_write_open(p->tar, &p->out, NULL, collect, NULL) != ARCHIVE_OK)
        abort();
}

static void put(struct pack *p, struct archive_entry *e, const void *data, size_t len)
{
    if (archive_write_header(p->tar, e) != ARCHIVE_OK)
        abort();
    if (len && archive_write_data(p->tar, data, len) < 0)
        abort();
    archive_entry_free(e);
}

void pack_file(struct pack *p, const char *name, const void *data, size_t len)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, S_IFREG | 0644);
    archive_entry_set_size(e, (la_int64_t)len);
    archive_entry_set_mtime(e, 1000000000, 0);
    put(p, e, data, len);
}

void pack_text(struct pack *p, const char *name, const char *text)
{
    pack_file(p, name, text, strlen(text));
}

void pack_node(struct pack *p, const char *name, mode_t mode, const char *link, unsigned major,
               unsigned minor)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, mode & S_IFMT ? mode : S_IFREG | mode);
    archive_entry_set_size(e, 0);
    archive_entry_set_mtime(e, 1000000000, 0);
    archive_entry_set_rdevmajor(e, major);
    archive_entry_set_rdevminor(e, minor);
    if (link && S_ISLNK(mode))
        archive_entry_set_symlink(e, link);
    else if (link)
        archive_entry_set_hardlink(e, link);
    put(p, e, NULL, 0);
}

void pack_xattr(struct pack *p, const char *name, const char *xattr, const char *value)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, S_IFREG | 0755);
    archive_entry_set_size(e, 0);
    archive_entry_xattr_add_entry(e, xattr, value, strlen(value));
    put(p, e, NULL, 0);
}

void pack_close(struct pack *p)
{
    if (p->tar && archive_write_close(p->tar) != ARCHIVE_OK)
        abort();
    archive_write_free(p->tar);
    p->tar = NULL;
}

void pack_done(struct pack *p)
{
    archive_write_free(p->tar);
    p->tar = NULL;
    buffer_done(&p->out);
}

int pack_memory(const void *data, size_t len)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || fd_write_all(fd, data, len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    return fd;
}

static void compress_layer(const struct pack *layer, const char *filter, struct buffer *out)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    archive_write_set_format_raw(a);
    if (filter && str_eq(filter, "gzip"))
        archive_write_add_filter_gzip(a);
    if (filter && str_eq(filter, "zstd"))
        archive_write_add_filter_zstd(a);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_entry_set_mode(e, S_IFREG);
    archive_write_open(a, out, NULL, collect, NULL);
    archive_write_header(a, e);
    archive_write_data(a, layer->out.data, layer->out.len);
    archive_entry_free(e);
    archive_write_close(a);
    archive_write_free(a);
}

static void write_config(struct buffer *config, const struct pack *layers, size_t count)
{
    buffer_puts(
        config,
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2024-02-03T04:05:06.7Z\","
        "\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"sh\"],\"Labels\":{\"k\":\"v\"}},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < count; i++) {
        char digest[DIGEST_TEXT];
        digest_of(layers[i].out.data, layers[i].out.len, digest);
        buffer_printf(config, "%s\"%s\"", i ? "," : "", digest);
    }
    buffer_puts(config, "]}}");
}

void pack_docker(struct pack *p, const char *tag, const struct pack *layers, size_t count,
                 const char *layer_filter, const char *filter)
{
    auto(buffer) struct buffer config = {0};
    auto(buffer) struct buffer manifest = {0};
    char digest[DIGEST_TEXT];
    pack_open(p, filter);
    buffer_puts(&manifest, "[{");
    if (tag)
        buffer_printf(&manifest, "\"RepoTags\":[\"%s\"],", tag);
    buffer_puts(&manifest, "\"Layers\":[");
    for (size_t i = 0; i < count; i++) {
        auto(buffer) struct buffer layer = {0};
        autofree char *name = str_format("%zu/layer.tar", i);
        compress_layer(&layers[i], layer_filter, &layer);
        pack_file(p, name, layer.data, layer.len);
        buffer_printf(&manifest, "%s\"%s\"", i ? "," : "", name);
    }
    write_config(&config, layers, count);
    digest_of(config.data, config.len, digest);
    autofree char *name = str_format("%s.json", digest + 7);
    pack_file(p, name, config.data, config.len);
    buffer_printf(&manifest, "],\"Config\":\"%s\"}]", name);
    pack_file(p, "manifest.json", manifest.data, manifest.len);
    pack_close(p);
}

static void pack_blob(struct pack *p, const struct buffer *b, char digest[DIGEST_TEXT])
{
    digest_of(b->data, b->len, digest);
    autofree char *name = str_format("blobs/sha256/%s", digest + 7);
    pack_file(p, name, b->data, b->len);
}

void pack_oci(struct pack *p, const char *name, const struct pack *layer, const char *platform,
              bool nested)
{
    char config_digest[DIGEST_TEXT], layer_digest[DIGEST_TEXT], digest[DIGEST_TEXT];
    auto(buffer) struct buffer config = {0};
    auto(buffer) struct buffer text = {0};
    autofree char *os = strndup(platform, strcspn(platform, "/"));
    pack_open(p, NULL);
    write_config(&config, layer, 1);
    pack_blob(p, &config, config_digest);
    pack_blob(p, &layer->out, layer_digest);
    buffer_printf(&text,
                  "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
                  "vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{"
                  "\"mediaType\":\"application/"
                  "vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
                  config_digest, config.len, layer_digest, layer->out.len);
    pack_blob(p, &text, digest);
    autofree char *entry =
        str_format("{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":"
                   "\"%s\",\"size\":%zu,\"platform\":{\"os\":\"%s\",\"architecture\":\"%s\"}}",
                   digest, text.len, os, strchr(platform, '/') + 1);
    if (nested) {
        buffer_clear(&text);
        buffer_printf(&text, "{\"schemaVersion\":2,\"manifests\":[%s]}", entry);
        pack_blob(p, &text, digest);
        free(entry);
        entry = str_format("{\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"io.containerd.image."
                           "name\":\"%s\"}}",
                           digest, text.len, name);
    }
    autofree char *index = str_format("{\"schemaVersion\":2,\"manifests\":[%s]}", entry);
    pack_text(p, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    pack_text(p, "index.json", index);
    pack_close(p);
}

void test_store_new(struct test_store *t)
{
    *t = (struct test_store){.dir = "/tmp/warren-image.XXXXXX"};
    if (!mkdtemp(t->dir))
        abort();
    test_store_reopen(t);
}

void test_store_reopen(struct test_store *t)
{
    struct error err = {0};
    image_store_free(t->store);
    t->store = NULL;
    if (image_store_open(&t->store, t->dir, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
}

void test_store_free(struct test_store *t)
{
    image_store_free(t->store);
    dir_remove(AT_FDCWD, t->dir, NULL);
}

int test_store_count(const struct test_store *t, const char *below)
{
    autofree char *path = str_format("%s/%s", t->dir, below);
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += !str_eq(e->d_name, ".") && !str_eq(e->d_name, "..");
    if (d)
        closedir(d);
    return n;
}
