/* SPDX-License-Identifier: Apache-2.0 */
/* Users by name, from an image's own /etc/passwd and /etc/group: files that may hold anything. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct error;

enum { USER_FILE_MAX = 16 << 20 }; /* bytes of one of the two that anybody should read */

struct user {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary; malloced */
    size_t groups_count;
    char home[256]; /* "" where it is not known */
};
void user_done(struct user *u);

/* How the image's files are read: path is one of the two, the result is closed by who asked. NULL: as if it were empty. */
struct user_files {
    FILE *(*open)(void *arg, const char *path);
    void *arg;
};

/* text: "name", "uid", "name:group", "uid:gid", any mix, or ":group". Where no group is named, the groups that have the user as a member are
 * added. u is all 0 before. -ENOENT: a name that is not there; -EINVAL: a name that is too long; -E2BIG, -ENOMEM. */
int user_find(struct user *u, const char *text, const struct user_files *files, struct error *err);
/* Fills home for a uid, where it is known. */
void user_find_home(struct user *u, const struct user_files *files);
/* Once. -E2BIG past 65,536, -ENOMEM. */
int user_add_group(struct user *u, gid_t gid);
