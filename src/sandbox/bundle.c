/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "loop/loop.h"

enum { CONFIG_MAX = 4 << 20, SANDBOX_FILE_MAX = 256 };

struct reading {
    const char *path;
    struct buffer config, sandbox;
};

static void reading_done(struct reading *r)
{
    buffer_done(&r->config);
    buffer_done(&r->sandbox);
}
CLEANUP_DONE(reading, struct reading);

static int read_files(void *arg, struct error *err)
{
    struct reading *in = arg;
    autoclose int dir = open(in->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(err, errno, "open bundle '%s'", in->path);
    int r = file_read(dir, "config.json", CONFIG_MAX, &in->config, err);
    if (r < 0)
        return fail_in(err, r, "bundle '%s'", in->path);
    file_read(dir, "sandbox", SANDBOX_FILE_MAX, &in->sandbox,
              NULL); /* containerd's; not there otherwise */
    return 0;
}

static const char *member(json_object *o, const char *parent, const char *key)
{
    json_object *in = NULL, *v = NULL;
    if (!json_object_object_get_ex(o, parent, &in) || !json_object_is_type(in, json_type_object) ||
        !json_object_object_get_ex(in, key, &v) || !json_object_is_type(v, json_type_string))
        return "";
    return json_object_get_string(v);
}

static void describe(json_object *root, const struct reading *in, struct arena *arena,
                     struct bundle *b)
{
    const char *id = member(root, "annotations", "io.kubernetes.cri.sandbox-id");
    const char *rootfs = member(root, "root", "path");
    b->sandbox_id = arena_strdup(arena, *id ? id : buffer_text(&in->sandbox));
    b->pause = str_eq(member(root, "annotations", "io.kubernetes.cri.container-type"), "sandbox");
    b->rootfs = *rootfs == '/' || !*rootfs ? arena_strdup(arena, rootfs)
                                           : arena_printf(arena, "%s/%s", in->path, rootfs);
}

int bundle_read(const char *path, struct arena *arena, struct bundle *ret, struct error *err)
{
    auto(reading) struct reading in = {.path = path};
    if (*path != '/')
        return fail_plain(err, EINVAL, "bundle '%.256s' is no absolute path", path);
    int r = co_pool(read_files, &in, err);
    if (r < 0)
        return r;
    json_object *root = json_tokener_parse(buffer_text(&in.config));
    if (!root || !json_object_is_type(root, json_type_object)) {
        json_object_put(root);
        return fail_plain(err, EINVAL, "bundle '%s': config.json is no JSON object", path);
    }
    *ret = (struct bundle){.spec_len = in.config.len};
    ret->spec = arena_copy(arena, in.config.data, in.config.len + 1);
    describe(root, &in, arena, ret);
    json_object_put(root);
    return 0;
}
