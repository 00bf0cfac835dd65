/* SPDX-License-Identifier: Apache-2.0 */
/* What the child's parts share. All of it runs in the cloned child, which has one thread and nothing to lose: it may use
 * the heap, and what it opens goes with it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "container/recipe.h"
#include "linux/user.h"

enum {
    CHILD_CONTROL = 3, /* descriptors of the child */
    CHILD_TARGET = 4,
};

enum message_kind { MESSAGE_WARNING = 1, MESSAGE_READY, MESSAGE_FAILED };

struct message {
    uint32_t kind;
    int32_t code;
    char text[ERROR_MESSAGE_MAX]; /* sent as long as it is, without NUL */
};

struct child {
    const struct recipe *recipe;
    int root;     /* the container's root directory */
    int terminal; /* the controlling side, until it has been sent; or -1 */
    int *sources; /* a detached tree for each mount that is a bind; -1 for others */
    int exit_code;
    struct user user;
    const char *program; /* absolute, or with a slash */
    char **argv, **envp;
};

/* Never returns. */
_Noreturn void child_run(const struct recipe *r);
/* Sends text to who holds us. */
void child_send(enum message_kind kind, int code, const char *text, int fd);
void child_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* rootfs.c */
int child_open_sources(struct child *c, struct error *err);
int child_mount_root(struct child *c, struct error *err);
int child_enter_root(struct child *c, struct error *err);
/* mounts.c */
int child_mount_all(struct child *c, struct error *err);
int child_protect_paths(struct child *c, struct error *err);
/* A new mount of a file system, detached; parameters may be empty. */
int child_new_mount(const struct recipe *r, const char *type, const char *source,
                    struct recipe_list parameters, unsigned attributes, struct error *err);
/* The kernel's own words about fs, after a failure; "" where it has none. */
const char *child_fs_message(int fs, char *text, size_t size);
/* devices.c */
int child_make_devices(struct child *c, struct error *err);
int child_open_terminal(struct child *c, struct error *err);
/* user.c */
int child_find_user(struct child *c, struct error *err);
/* program.c */
int child_find_program(struct child *c, struct error *err);
/* limits.c: what concerns the process and not its files */
int child_set_up_process(struct child *c, struct error *err);
int child_set_rlimits(struct child *c, struct error *err);
int child_write_sysctls(struct child *c, struct error *err);
/* credentials.c */
int child_drop_ids(struct child *c, struct error *err);
int child_seal(struct child *c, struct error *err);
