/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/table.h"
#include "wasm/files/vfs.h"
#include "wasm/wire_files.h"

/* Directories of the tree, as a container's CREATE has them. */
static char **preopens_of(const struct vfs *v)
{
    char **list = calloc(v->count + 1ul, sizeof *list);
    size_t n = 0;
    for (unsigned i = 0; list && i < v->count; i++)
        if (!v->mounts[i].file)
            list[n++] = v->mounts[i].destination;
    return list;
}

/* The regular file at path, or -errno. */
static int open_module(struct vfs *v, const struct wire_files_exec *f)
{
    auto(vfs_node) struct vfs_node n = {0};
    autofree char *path =
        str_format("%s/%s", *f->path == '/' ? "." : f->cwd + (*f->cwd == '/'), f->path);
    int r = path ? vfs_lookup(v, "", path + strspn(path, "/"), true, &n) : -ENOMEM;
    if (!r && n.exists && !S_ISREG(n.st.st_mode))
        r = S_ISDIR(n.st.st_mode) ? -EISDIR : -EINVAL;
    return r < 0 ? r : vfs_open(v, &n, O_RDONLY, 0);
}

static int answer(struct buffer *out, uint32_t tag, uint64_t number, struct vfs *tree, int module)
{
    autofree char **preopens = preopens_of(tree);
    if (!preopens)
        return -ENOMEM;
    struct wire_writer w = wire_begin(out, WIRE_REPLY, tag);
    wire_put_number(&w, 0);
    wire_put_text(&w, "");
    wire_put_number(&w, (int64_t)number);
    wire_put_list(&w, preopens);
    wire_put_number(&w, module < 0 ? module : 1);
    return wire_end(&w);
}

/* Of a container that the caller holds. */
static int add(struct files_container *c, const struct wire_files_exec *f, uint32_t tag,
               struct buffer *out, int *ret_fd, struct error *err)
{
    struct vfs *tree;
    uint64_t number;
    const struct wire_files streams = {.in = f->in, .out = f->out, .err = f->err};
    int r = table_add(&streams, &number, err);
    if (r < 0)
        return r;
    r = table_tree(c, &tree, err);
    if (!r) {
        int module = open_module(tree, f);
        r = answer(out, tag, number, tree, module);
        table_tree_done(c);
        if (r < 0)
            fail(err, r, "answer");
        if (r < 0 && module >= 0)
            close(module);
        else if (module >= 0)
            *ret_fd = module;
    }
    if (r < 0)
        table_remove(number);
    return r;
}

void files_exec(struct wire_reader *r, struct buffer *out, int *ret_fd)
{
    struct error err = {0};
    struct wire_files_exec f;
    int code = wire_get_files_exec(r, &f) < 0 ? fail_plain(&err, EPROTO, "a malformed request") : 0;
    struct files_container *c = code ? NULL : table_hold(f.of);
    *ret_fd = -1;
    if (!code)
        code = c ? add(c, &f, r->tag, out, ret_fd, &err)
                 : fail_plain(&err, ENOENT, "the files process has no such container");
    if (c)
        table_release(c);
    if (!code)
        return;
    struct wire_writer w = wire_begin(out, WIRE_REPLY, r->tag);
    wire_put_number(&w, code);
    wire_put_text(&w, err.message);
    wire_end(&w);
}
