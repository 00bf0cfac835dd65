/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/files/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "linux/user.h"
#include "wasm/files/identity.h"
#include "wasm/files/vfs.h"
#include "wasm/wire_files.h"

static FILE *open_text(void *arg, const char *path)
{
    auto(vfs_node) struct vfs_node n = {0};
    if (vfs_lookup(arg, "", path + 1, true, &n) < 0 || !n.exists || !S_ISREG(n.st.st_mode) ||
        n.st.st_size > USER_FILE_MAX)
        return NULL;
    int fd = vfs_open(arg, &n, O_RDONLY, 0);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f && fd >= 0)
        close(fd);
    return f;
}

int files_find_user(struct vfs *tree, const struct wire_user *user, struct identity **ret,
                    struct error *err)
{
    struct user u = {.uid = user->uid, .gid = user->gid};
    const struct user_files files = {open_text, tree};
    int r = tree ? user_find(&u, user->name, &files, err) : 0;
    for (size_t i = 0; !r && i < user->group_count; i++) {
        r = user_add_group(&u, user->groups[i]);
        if (r < 0)
            fail(err, r, "add the group %u", user->groups[i]);
    }
    if (!r) {
        r = identity_get(u.uid, u.gid, u.groups, u.groups_count, ret);
        if (r < 0)
            fail(err, r, "hold a container's user");
    }
    user_done(&u);
    return r;
}
