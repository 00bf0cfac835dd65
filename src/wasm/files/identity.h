/* SPDX-License-Identifier: Apache-2.0 */
/* Whose rights the kernel checks where files are used for a container that is not root's. What the same user has in many containers is kept
 * once. Any thread; entering concerns the calling thread alone (setfsuid(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity;

/* With a reference; groups are the supplementary ones. *ret is NULL for root, whose rights are those of the process. 0 or -ENOMEM. */
int identity_get(uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count,
                 struct identity **ret);
void identity_put(struct identity *who); /* NULL is nothing */

/* From here on files are opened and made as who does it; nothing changes for NULL. 0 or -errno: what this process lacks
 * (CAP_SETUID, CAP_SETGID). Not twice. */
int identity_enter(const struct identity *who);
/* errno stays. */
void identity_leave(const struct identity *who);

/* May it do mode (R_OK, W_OK, X_OK) with what fd (O_PATH will do) is? 0 or -errno. */
int identity_check(const struct identity *who, int fd, int mode);
/* Of the names in a sticky directory, an owner removes its own alone. */
bool identity_owns(const struct identity *who, uint32_t uid);
