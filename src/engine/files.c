/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

/* What every Linux container mounts something on, as its lowest layer: made once here and not in the
 * upper directory of each, where it is a dozen new inodes a container. */
static int make_mount_points(const char *dir, struct error *err)
{
    static const char *const files[] = {"hostname", "hosts", "resolv.conf"};
    static const char *const dirs[] = {"dev", "etc", "proc", "sys"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++) {
        autofree char *path = str_format("%s/%s", dir, dirs[i]);
        r = path ? dir_make(AT_FDCWD, path, 0755, err) : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
        autofree char *path = str_format("%s/etc/%s", dir, files[i]);
        autoclose int fd =
            path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
        if (fd < 0)
            r = fail(err, path ? errno : ENOMEM, "make '%s'", str_or_empty(path));
    }
    return r;
}

int files_init(struct engine *e, struct error *err)
{
    static const char *const below_data[] = {"containers", "empty", "mountpoints"};
    static const char *const below_exec[] = {"pods", "exec"};
    autofree char *execs = str_format("%s/exec", e->exec_root);
    int r = execs ? dir_remove(AT_FDCWD, execs, err) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(below_data); i++) {
        autofree char *path = str_format("%s/%s", e->data_root, below_data[i]);
        /* programs of all users are looked up through the lower directories */
        r = path ? dir_make(AT_FDCWD, path, 0711, err) : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(below_exec); i++) {
        autofree char *path = str_format("%s/%s", e->exec_root, below_exec[i]);
        r = path ? dir_make(AT_FDCWD, path, 0711, err) : -ENOMEM;
    }
    autofree char *points = str_format("%s/mountpoints", e->data_root);
    if (r == 0)
        r = points ? make_mount_points(points, err) : -ENOMEM;
    return r;
}

/* Pods */

char *files_etc_dir(struct engine *e, const struct pod_record *p)
{
    return p->handler->linux ? str_format("%s/pods/%s", e->exec_root, p->pod.id) : NULL;
}

static void put_list(struct buffer *b, const char *what, char *const *items, size_t count)
{
    if (!count)
        return;
    buffer_puts(b, what);
    for (size_t i = 0; i < count; i++)
        buffer_printf(b, " %s", items[i]);
    buffer_puts(b, "\n");
}

/* The pod's own servers, or the host's file as it is now. */
static int make_resolv(const char *path, const Runtime__V1__DNSConfig *dns, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    if (!dns || (!dns->n_servers && !dns->n_searches && !dns->n_options)) {
        if (file_read(AT_FDCWD, "/etc/resolv.conf", 1 << 20, &b, NULL) < 0)
            buffer_clear(&b);
    } else {
        put_list(&b, "search", dns->searches, dns->n_searches);
        for (size_t i = 0; i < dns->n_servers; i++)
            buffer_printf(&b, "nameserver %s\n", dns->servers[i]);
        put_list(&b, "options", dns->options, dns->n_options);
    }
    return file_replace(AT_FDCWD, path, b.data ? b.data : (const uint8_t *)"", b.len, 0644, false,
                        err);
}

static int make_hosts(const char *path, const char *hostname, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    /* a pod without a name of its own shares the host's network and names */
    if (str_empty(hostname)) {
        if (file_read(AT_FDCWD, "/etc/hosts", 1 << 20, &b, NULL) < 0)
            buffer_clear(&b);
    } else {
        buffer_printf(&b, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n",
                      hostname);
    }
    return file_replace(AT_FDCWD, path, b.data ? b.data : (const uint8_t *)"", b.len, 0644, false,
                        err);
}

static int make_hostname(const char *path, const char *hostname, struct error *err)
{
    char name[HOST_NAME_MAX + 1] = "";
    if (str_empty(hostname) && gethostname(name, sizeof name) == 0)
        hostname = name;
    autofree char *line = str_format("%s\n", hostname);
    return line ? file_replace(AT_FDCWD, path, line, strlen(line), 0644, false, err) : -ENOMEM;
}

int files_make_pod(struct engine *e, const struct pod_record *p,
                   const Runtime__V1__PodSandboxConfig *config, struct error *err)
{
    autofree char *dir = files_etc_dir(e, p);
    if (!dir)
        return 0;
    autofree char *hostname = str_format("%s/hostname", dir);
    autofree char *hosts = str_format("%s/hosts", dir);
    autofree char *resolv = str_format("%s/resolv.conf", dir);
    if (!hostname || !hosts || !resolv)
        return fail(err, ENOMEM, "make '%s'", dir);
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return fail(err, errno, "make '%s'", dir);
    int r = make_hostname(hostname, config->hostname, err);
    if (r == 0)
        r = make_hosts(hosts, config->hostname, err);
    if (r == 0)
        r = make_resolv(resolv, config->dns_config, err);
    return r;
}

void files_remove_pod(struct engine *e, const char *id)
{
    static const char *const files[] = {"hostname", "hosts", "resolv.conf"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof path, "%s/pods/%s/%s", e->exec_root, id, files[i]);
        if (unlink(path) < 0 && i == 0 && errno == ENOENT)
            break;
    }
    snprintf(path, sizeof path, "%s/pods/%s", e->exec_root, id);
    if (rmdir(path) < 0 && errno != ENOENT)
        diag_warning("remove '%s': %s", path, strerror(errno));
}

/* Containers */

static int make_writable(const char *dir, struct error *err)
{
    autofree char *upper = str_format("%s/upper", dir), *work = str_format("%s/work", dir);
    if (!upper || !work)
        return fail(err, ENOMEM, "make '%s'", dir);
    const char *all[] = {dir, upper, work};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        /* the upper directory's mode is the rootfs' */
        if (mkdir(all[i], i == 1 ? 0755 : 0711) < 0 && errno != EEXIST)
            return fail(err, errno, "make the container's directory '%s'", all[i]);
    return 0;
}

/* last: a layer below all others; where it is not always wanted, it stands in for an image without layers. */
static char *join_lower(char *const *dirs, const char *last, bool always)
{
    auto(buffer) struct buffer b = {0};
    buffer_puts(&b, "lowerdir=");
    for (size_t i = 0; dirs[i]; i++)
        buffer_printf(&b, "%s%s", i ? ":" : "", dirs[i]);
    if (!dirs[0] || always)
        buffer_printf(&b, "%s%s", dirs[0] ? ":" : "", last);
    return buffer_take_text(&b);
}

int files_rootfs(struct engine *e, const struct container_record *c, const struct image *image,
                 bool read_only, struct arena *arena, struct mount_request **ret, struct error *err)
{
    const struct handler *h = record_pod(c)->handler;
    auto(strv) char **dirs = NULL;
    int r = image_lower_dirs(e->images, image, &dirs, err);
    if (r < 0)
        return fail_in(err, r, "find the layers of image %s", c->container.image_ref);
    char *dir = arena_printf(arena, "%s/containers/%s", e->data_root, c->container.id);
    if (!read_only && h->linux && (r = make_writable(dir, err)) < 0)
        return r;
    const char *last =
        arena_printf(arena, "%s/%s", e->data_root, h->linux ? "mountpoints" : "empty");
    autofree char *lower = join_lower(dirs, last, h->linux);
    if (!lower)
        return fail(err, ENOMEM, "describe the rootfs");
    struct mount_request *m = arena_new(arena, struct mount_request);
    m->type = arena_strdup(arena, "overlay");
    m->source = arena_strdup(arena, "overlay");
    m->target = arena_strdup(arena, "");
    m->options = arena_array(arena, char *, 5);
    m->options[0] = arena_strdup(arena, lower);
    if (!read_only) {
        m->options[1] = arena_printf(arena, "upperdir=%s/upper", dir);
        m->options[2] = arena_printf(arena, "workdir=%s/work", dir);
        /* a container is started once: its end must not wait until the whole disk is synced */
        m->options[3] = arena_strdup(arena, "volatile");
    }
    *ret = m;
    return 0;
}

static int remove_dir(void *arg, struct error *err)
{
    return dir_remove(AT_FDCWD, arg, err);
}

void files_remove_container(struct engine *e, const char *id)
{
    autofree char *dir = str_format("%s/containers/%s", e->data_root, id);
    struct error err = {0};
    if (!dir || access(dir, F_OK) < 0)
        return;
    if (co_pool(remove_dir, dir, &err) < 0)
        diag_warning("%s", err.message);
}

static bool has_dotdot(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        while (*at == '/')
            at++;
        if (str_after(at, "..") && (at[2] == '/' || !at[2]))
            return true;
    }
    return false;
}

int files_log_path(const char *directory, const char *path, char **ret, struct error *err)
{
    *ret = NULL;
    if (str_empty(path) || str_empty(directory))
        return 0;
    if (*directory != '/')
        return fail_plain(err, EINVAL, "log_directory must be an absolute path, not '%s'",
                          directory);
    if (has_dotdot(path))
        return fail_plain(err, EINVAL, "log_path must stay below log_directory, '%s' does not",
                          path);
    *ret = str_format("%s/%s", directory, path);
    return *ret ? 0 : fail(err, ENOMEM, "join log_directory and log_path");
}

const char *files_log_address(const char *path, struct arena *arena)
{
    if (!path)
        return "";
    char *address = arena_alloc(arena, strlen("log+cri://") + strlen(path) * 3 + 1);
    char *to = stpcpy(address, "log+cri://");
    for (; *path; path++) {
        if (*path == '%' || *path == '?')
            to += sprintf(to, "%%%02X", (unsigned char)*path);
        else
            *to++ = *path;
    }
    return address;
}
