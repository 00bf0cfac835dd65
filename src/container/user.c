/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/child.h"
#include "linux/path.h"

/* Not what is no plain file, or absurdly large. */
static FILE *open_file(void *arg, const char *path)
{
    const struct child *c = arg;
    int fd = root_open(c->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > USER_FILE_MAX)) {
        close(fd);
        fd = -1;
    }
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f && fd >= 0)
        close(fd);
    return f;
}

int child_find_user(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    const struct user_files files = {open_file, c};
    struct user *u = &c->user;
    const char *text = recipe_text(r, r->user);
    u->uid = r->uid;
    u->gid = r->gid;
    int e = 0;
    if (text)
        e = user_find(u, text, &files, err);
    else
        user_find_home(u, &files);
    const uint32_t *more = recipe_items(r, r->groups);
    for (uint32_t i = 0; !e && i < r->groups.count; i++) {
        e = user_add_group(u, more[i]);
        if (e)
            fail(err, e, "add the group %u", more[i]);
    }
    return e;
}
