/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/foreign_bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

enum { TEXT_MAX = 4 << 20 };

char *foreign_sandbox_dir(const char *bundles, const char *sandbox_id)
{
    return str_format("%s/%s", bundles, sandbox_id);
}

char *foreign_bundle_dir(const char *bundles, const char *sandbox_id, const char *id)
{
    return str_format("%s/%s/%s", bundles, sandbox_id, id);
}

bool foreign_is_log(const char *address)
{
    return str_after(address, "log+") != NULL;
}

char *foreign_stdio(const char *dir, const char *address, const char *fifo)
{
    return foreign_is_log(address) ? str_format("%s/%s", dir, fifo) : strdup(address);
}

/* Rootfs */

static char *join_options(char *const *options)
{
    auto(buffer) struct buffer b = {0};
    for (; options && *options; options++)
        if (buffer_printf(&b, "%s%s", b.len ? "," : "", *options) < 0)
            return NULL;
    return buffer_take_text(&b);
}

static int mount_one(const struct mount_request *m, const char *target, struct error *err)
{
    autofree char *options = join_options(m->options);
    bool bind = str_eq(m->type, "bind");
    if (!options)
        return fail(err, ENOMEM, "mount the rootfs");
    int r = bind ? mount(m->source, target, NULL, MS_BIND | MS_REC, NULL)
                 : mount(m->source, target, m->type, 0, options);
    if (r < 0)
        return fail(err, errno, "mount the rootfs (%s, %zu bytes of options) at '%s'", m->type,
                    strlen(options), target);
    return 0;
}

static int mount_rootfs(const char *dir, const struct peer_container *c, struct error *err)
{
    autofree char *target = str_format("%s/rootfs", dir);
    int r = target ? dir_make(AT_FDCWD, target, 0711, err) : fail(err, ENOMEM, "name the rootfs");
    for (size_t i = 0; r == 0 && i < c->rootfs_count; i++)
        r = mount_one(&c->rootfs[i], target, err);
    return r;
}

/* Files */

static int write_text(const char *dir, const char *name, const char *text, struct error *err)
{
    autofree char *path = str_format("%s/%s", dir, name);
    if (!path)
        return fail(err, ENOMEM, "write '%s'", name);
    return file_replace(AT_FDCWD, path, text, strlen(text), 0600, false, err);
}

static int write_config(const char *dir, const struct peer_container *c, struct error *err)
{
    autofree char *text = strndup(c->spec, c->spec_len);
    json_object *spec = text ? json_tokener_parse(text) : NULL;
    json_object *root = NULL;
    if (!spec || !json_object_is_type(spec, json_type_object)) {
        json_object_put(spec);
        return fail_plain(err, EINVAL, "the spec of container '%s' is no JSON object", c->id);
    }
    if (c->rootfs_count) {
        if (!json_object_object_get_ex(spec, "root", &root)) {
            root = json_object_new_object();
            json_object_object_add(spec, "root", root);
        }
        json_object_object_add(root, "path", json_object_new_string("rootfs"));
    }
    int r = write_text(dir, "config.json",
                       json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN), err);
    json_object_put(spec);
    return r;
}

static int make_fifo(const char *dir, const char *address, const char *name, struct error *err)
{
    autofree char *path = foreign_stdio(dir, address, name);
    if (!path)
        return fail(err, ENOMEM, "make a FIFO");
    if (!foreign_is_log(address) || mkfifo(path, 0600) == 0)
        return 0;
    return fail(err, errno, "make FIFO '%s'", path);
}

int foreign_bundle_make(const char *dir, const struct peer_container *c, struct error *err)
{
    struct stat st;
    const char *log = foreign_is_log(c->stdout_) ? c->stdout_ : c->stderr_;
    if (lstat(dir, &st) == 0)
        return fail_plain(err, EEXIST, "container '%s' exists already", c->id);
    int r = dir_make(AT_FDCWD, dir, 0711, err);
    if (r == 0)
        r = write_config(dir, c, err);
    if (r == 0 && foreign_is_log(log))
        r = write_text(dir, "log", log, err);
    if (r == 0)
        r = make_fifo(dir, c->stdout_, "stdout", err);
    if (r == 0 && !c->terminal)
        r = make_fifo(dir, c->stderr_, "stderr", err);
    if (r == 0)
        r = mount_rootfs(dir, c, err);
    if (r < 0)
        foreign_bundle_remove(dir, NULL);
    return r;
}

int foreign_bundle_remove(const char *dir, struct error *err)
{
    autofree char *rootfs = str_format("%s/rootfs", dir);
    if (!rootfs)
        return fail(err, ENOMEM, "remove bundle '%s'", dir);
    /* several mounts may lie on each other; what is no mount point is -EINVAL */
    for (int i = 0; i < 64 && umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
        ;
    return dir_remove(AT_FDCWD, dir, err);
}

int foreign_sandbox_dir_remove(const char *dir, struct error *err)
{
    auto(strv) char **names = NULL;
    int r = foreign_list(dir, &names, err);
    for (char **name = names; r == 0 && *name; name++) {
        autofree char *bundle = str_format("%s/%s", dir, *name);
        r = bundle ? foreign_bundle_remove(bundle, err) : fail(err, ENOMEM, "remove '%s'", dir);
    }
    return r < 0 ? r : dir_remove(AT_FDCWD, dir, err);
}

int foreign_list(const char *dir, char ***ret, struct error *err)
{
    auto(strv) char **names = calloc(1, sizeof *names);
    DIR *d = opendir(dir);
    int r = 0;
    if (!names)
        r = fail(err, ENOMEM, "list '%s'", dir);
    if (!d && errno != ENOENT)
        r = fail(err, errno, "list '%s'", dir);
    for (struct dirent *e; r == 0 && d && (e = readdir(d));)
        if (*e->d_name != '.' && e->d_type == DT_DIR)
            r = strv_add(&names, e->d_name);
    if (d)
        closedir(d);
    if (r == 0)
        *ret = take_ptr(&names);
    return r;
}

int foreign_read(const char *dir, const char *name, char **ret, struct error *err)
{
    auto(buffer) struct buffer b = {0};
    autofree char *path = str_format("%s/%s", dir, name);
    int r = path ? file_read(AT_FDCWD, path, TEXT_MAX, &b, err) : -ENOMEM;
    if (r < 0 && r != -ENOENT)
        return r;
    *ret = buffer_take_text(&b);
    return *ret ? 0 : fail(err, ENOMEM, "read '%s/%s'", dir, name);
}
