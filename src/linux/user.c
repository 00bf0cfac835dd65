/* SPDX-License-Identifier: Apache-2.0 */
#include "linux/user.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { GROUPS_MAX = 65536, NAME_MAX_LEN = 256 };

void user_done(struct user *u)
{
    free(u->groups);
    *u = (struct user){0};
}

static bool parse_id(const char *text, uint32_t *ret)
{
    if (!*text || strlen(text) > 10 || text[strspn(text, "0123456789")])
        return false;
    unsigned long long n = strtoull(text, NULL, 10);
    if (n >= UINT32_MAX) /* -1 means "leave as it is" to the kernel */
        return false;
    *ret = (uint32_t)n;
    return true;
}

/* Cuts line at its colons. */
static size_t split(char *line, char **fields, size_t max)
{
    size_t n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *p = line; p && n < max;) {
        fields[n++] = p;
        p = strchr(p, ':');
        if (p)
            *p++ = 0;
    }
    return n;
}

/* NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL, by name or by number. */
static bool find_passwd(const struct user_files *files, const char *name, bool by_id, uint32_t id,
                        struct user *u, char *ret_name)
{
    FILE *f = files->open(files->arg, "/etc/passwd");
    if (!f)
        return false;
    char *line = NULL, *fields[7];
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, f) > 0) {
        uint32_t uid, gid;
        if (split(line, fields, 7) < 6 || !parse_id(fields[2], &uid) || !parse_id(fields[3], &gid))
            continue;
        if (by_id ? uid != id : strcmp(fields[0], name) != 0)
            continue;
        found = true;
        u->uid = uid;
        u->gid = gid;
        snprintf(u->home, sizeof u->home, "%s", fields[5]);
        snprintf(ret_name, NAME_MAX_LEN, "%s", fields[0]);
    }
    free(line);
    fclose(f);
    return found;
}

int user_add_group(struct user *u, gid_t gid)
{
    for (size_t i = 0; i < u->groups_count; i++)
        if (u->groups[i] == gid)
            return 0;
    if (u->groups_count == GROUPS_MAX)
        return -E2BIG;
    if (u->groups_count % 64 == 0) {
        gid_t *more = realloc(u->groups, (u->groups_count + 64) * sizeof *more);
        if (!more)
            return -ENOMEM;
        u->groups = more;
    }
    u->groups[u->groups_count++] = gid;
    return 0;
}

static bool lists(char *members, const char *name)
{
    for (char *rest = members, *m; (m = strsep(&rest, ","));)
        if (strcmp(m, name) == 0)
            return true;
    return false;
}

/* NAME:PASSWORD:GID:MEMBERS. With user: adds the groups that have it as a member. Else: finds the group's id. */
static int scan_groups(const struct user_files *files, const char *user, const char *group,
                       struct user *u, gid_t *ret)
{
    FILE *f = files->open(files->arg, "/etc/group");
    if (!f)
        return user ? 0 : -ENOENT;
    char *line = NULL, *fields[4];
    size_t size = 0;
    int e = user ? 0 : -ENOENT;
    while ((user ? !e : e) && getline(&line, &size, f) > 0) {
        uint32_t gid;
        size_t n = split(line, fields, 4);
        if (n < 3 || !parse_id(fields[2], &gid))
            continue;
        if (user && n == 4 && lists(fields[3], user)) {
            e = user_add_group(u, gid);
        } else if (group && strcmp(fields[0], group) == 0) {
            *ret = gid;
            e = 0;
        }
    }
    free(line);
    fclose(f);
    return e;
}

int user_find(struct user *u, const char *text, const struct user_files *files, struct error *err)
{
    char user[NAME_MAX_LEN], name[NAME_MAX_LEN] = "";
    const char *colon = strchr(text, ':');
    const char *group = colon && colon[1] ? colon + 1 : NULL;
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len >= sizeof user)
        return fail_plain(err, EINVAL, "user '%.64s...': the name is too long", text);
    memcpy(user, text, len);
    user[len] = 0;
    if (!len)
        memcpy(user, "0", 2); /* ":group", as docker has it */
    uint32_t id = 0;
    bool numeric = parse_id(user, &id);
    u->gid = 0;
    /* a name of digits only is looked up as a name first (POSIX chown) */
    bool known = find_passwd(files, user, false, 0, u, name);
    if (!known && numeric) {
        u->uid = id;
        known = find_passwd(files, user, true, id, u, name);
    }
    if (!known && !numeric)
        return fail_plain(err, ENOENT, "user '%s' is not in the image's /etc/passwd", user);
    if (!group) {
        int e = known ? scan_groups(files, name, NULL, u, NULL) : 0;
        return e < 0 ? fail(err, e, "find the groups of user '%s'", text) : 0;
    }
    uint32_t gid;
    if (scan_groups(files, NULL, group, u, &u->gid) == 0)
        return 0;
    if (!parse_id(group, &gid))
        return fail_plain(err, ENOENT, "group '%s' is not in the image's /etc/group", group);
    u->gid = gid;
    return 0;
}

void user_find_home(struct user *u, const struct user_files *files)
{
    struct user found = {0};
    char name[NAME_MAX_LEN];
    if (find_passwd(files, NULL, true, u->uid, &found, name))
        memcpy(u->home, found.home, sizeof u->home);
}
