/* SPDX-License-Identifier: Apache-2.0 */
/* Where a new container's description comes from. Its sandbox and spec are, the first that there is: Warren's options; an
 * entry of a sandbox's tasks extension; the bundle (annotation, or containerd's file that names the sandbox). Its rootfs: the
 * request's mounts, the entry's, or the root.path of a spec that came with a bundle. */
#pragma once

#include "base/arena.h"
#include "sandbox/server.h"
#include "task_v2.pb-c.h"

/* Both park; what they need of the request and the extension is the request's or copied to the arena. */
int task_create(struct sandboxer *s, const Containerd__Task__V2__CreateTaskRequest *q,
                struct arena *arena, pid_t *ret_pid, struct error *err);
int task_exec(struct sandboxer *s, const Containerd__Task__V2__ExecProcessRequest *q,
              struct arena *arena, struct error *err);
