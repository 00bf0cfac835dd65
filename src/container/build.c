/* SPDX-License-Identifier: Apache-2.0 */
#include "container/build.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "linux/cgroup.h"

void builder_done(struct builder *b)
{
    buffer_done(&b->body);
    arena_done(&b->arena);
}

void builder_warn(struct builder *b, const char *format, ...)
{
    if (!b->warnings)
        return;
    va_list args;
    va_start(args, format);
    buffer_vprintf(b->warnings, format, args);
    va_end(args);
    buffer_puts(b->warnings, "\n");
}

static int align(struct builder *b)
{
    static const char zeros[8];
    return buffer_append(&b->body, zeros, -b->body.len & 7);
}

int builder_string(struct builder *b, const char *s, recipe_string *ret)
{
    *ret = 0;
    if (!s)
        return 0;
    size_t at = b->body.len;
    int e = buffer_append(&b->body, s, strlen(s) + 1);
    if (!e)
        *ret = (recipe_string)at;
    return e;
}

int builder_items(struct builder *b, const void *items, size_t count, size_t size,
                  struct recipe_list *ret)
{
    *ret = (struct recipe_list){0};
    if (!count)
        return 0;
    int e = align(b);
    size_t at = b->body.len;
    if (!e)
        e = buffer_append(&b->body, items, count * size);
    if (!e)
        *ret = (struct recipe_list){(uint32_t)at, (uint32_t)count};
    return e;
}

int builder_strings(struct builder *b, char *const *v, struct recipe_list *ret)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    recipe_string *offsets = arena_array(&b->arena, recipe_string, n);
    int e = 0;
    for (size_t i = 0; !e && i < n; i++)
        e = builder_string(b, v[i], &offsets[i]);
    return e ? e : builder_items(b, offsets, n, sizeof *offsets, ret);
}

int64_t name_find(const struct name_value *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(table[i].name, name))
            return table[i].value;
    return -1;
}

static int begin(struct builder *b, struct error *err)
{
    /* its first byte is the struct's, so that no string has offset 0 */
    if (buffer_append(&b->body, &b->recipe, sizeof b->recipe) < 0)
        return fail(err, ENOMEM, "build a recipe");
    b->recipe.magic = RECIPE_MAGIC;
    b->recipe.version = RECIPE_VERSION;
    if (b->in->die_with_parent)
        b->recipe.flags |= RECIPE_DIE_WITH_PARENT;
    return 0;
}

static int build_cgroup(struct builder *b, struct error *err)
{
    const struct cgroup *g = b->in->cgroup;
    if (!g)
        return 0;
    char **paths;
    int e = cgroup_join_paths(g, &b->arena, &paths, err);
    if (e < 0)
        return e;
    if (cgroup_host_version(g->host) == 2)
        b->recipe.flags |= RECIPE_CGROUP2;
    e = builder_strings(b, paths, &b->recipe.join);
    return e < 0 ? fail(err, e, "build a recipe") : 0;
}

static int finish(struct builder *b, struct buffer *out, struct error *err)
{
    int e = buffer_append(&b->body, "", 1);
    if (e)
        return fail(err, e, "build a recipe");
    if (b->body.len > RECIPE_MAX)
        return fail_plain(err, E2BIG,
                          "the container's recipe is of %zu bytes: at most %d are allowed",
                          b->body.len, RECIPE_MAX);
    b->recipe.size = (uint32_t)b->body.len;
    memcpy(b->body.data, &b->recipe, sizeof b->recipe);
    e = buffer_append(out, b->body.data, b->body.len);
    return e ? fail(err, e, "build a recipe") : 0;
}

int recipe_build(const struct recipe_input *in, struct buffer *out, struct buffer *warnings,
                 struct error *err)
{
    auto(builder) struct builder b = {.in = in, .warnings = warnings};
    const struct oci_spec *spec = in->spec;
    if (!spec->process)
        return fail_plain(err, EINVAL, "process: a container needs one");
    int e = begin(&b, err);
    if (!e)
        e = build_linux(&b, err);
    if (!e)
        e = build_process(&b, spec->process, err);
    if (!e)
        e = build_rootfs(&b, err);
    if (!e)
        e = build_cgroup(&b, err);
    if (!e)
        e = build_mounts(&b, err);
    if (!e)
        e = build_seccomp(&b, spec, err);
    return e ? e : finish(&b, out, err);
}

int recipe_build_exec(const struct oci_process *process, const struct recipe_input *in,
                      struct buffer *out, struct buffer *warnings, struct error *err)
{
    auto(builder) struct builder b = {.in = in, .warnings = warnings};
    struct oci_process p = *process;
    if (!p.capabilities && in->spec->process)
        p.capabilities = in->spec->process->capabilities;
    int e = begin(&b, err);
    b.recipe.flags |= RECIPE_EXEC;
    if (!e)
        e = build_process(&b, &p, err);
    if (!e)
        e = build_cgroup(&b, err);
    if (!e)
        e = build_seccomp(&b, in->spec, err);
    return e ? e : finish(&b, out, err);
}
