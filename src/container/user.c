/* SPDX-License-Identifier: Apache-2.0 */
/* Users by name, from the image's own /etc/passwd and /etc/group: files that may hold anything. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/path.h"

enum { GROUPS_MAX = 65536, NAME_MAX_LEN = 256, FILE_MAX = 16 << 20 };

/* NULL where it is not there, no plain file or absurdly large: as if it were empty. */
static FILE *open_file(int root, const char *path)
{
    int fd = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)) {
        close(fd);
        fd = -1;
    }
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f && fd >= 0)
        close(fd);
    return f;
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
static bool find_passwd(int root, const char *name, bool by_id, uint32_t id, struct child_user *u,
                        char *ret_name)
{
    FILE *f = open_file(root, "/etc/passwd");
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

static int add_group(struct child_user *u, gid_t gid)
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
static int scan_groups(int root, const char *user, const char *group, struct child_user *u,
                       gid_t *ret)
{
    FILE *f = open_file(root, "/etc/group");
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
            e = add_group(u, gid);
        } else if (group && strcmp(fields[0], group) == 0) {
            *ret = gid;
            e = 0;
        }
    }
    free(line);
    fclose(f);
    return e;
}

static int find_named(struct child *c, const char *text, struct error *err)
{
    struct child_user *u = &c->user;
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
    bool known = find_passwd(c->root, user, false, 0, u, name);
    if (!known && numeric) {
        u->uid = id;
        known = find_passwd(c->root, user, true, id, u, name);
    }
    if (!known && !numeric)
        return fail_plain(err, ENOENT, "user '%s' is not in the image's /etc/passwd", user);
    if (!group)
        return known ? scan_groups(c->root, name, NULL, u, NULL) : 0;
    uint32_t gid;
    if (scan_groups(c->root, NULL, group, u, &u->gid) == 0)
        return 0;
    if (!parse_id(group, &gid))
        return fail_plain(err, ENOENT, "group '%s' is not in the image's /etc/group", group);
    u->gid = gid;
    return 0;
}

int child_find_user(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    struct child_user *u = &c->user;
    const char *text = recipe_text(r, r->user);
    u->uid = r->uid;
    u->gid = r->gid;
    if (text) {
        int e = find_named(c, text, err);
        if (e)
            return e == -ENOENT || e == -EINVAL ? e : fail(err, e, "find user '%s'", text);
    } else {
        struct child_user unused;
        char name[NAME_MAX_LEN];
        if (find_passwd(c->root, NULL, true, u->uid, &unused, name))
            memcpy(u->home, unused.home, sizeof u->home);
    }
    const uint32_t *more = recipe_items(r, r->groups);
    for (uint32_t i = 0; i < r->groups.count; i++) {
        int e = add_group(u, more[i]);
        if (e)
            return fail(err, e, "add the group %u", more[i]);
    }
    return 0;
}
