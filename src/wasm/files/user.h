/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct error;
struct identity;
struct vfs;
struct wire_user;

/* process.user as an identity, with a reference: a name is looked up in the tree's /etc/passwd and /etc/group, and the groups of the spec
 * come to those that are found there. tree is NULL where user.name is empty. */
int files_find_user(struct vfs *tree, const struct wire_user *user, struct identity **ret,
                    struct error *err);
