/* SPDX-License-Identifier: Apache-2.0 */
/* A container's start and its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/describe.h"
#include "engine/files.h"
#include "engine/kill.h"
#include "engine/leftover.h"
#include "engine/state.h"

enum { KILL_S = 10, LOST_S = 2 };

static const char *const states[] = {"CREATED", "RUNNING", "EXITED", "UNKNOWN"};

/* Start */

static int check(const struct container_record *c, struct error *err)
{
    const struct pod_record *p = record_pod(c);
    if (c->removing || p->removing)
        return fail_plain(err, EINVAL, "it is being removed");
    if (c->container.state != CONTAINER_CREATED)
        return fail_plain(err, EINVAL, "it is in state %s", states[c->container.state]);
    if (p->pod.state != POD_READY || p->stopping)
        return fail_plain(err, EINVAL, "its pod %s is not running", p->pod.id);
    return 0;
}

static int make_log_directory(const char *path, struct error *err)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash || slash == path)
        return 0;
    autofree char *dir = strndup(path, (size_t)(slash - path));
    if (!dir)
        return fail(err, ENOMEM, "make the log's directory");
    return access(dir, F_OK) == 0 ? 0 : dir_make(AT_FDCWD, dir, 0755, err);
}

/* A request for the sandboxer, in arena but the spec, which is the record's. */
static int describe(struct engine *e, struct container_record *c, struct arena *arena,
                    struct peer_container *ret, struct error *err)
{
    auto(image) struct image *image = NULL;
    auto(described_container) Runtime__V1__ContainerConfig *config = describe_config(c, err);
    if (!config)
        return -EIO;
    int r = image_find(e->images, c->container.image_id, &image, err);
    if (r < 0)
        return r;
    if (!c->spec.data) {
        auto(described_pod) Runtime__V1__PodSandboxConfig *pod = describe_pod(record_pod(c), err);
        r = pod ? describe_container(e, c, pod, config, image, &c->spec, err) : -EIO;
        if (r < 0)
            return r;
    }
    const Runtime__V1__LinuxContainerSecurityContext *security =
        config->linux ? config->linux->security_context : NULL;
    struct mount_request *rootfs = NULL;
    r = files_rootfs(e, c, image, security && security->readonly_rootfs, arena, &rootfs, err);
    if (r == 0)
        r = make_log_directory(c->container.log_path, err);
    if (r < 0)
        return r;
    const char *log = files_log_address(c->container.log_path, arena);
    *ret = (struct peer_container){.id = c->container.id,
                                   .exec_id = "",
                                   .sandbox_id = record_pod(c)->pod.id,
                                   .spec = (const char *)c->spec.data,
                                   .spec_len = c->spec.len,
                                   .rootfs = rootfs,
                                   .rootfs_count = 1,
                                   .stdin_ = "",
                                   .stdout_ = log,
                                   .stderr_ = log,
                                   .terminal = config->tty};
    return 0;
}

/* *ret_started_ns is taken before the program runs, which may end before the answer is here. */
static int ask(struct container_record *c, const struct peer_container *request, pid_t *ret_pid,
               int64_t *ret_started_ns, struct error *err)
{
    struct peer *peer = pod_peer(record_pod(c))->peer;
    c->at_peer = true;
    *ret_started_ns = clock_wall_ns();
    int r = peer->ops->run(peer, request, ret_pid, err);
    if (r == -EEXIST) {
        /* made there by a start that a crash of ours cut short */
        peer->ops->kill(peer, c->container.id, "", SIGKILL, true, NULL);
        peer->ops->remove(peer, c->container.id, "", NULL, NULL);
        r = peer->ops->run(peer, request, ret_pid, err);
    }
    c->epoch = pod_peer(record_pod(c))->epoch;
    return r;
}

/* Nothing may stay at the sandboxer of one that did not start. */
static void undo(struct container_record *c)
{
    struct engine_peer *ep = pod_peer(record_pod(c));
    int r = ep->peer->ops->remove(ep->peer, c->container.id, "", NULL, NULL);
    if (r == 0 || r == -ENOENT)
        c->at_peer = false;
    else
        leftover_container(ep, record_pod(c)->pod.id, c->container.id, true);
}

static void drop_spec(struct container_record *c)
{
    free(c->spec.data);
    c->spec = (struct packed){0};
}

static int start_held(struct engine *e, struct container_record *c, struct error *err)
{
    auto(arena) struct arena arena = {0};
    struct peer_container request;
    pid_t pid = 0;
    int64_t started_ns = 0;
    struct error why = {0};
    bool asked = false;
    c->starting = true;
    int r = describe(e, c, &arena, &request, &why);
    if (r == 0) {
        asked = true;
        r = ask(c, &request, &pid, &started_ns, &why);
    }
    if (r < 0 && asked)
        undo(c);
    drop_spec(c);
    c->starting = false;
    if (r < 0) {
        container_start_failed(e, c, &why);
        return fail_with(err, &why);
    }
    container_started(e, c, pid, c->container.started_ns ? c->container.started_ns : started_ns);
    if (c->ended_early)
        container_end_now(e, c);
    co_queue_wake_all(&c->changed);
    return 0;
}

int engine_container_start(struct engine *e, const char *id, struct error *err)
{
    struct error why = {0};
    struct container_record *found = container_lookup(e, id, &why);
    if (!found)
        return fail_with(err, &why);
    auto(container_ref) struct container_record *c = container_record_ref(found);
    auto(pod_held) struct pod_record *p = pod_hold_ref(pod_record_ref(record_pod(c)), &why);
    if (!p || c->gone)
        return fail_plain(err, ENOENT, "no such container: %s", c->container.id);
    int r = check(c, err);
    if (r == 0)
        r = peer_wait(p->handler, err);
    if (r == 0)
        r = check(c, err);
    if (r == 0)
        r = start_held(e, c, err);
    return r < 0 ? fail_in(err, r, "start container %s", c->container.id) : 0;
}

/* Stop */

/* False where it still runs at the deadline. */
static bool await_end(struct container_record *c, int64_t deadline)
{
    while (c->container.state == CONTAINER_RUNNING && !c->gone)
        if (!co_queue_wait(&c->changed, deadline))
            return c->container.state != CONTAINER_RUNNING;
    return true;
}

/* 1 where the sandboxer says that it has ended: the report of it is on its way. */
static int send_signal(struct container_record *c, int signal, bool all, struct error *err)
{
    struct engine_peer *ep = pod_peer(record_pod(c));
    int r = ep->peer->ops->kill(ep->peer, c->container.id, "", signal, all, err);
    return r == -ESRCH || r == -ENOENT ? 1 : r;
}

int container_kill(struct engine *e, struct container_record *c, struct error *err)
{
    int r = send_signal(c, SIGKILL, true, err);
    if (r < 0)
        return r;
    int64_t wait_s = r == 1 ? LOST_S : KILL_S;
    if (await_end(c, clock_mono_ns() + wait_s * NSEC_PER_SEC))
        return 0;
    if (r == 1) {
        container_lost(e, c, "its sandboxer no longer knows it");
        return 0;
    }
    return fail_plain(err, ETIMEDOUT, "it still runs %d s after SIGKILL", KILL_S);
}

static int stop(struct engine *e, struct container_record *c, int64_t timeout_s, struct error *err)
{
    /* one that is being started cannot be asked yet; containerd takes it for not running at all */
    while (c->starting && !c->gone)
        co_queue_wait(&c->changed, INT64_MAX);
    if (c->container.state != CONTAINER_RUNNING || c->gone)
        return 0;
    int r = peer_wait(record_pod(c)->handler, err);
    if (r < 0 || c->container.state != CONTAINER_RUNNING)
        return r;
    if (timeout_s > 0) {
        int64_t most = INT64_MAX / NSEC_PER_SEC / 4;
        int64_t deadline = clock_mono_ns() + (timeout_s < most ? timeout_s : most) * NSEC_PER_SEC;
        if (!c->stop_signaled) {
            c->stop_signaled = true; /* once: some programs take the second for a hurry */
            r = send_signal(c, describe_stop_signal(e, c), false, err);
            if (r < 0) {
                c->stop_signaled = false;
                return r;
            }
        }
        if (r == 0 && await_end(c, deadline))
            return 0;
    }
    return container_kill(e, c, err);
}

int engine_container_stop(struct engine *e, const char *id, int64_t timeout_s, struct error *err)
{
    struct error why = {0};
    struct container_record *found = container_lookup(e, id, &why);
    if (!found)
        return why.code == -ENOENT ? 0 : fail_with(err, &why);
    auto(container_ref) struct container_record *c = container_record_ref(found);
    int r = stop(e, c, timeout_s, err);
    return r < 0 ? fail_in(err, r, "stop container %s", c->container.id) : 0;
}
