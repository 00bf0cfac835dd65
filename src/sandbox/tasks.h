/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks extension of a sandbox: the list of wanted containers that Kuasar's engines send by
 * Update before Task.Create and Task.Exec. Here it is a store of descriptions: what runs is decided
 * by the Task service alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/map.h"
#include "sandbox/technique.h"

struct error;

struct task_process { /* an exec that is to come */
    char *exec_id;
    char *spec; /* OCI process, JSON */
    char *stdin_, *stdout_, *stderr_;
    struct list link;
};

struct task_entry {
    char *id;
    char *spec; /* OCI runtime spec, JSON */
    struct mount_request *rootfs;
    size_t rootfs_count;
    char *stdin_, *stdout_, *stderr_;
    struct list processes;
    struct list link;
};

struct sandbox_tasks {
    struct list entries;
};

void sandbox_tasks_free(struct sandbox_tasks *tasks); /* NULL is allowed */
/* json: {"tasks": [...]}, keys as in interfaces.md, section 2. -EINVAL names what is wrong and
 * where. */
int sandbox_tasks_parse(const void *json, size_t len, struct sandbox_tasks **ret,
                        struct error *err);
/* NULL where it has none; tasks may be NULL. */
const struct task_entry *sandbox_tasks_find(const struct sandbox_tasks *tasks, const char *id);
const struct task_process *task_entry_find(const struct task_entry *entry, const char *exec_id);
