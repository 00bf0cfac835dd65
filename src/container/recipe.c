/* SPDX-License-Identifier: Apache-2.0 */
#include "container/recipe.h"

#include <errno.h>

#include "base/error.h"
#include "base/str.h"
#include "container/container.h"

/* Where a list stands in the block, its items' size, and where in an item strings are (0xff: none). */
struct list_shape {
    size_t at, size;
    uint8_t strings[3];
};

enum { NO = 0xff };
#define AT(type, member) ((uint8_t)offsetof(type, member))
#define LIST(member)     offsetof(struct recipe, member)

static const struct list_shape lists[] = {
    {LIST(args), 4, {0, NO, NO}},
    {LIST(env), 4, {0, NO, NO}},
    {LIST(groups), 4, {NO, NO, NO}},
    {LIST(lower), 4, {0, NO, NO}},
    {LIST(masked), 4, {0, NO, NO}},
    {LIST(readonly_), 4, {0, NO, NO}},
    {LIST(join), 4, {0, NO, NO}},
    {LIST(seccomp), 8, {NO, NO, NO}},
    {LIST(namespaces),
     sizeof(struct recipe_namespace),
     {AT(struct recipe_namespace, path), NO, NO}},
    {LIST(rlimits), sizeof(struct recipe_rlimit), {AT(struct recipe_rlimit, name), NO, NO}},
    {LIST(mounts),
     sizeof(struct recipe_mount),
     {AT(struct recipe_mount, destination), AT(struct recipe_mount, source),
      AT(struct recipe_mount, type)}},
    {LIST(devices), sizeof(struct recipe_device), {AT(struct recipe_device, path), NO, NO}},
    {LIST(sysctls), sizeof(struct recipe_pair), {0, 4, NO}},
    {LIST(cgroup_views), sizeof(struct recipe_pair), {0, 4, NO}},
};

static const size_t strings[] = {
    LIST(user),    LIST(cwd),   LIST(hostname), LIST(domainname), LIST(apparmor),
    LIST(selinux), LIST(upper), LIST(work),     LIST(root),
};

static bool string_ok(const char *block, size_t len, const char *at)
{
    (void)block;
    return *(const uint32_t *)(const void *)at < len;
}

static bool list_ok(const char *block, size_t len, struct recipe_list l, const struct list_shape *s)
{
    if (l.at > len || l.at % 8 || l.count > (len - l.at) / s->size)
        return false;
    for (size_t i = 0; i < l.count; i++)
        for (size_t k = 0; k < ARRAY_SIZE(s->strings) && s->strings[k] != NO; k++)
            if (!string_ok(block, len, block + l.at + i * s->size + s->strings[k]))
                return false;
    return true;
}

static bool contents_ok(const char *block, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        if (!string_ok(block, len, block + strings[i]))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        if (!list_ok(block, len, *(const struct recipe_list *)(const void *)(block + lists[i].at),
                     &lists[i]))
            return false;
    static const struct list_shape parameters = {0, sizeof(struct recipe_pair), {0, 4, NO}};
    const struct recipe *r = (const struct recipe *)(const void *)block;
    const struct recipe_mount *mounts = recipe_items(r, r->mounts);
    for (size_t i = 0; i < r->mounts.count; i++)
        if (!list_ok(block, len, mounts[i].parameters, &parameters))
            return false;
    return r->args.count && r->cwd && r->seccomp.count < 65536;
}

int recipe_open(const void *data, size_t len, const struct recipe **ret, struct error *err)
{
    const struct recipe *r = data;
    if (len < sizeof *r || len > RECIPE_MAX || (uintptr_t)data % 8 || r->magic != RECIPE_MAGIC)
        return fail_plain(err, EINVAL, "these %zu bytes are no recipe", len);
    if (r->version != RECIPE_VERSION)
        return fail_plain(err, EPROTO,
                          "a recipe of version %u where %d is expected: the programs "
                          "are of different releases",
                          r->version, RECIPE_VERSION);
    if (r->size != len || ((const char *)data)[len - 1] || !contents_ok(data, len))
        return fail_plain(err, EINVAL, "the recipe is damaged");
    *ret = r;
    return 0;
}

bool recipe_terminal(const struct recipe *r)
{
    return r->flags & RECIPE_TERMINAL;
}

bool recipe_is_exec(const struct recipe *r)
{
    return r->flags & RECIPE_EXEC;
}
