/* SPDX-License-Identifier: Apache-2.0 */
/* The servers and the engine's client, joined by a real socket, over a technique that runs nothing. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "fake_technique.h"
#include "sandbox.pb-c.h"
#include "sandbox/foreign_bundle.h"
#include "sandbox/peer.h"
#include "sandbox/run.h"
#include "sandbox/wire.h"
#include "task_v2.pb-c.h"
#include "warren_sandbox.pb-c.h"

/* A world: a sandboxer, a client, and what the client told */

struct seen {
    char key[200];
    bool process;
    enum sandbox_state state;
    uint32_t exit_status;
    char message[64];
};

struct world {
    struct fake fake;
    struct sandboxer *s;
    struct sandbox_servers servers;
    struct peer *peer;
    char dir[64], path[128];
    bool foreign; /* the sandboxer has the published services alone */
    void (*test)(struct world *w);
    struct seen seen[3000];
    size_t seen_count;
    unsigned begins, ends, disconnects;
    struct co_queue told;
    struct error err;
};

static void on_begin(void *arg)
{
    struct world *w = arg;
    w->begins++;
    w->seen_count = 0;
}

static void on_end(void *arg)
{
    struct world *w = arg;
    w->ends++;
    co_queue_wake_all(&w->told);
}

static void on_disconnected(void *arg)
{
    struct world *w = arg;
    w->disconnects++;
    co_queue_wake_all(&w->told);
}

static struct seen *seen_at(struct world *w, const char *key)
{
    for (size_t i = 0; i < w->seen_count; i++)
        if (str_eq(w->seen[i].key, key))
            return &w->seen[i];
    return NULL;
}

static struct seen *see(struct world *w, const char *key)
{
    struct seen *at = seen_at(w, key);
    if (!at) {
        assert_true(w->seen_count < ARRAY_SIZE(w->seen));
        at = &w->seen[w->seen_count++];
        *at = (struct seen){0};
        snprintf(at->key, sizeof at->key, "%s", key);
    }
    co_queue_wake_all(&w->told);
    return at;
}

static void on_sandbox(void *arg, const struct peer_sandbox_state *s)
{
    struct seen *at = see(arg, s->id);
    at->state = s->state;
    at->exit_status = s->exit_status;
}

static void on_process(void *arg, const struct peer_process_state *p)
{
    char key[200];
    snprintf(key, sizeof key, "%s:%s:%s", p->sandbox_id, p->id, p->exec_id);
    struct seen *at = see(arg, key);
    at->process = true;
    at->state = p->state;
    at->exit_status = p->exit_status;
    snprintf(at->message, sizeof at->message, "%s", p->message);
}

static const struct peer_observer observer = {.snapshot_begin = on_begin,
                                              .snapshot_end = on_end,
                                              .sandbox = on_sandbox,
                                              .process = on_process,
                                              .disconnected = on_disconnected};

static int64_t in_time(void)
{
    return clock_mono_ns() + 20 * NSEC_PER_SEC;
}

static void until_state(struct world *w, const char *key, enum sandbox_state state)
{
    int64_t deadline = in_time();
    struct seen *at;
    while (!(at = seen_at(w, key)) || at->state != state)
        assert_true(co_queue_wait(&w->told, deadline));
}

static void until_ends(struct world *w, unsigned ends)
{
    int64_t deadline = in_time();
    while (w->ends < ends)
        assert_true(co_queue_wait(&w->told, deadline));
}

static void open_published(struct world *w)
{
    struct rpc_service *services = w->servers.services;
    services[0] = sandbox_controller_service;
    services[1] = sandbox_task_service;
    assert_int_equal(rpc_server_new(&w->servers.rpc, NULL), 0);
    for (int i = 0; i < 2; i++) {
        services[i].context = w->s;
        assert_int_equal(rpc_server_add(w->servers.rpc, &services[i], NULL), 0);
    }
    assert_int_equal(rpc_server_listen(w->servers.rpc, w->path, 0600, RPC_GRPC | RPC_TTRPC, NULL),
                     0);
}

static void open_sandboxer(struct world *w)
{
    autofree char *address = str_format("ttrpc+unix://%s", w->path);
    assert_int_equal(sandboxer_new(&w->s, &fake_technique, &w->fake, address, NULL), 0);
    if (w->foreign)
        open_published(w);
    else
        assert_int_equal(sandbox_servers_open(&w->servers, w->s, w->path, &w->err), 0);
}

static void close_sandboxer(struct world *w)
{
    for (struct sandbox *sb; (sb = list_first(&w->s->all, struct sandbox, table));)
        assert_int_equal(sandboxer_shutdown(w->s, sb->id, NULL), 0);
    sandbox_servers_close(&w->servers);
    for (int i = 0; i < 50; i++) /* what is under way sees that nobody is there */
        co_sleep(NSEC_PER_MSEC);
    sandboxer_free(take_ptr(&w->s));
}

static void in_world(void *arg)
{
    struct world *w = arg;
    autofree char *bundles = str_format("%s/b", w->dir);
    open_sandboxer(w);
    assert_int_equal(peer_connect(&w->peer, w->path, bundles, &w->err), 0);
    w->test(w);
    if (w->peer)
        w->peer->ops->free(w->peer);
    if (w->s)
        close_sandboxer(w);
    loop_stop();
}

static void with_sandboxer(bool foreign, void (*test)(struct world *w))
{
    struct world *w = calloc(1, sizeof *w);
    w->foreign = foreign;
    w->test = test;
    co_queue_init(&w->told);
    snprintf(w->dir, sizeof w->dir, "/tmp/warren-sandbox.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/s.sock", w->dir);
    co_start(in_world, w);
    loop_run();
    assert_int_equal(w->fake.broken, 0);
    assert_int_equal(dir_remove(AT_FDCWD, w->dir, NULL), 0);
    buffer_done(&w->fake.last_sandbox_record);
    buffer_done(&w->fake.last_process_record);
    free(w);
}

static void with_world(void (*test)(struct world *w))
{
    with_sandboxer(false, test);
}

#define OPS w->peer->ops

static void run_sandbox(struct world *w, const char *id)
{
    pid_t pid = 0;
    assert_int_equal(OPS->sandbox_create(w->peer, id, "config", 6, "", &w->err), 0);
    assert_int_equal(OPS->sandbox_start(w->peer, id, &pid, &w->err), 0);
    assert_int_equal(pid, 4242);
}

static int run_container(struct world *w, const char *sandbox_id, const char *id,
                         const char *exec_id, const char *spec)
{
    pid_t pid = 0;
    char *options[] = {(char *)"lowerdir=/a:/b", (char *)"upperdir=/c", NULL};
    struct mount_request rootfs = {.type = (char *)"overlay",
                                   .source = (char *)"overlay",
                                   .target = (char *)"",
                                   .options = options};
    struct peer_container c = {.id = id,
                               .exec_id = exec_id,
                               .sandbox_id = sandbox_id,
                               .spec = spec,
                               .spec_len = strlen(spec),
                               .rootfs = &rootfs,
                               .rootfs_count = 1,
                               .stdin_ = "",
                               .stdout_ = "log+cri:///l",
                               .stderr_ = "log+cri:///l"};
    int r = OPS->create(w->peer, &c, &pid, &w->err);
    return r < 0 ? r : OPS->start(w->peer, id, exec_id, &pid, &w->err);
}

static const char sleeps[] = "{\"process\":{\"args\":[\"daemon\"]}}";
static const char exits_3[] = "{\"process\":{\"args\":[\"exit\",\"3\"]}}";

/* The engine's conversation */

static void check_lifecycle(struct world *w)
{
    uint32_t status = 0;
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 1);
    run_sandbox(w, "s");
    assert_int_equal(run_container(w, "s", "c", "", exits_3), 0);
    until_state(w, "s:c:", SANDBOX_STOPPED);
    assert_int_equal(seen_at(w, "s:c:")->exit_status, 3);
    assert_int_equal(OPS->remove(w->peer, "c", "", &status, &w->err), 0);
    assert_int_equal(status, 3);
    assert_int_equal(run_container(w, "s", "d", "", sleeps), 0);
    until_state(w, "s:d:", SANDBOX_RUNNING);
    assert_int_equal(run_container(w, "s", "d", "e", "{\"args\":[\"exit\",\"7\"]}"), 0);
    until_state(w, "s:d:e", SANDBOX_STOPPED);
    assert_int_equal(seen_at(w, "s:d:e")->exit_status, 7);
    assert_int_equal(OPS->remove(w->peer, "d", "", NULL, &w->err), -EBUSY);
    assert_int_equal(OPS->kill(w->peer, "d", "", SIGKILL, false, &w->err), 0);
    until_state(w, "s:d:", SANDBOX_STOPPED);
    assert_int_equal(seen_at(w, "s:d:")->exit_status, 137);
    assert_int_equal(OPS->sandbox_stop(w->peer, "s", 1, &w->err), 0);
    until_state(w, "s", SANDBOX_STOPPED);
    assert_int_equal(OPS->sandbox_shutdown(w->peer, "s", &w->err), 0);
    assert_int_equal(w->fake.sandboxes + w->fake.processes, 0);
    assert_int_equal(OPS->sandbox_shutdown(w->peer, "s", &w->err), 0);
    assert_int_equal(OPS->sandbox_start(w->peer, "s", &(pid_t){0}, &w->err), -ENOENT);
    assert_string_equal(w->err.message, "no such sandbox: 's'");
    assert_int_equal(w->disconnects, 0);
}

static void the_engine_runs_and_removes_a_pod(void **state)
{
    (void)state;
    with_world(check_lifecycle);
}

static void check_errors(struct world *w)
{
    run_sandbox(w, "s");
    assert_int_equal(run_container(w, "s", "c", "", "{\"process\":{\"args\":[\"missing\"]}}"),
                     -ENOENT);
    assert_non_null(strstr(w->err.message, "executable file not found in $PATH"));
    assert_int_equal(run_container(w, "nowhere", "c", "", sleeps), -ENOENT);
    assert_int_equal(run_container(w, "s", "c/../x", "", sleeps), -EINVAL);
    assert_int_equal(run_container(w, "s", "c", "", sleeps), 0);
    assert_int_equal(run_container(w, "s", "c", "", sleeps), -EEXIST);
    assert_int_equal(OPS->reopen_log(w->peer, "c", &w->err), -EOPNOTSUPP);
    assert_string_equal(w->err.message, "the fake technique cannot reopen a log");
}

static void errors_arrive_with_their_meaning_and_words(void **state)
{
    (void)state;
    with_world(check_errors);
}

static void check_stats(struct world *w)
{
    auto(arena) struct arena arena = {0};
    struct peer_container_stats *list;
    size_t n;
    char *one[] = {(char *)"s1", NULL}, *none[] = {NULL};
    autofree char *address = NULL, *token = NULL;
    run_sandbox(w, "s1");
    run_sandbox(w, "s2");
    assert_int_equal(run_container(w, "s1", "a", "", sleeps), 0);
    assert_int_equal(run_container(w, "s1", "b", "", sleeps), 0);
    assert_int_equal(run_container(w, "s2", "c", "", sleeps), 0);
    assert_int_equal(OPS->stats(w->peer, NULL, NULL, &arena, &list, &n, &w->err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(OPS->stats(w->peer, one, NULL, &arena, &list, &n, &w->err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].sandbox_id, "s1");
    assert_int_equal(list[0].stats.memory_usage, 1 << 20);
    assert_int_equal(OPS->stats(w->peer, none, none, &arena, &list, &n, &w->err), 0);
    assert_int_equal(n, 0);
    assert_int_equal(OPS->attach(w->peer, "a", "", false, true, true, &address, &token, &w->err),
                     0);
    assert_string_equal(address, "unix:///nowhere");
}

static void stats_of_all_of_some_and_of_none(void **state)
{
    (void)state;
    with_world(check_stats);
}

static void check_break(struct world *w)
{
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 1);
    run_sandbox(w, "s");
    assert_int_equal(run_container(w, "s", "c", "", sleeps), 0);
    until_state(w, "s:c:", SANDBOX_RUNNING);
    close_sandboxer(w);
    int64_t deadline = in_time();
    while (!w->disconnects)
        assert_true(co_queue_wait(&w->told, deadline));
    assert_false(OPS->connected(w->peer));
    assert_int_equal(OPS->sandbox_start(w->peer, "s", &(pid_t){0}, &w->err), -ENOTCONN);
    open_sandboxer(w);
    until_ends(w, 2);
    assert_int_equal(w->seen_count, 0); /* the new one holds nothing */
    run_sandbox(w, "t");
    until_state(w, "t", SANDBOX_RUNNING);
}

static void a_sandboxer_that_comes_back_is_watched_again(void **state)
{
    (void)state;
    with_world(check_break);
}

static void check_many(struct world *w)
{
    char id[16], key[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "s%d", i);
        struct sandbox_request request = {.id = id, .netns_path = ""};
        assert_int_equal(sandboxer_create(w->s, &request, NULL), 0);
        assert_int_equal(sandboxer_start(w->s, id, NULL, NULL), 0);
    }
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 1);
    assert_int_equal(w->seen_count, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "s%d", i);
        snprintf(key, sizeof key, "s%d:c%d:", i, i);
        snprintf(id + 8, sizeof id - 8, "c%d", i);
        assert_int_equal(run_container(w, id, id + 8, "", exits_3), 0);
    }
    until_state(w, "s999:c999:", SANDBOX_STOPPED);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "s%d:c%d:", i, i);
        until_state(w, key, SANDBOX_STOPPED);
    }
    assert_int_equal(w->begins, 1);
}

static void a_thousand_pods_come_in_one_snapshot(void **state)
{
    (void)state;
    with_world(check_many);
}

/* The published conversation */

struct caller {
    struct rpc_client *grpc, *ttrpc;
    struct arena arena;
};

static void open_caller(struct world *w, struct caller *c)
{
    *c = (struct caller){0};
    assert_int_equal(rpc_client_new(&c->grpc, RPC_GRPC, w->path, NULL), 0);
    assert_int_equal(rpc_client_new(&c->ttrpc, RPC_TTRPC, w->path, NULL), 0);
}

static void close_caller(struct caller *c)
{
    rpc_client_free(c->grpc);
    rpc_client_free(c->ttrpc);
    arena_done(&c->arena);
}

static int control(struct world *w, struct caller *c, const char *method, const void *q, void **p)
{
    return rpc_client_call(c->grpc, &containerd__services__sandbox__v1__controller__descriptor,
                           NULL, method, q, &c->arena, p, in_time(), &w->err);
}

static int task(struct world *w, struct caller *c, const char *name, const char *method,
                const void *q, void **p)
{
    return rpc_client_call(c->ttrpc, &containerd__task__v2__task__descriptor, name, method, q,
                           &c->arena, p, in_time(), &w->err);
}

static void send_tasks(struct world *w, struct caller *c, const char *json)
{
    Containerd__Services__Sandbox__V1__ControllerUpdateRequest q =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_UPDATE_REQUEST__INIT;
    Containerd__Types__Sandbox sandbox = CONTAINERD__TYPES__SANDBOX__INIT;
    Containerd__Types__Sandbox__ExtensionsEntry entry =
        CONTAINERD__TYPES__SANDBOX__EXTENSIONS_ENTRY__INIT;
    Containerd__Types__Sandbox__ExtensionsEntry *entries[] = {&entry};
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    char *fields[] = {(char *)"labels", (char *)"extensions.tasks"};
    void *p;
    any.type_url = (char *)"github.com/containerd/containerd/Tasks";
    any.value.data = (uint8_t *)json;
    any.value.len = strlen(json);
    entry.key = (char *)"tasks";
    entry.value = &any;
    sandbox.extensions = entries;
    sandbox.n_extensions = 1;
    q.sandbox_id = (char *)"s";
    q.sandbox = &sandbox;
    q.fields = fields;
    q.n_fields = 2;
    assert_int_equal(control(w, c, "Update", &q, &p), 0);
}

static void check_published(struct world *w)
{
    struct caller c;
    open_caller(w, &c);
    Containerd__Services__Sandbox__V1__ControllerCreateRequest create =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_CREATE_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerStartRequest start =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_START_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerStartResponse *started;
    Containerd__Services__Sandbox__V1__ControllerStatusRequest status =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_STATUS_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerStatusResponse *state;
    Containerd__Services__Sandbox__V1__ControllerMetricsRequest metrics =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_METRICS_REQUEST__INIT;
    Containerd__Services__Sandbox__V1__ControllerMetricsResponse *measured;
    Containerd__Services__Sandbox__V1__ControllerWaitRequest unknown =
        CONTAINERD__SERVICES__SANDBOX__V1__CONTROLLER_WAIT_REQUEST__INIT;
    Containerd__Task__V2__CreateTaskRequest make = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
    Containerd__Task__V2__StartRequest go = CONTAINERD__TASK__V2__START_REQUEST__INIT;
    Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
    Containerd__Task__V2__WaitResponse *ended;
    Containerd__Task__V2__ExecProcessRequest exec =
        CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
    Containerd__Task__V2__CheckpointTaskRequest save =
        CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
    void *p;
    create.sandbox_id = start.sandbox_id = status.sandbox_id = metrics.sandbox_id = (char *)"s";
    unknown.sandbox_id = (char *)"unknown";
    assert_int_equal(control(w, &c, "Create", &create, &p), 0);
    assert_int_equal(control(w, &c, "Start", &start, (void **)&started), 0);
    assert_string_equal(started->address, w->s->address);
    assert_int_equal(started->version, 2);
    assert_true(started->created_at && started->created_at->seconds > 0);
    assert_int_equal(control(w, &c, "Status", &status, (void **)&state), 0);
    assert_string_equal(state->state, "SANDBOX_READY");
    assert_int_equal(control(w, &c, "Wait", &unknown, &p), -ENOENT);
    make.id = go.id = wait.id = (char *)"c";
    assert_int_equal(task(w, &c, NULL, "Create", &make, &p), -EINVAL); /* whose is it? */
    send_tasks(w, &c,
               "{\"tasks\":[{\"task_id\":\"c\",\"spec\":{\"process\":{\"args\":[\"daemon\"]}},"
               "\"processes\":[{\"exec_id\":\"e\",\"spec\":{\"args\":[\"exit\",\"5\"]}}]}]}");
    assert_int_equal(task(w, &c, NULL, "Create", &make, &p), 0);
    assert_int_equal(task(w, &c, "containerd.task.v3.Task", "Start", &go, &p), 0);
    exec.id = (char *)"c";
    exec.exec_id = go.exec_id = wait.exec_id = (char *)"e";
    assert_int_equal(task(w, &c, NULL, "Exec", &exec, &p), 0);
    assert_int_equal(task(w, &c, NULL, "Start", &go, &p), 0);
    assert_int_equal(task(w, &c, NULL, "Wait", &wait, (void **)&ended), 0);
    assert_int_equal(ended->exit_status, 5);
    assert_int_equal(control(w, &c, "Metrics", &metrics, (void **)&measured), 0);
    assert_string_equal(measured->metrics->data->type_url, "io.containerd.cgroups.v2.Metrics");
    save.id = (char *)"c";
    assert_int_equal(task(w, &c, NULL, "Checkpoint", &save, &p), -EOPNOTSUPP);
    close_caller(&c);
}

static void the_published_conversation_of_kuasars_engines_works(void **state)
{
    (void)state;
    with_world(check_published);
}

static void check_bundle(struct world *w)
{
    struct caller c;
    open_caller(w, &c);
    Containerd__Task__V2__CreateTaskRequest make = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
    void *p;
    make.id = (char *)"c";
    make.bundle = w->dir;
    run_sandbox(w, "s");
    assert_int_equal(task(w, &c, NULL, "Create", &make, &p), -ENOENT); /* no config.json */
    const char spec[] = "{\"process\":{\"args\":[\"daemon\"]},\"root\":{\"path\":\"rootfs\"}}";
    autofree char *config = str_format("%s/config.json", w->dir);
    autofree char *names = str_format("%s/sandbox", w->dir);
    assert_int_equal(file_replace(AT_FDCWD, config, spec, strlen(spec), 0600, false, NULL), 0);
    assert_int_equal(task(w, &c, NULL, "Create", &make, &p), -EINVAL);
    assert_int_equal(file_replace(AT_FDCWD, names, "s", 1, 0600, false, NULL), 0);
    assert_int_equal(task(w, &c, NULL, "Create", &make, &p), 0);
    close_caller(&c);
}

static void a_bundle_names_the_sandbox_of_its_container(void **state)
{
    (void)state;
    with_world(check_bundle);
}

/* A sandboxer that is not ours */

static int run_logged(struct world *w, const char *id, const char *exec_id, const char *spec,
                      const char *log)
{
    pid_t pid = 0;
    struct peer_container c = {.id = id,
                               .exec_id = exec_id,
                               .sandbox_id = "s",
                               .spec = spec,
                               .spec_len = strlen(spec),
                               .stdin_ = "",
                               .stdout_ = log,
                               .stderr_ = log};
    int r = OPS->create(w->peer, &c, &pid, &w->err);
    return r < 0 ? r : OPS->start(w->peer, id, exec_id, &pid, &w->err);
}

static void write_fifo(const char *path, const char *text)
{
    autoclose int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void until_logged(const char *path, const char *text)
{
    int64_t deadline = in_time();
    for (;;) {
        auto(buffer) struct buffer b = {0};
        if (file_read(AT_FDCWD, path, 1 << 20, &b, NULL) == 0 && strstr(buffer_text(&b), text))
            return;
        assert_true(clock_mono_ns() < deadline);
        co_sleep(5 * NSEC_PER_MSEC);
    }
}

static void check_foreign(struct world *w)
{
    uint32_t status = 0;
    autofree char *log = str_format("log+cri://%s/c.log", w->dir);
    autofree char *log_path = str_format("%s/c.log", w->dir);
    autofree char *fifo = str_format("%s/b/s/c/stdout", w->dir);
    autofree char *bundles = str_format("%s/b", w->dir);
    auto(strv) char **left = NULL;
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 1);
    run_sandbox(w, "s");
    until_state(w, "s", SANDBOX_RUNNING);
    assert_int_equal(run_logged(w, "e", "", exits_3, ""), 0);
    until_state(w, "s:e:", SANDBOX_STOPPED);
    assert_int_equal(seen_at(w, "s:e:")->exit_status, 3);
    assert_int_equal(run_logged(w, "c", "", sleeps, log), 0);
    until_state(w, "s:c:", SANDBOX_RUNNING);
    assert_string_equal(sandboxer_find_process(w->s, "c", "")->stdout_, fifo);
    write_fifo(fifo, "first line\n");
    until_logged(log_path, " stdout F first line\n");
    assert_int_equal(run_logged(w, "c", "x", "{\"args\":[\"exit\",\"5\"]}", ""), 0);
    until_state(w, "s:c:x", SANDBOX_STOPPED);
    assert_int_equal(OPS->remove(w->peer, "c", "x", &status, &w->err), 0);
    assert_int_equal(status, 5);

    /* an engine that starts again finds what it ran, and its log goes on */
    OPS->free(w->peer);
    assert_int_equal(peer_connect(&w->peer, w->path, bundles, &w->err), 0);
    w->seen_count = 0;
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 2);
    assert_int_equal(seen_at(w, "s")->state, SANDBOX_RUNNING);
    assert_int_equal(seen_at(w, "s:c:")->state, SANDBOX_RUNNING);
    assert_int_equal(seen_at(w, "s:e:")->exit_status, 3);
    write_fifo(fifo, "second line\n");
    until_logged(log_path, " stdout F second line\n");
    assert_int_equal(OPS->kill(w->peer, "c", "", SIGKILL, false, &w->err), 0);
    until_state(w, "s:c:", SANDBOX_STOPPED);
    assert_int_equal(seen_at(w, "s:c:")->exit_status, 137);
    assert_int_equal(OPS->remove(w->peer, "c", "", NULL, &w->err), 0);
    assert_int_equal(OPS->sandbox_stop(w->peer, "s", 0, &w->err), 0);
    until_state(w, "s", SANDBOX_STOPPED);
    assert_int_equal(OPS->sandbox_shutdown(w->peer, "s", &w->err), 0);
    assert_int_equal(w->fake.sandboxes + w->fake.processes, 0);
    assert_int_equal(foreign_list(bundles, &left, NULL), 0);
    assert_null(left[0]);
    assert_int_equal(OPS->reopen_log(w->peer, "c", &w->err), -EOPNOTSUPP);
}

static void a_foreign_sandboxer_runs_pods_by_the_published_services(void **state)
{
    (void)state;
    with_sandboxer(true, check_foreign);
}

static void check_foreign_break(struct world *w)
{
    OPS->watch(w->peer, &observer, w);
    until_ends(w, 1);
    run_sandbox(w, "s");
    assert_int_equal(run_logged(w, "c", "", sleeps, ""), 0);
    until_state(w, "s:c:", SANDBOX_RUNNING);
    close_sandboxer(w);
    int64_t deadline = in_time();
    while (!w->disconnects)
        assert_true(co_queue_wait(&w->told, deadline));
    open_sandboxer(w);
    until_ends(w, 2);
    assert_int_equal(w->seen_count, 0); /* it lost them: the engine is told of none */
    assert_int_equal(OPS->sandbox_shutdown(w->peer, "s", &w->err), 0);
}

static void a_foreign_sandboxer_that_comes_back_is_asked_again(void **state)
{
    (void)state;
    with_sandboxer(true, check_foreign_break);
}

/* The program's run */

static int sandboxer_in(const char *dir, const char *name, struct error *err)
{
    struct fake fake = {0};
    autofree char *path = str_format("%s/%s", dir, name);
    autofree char *state = str_format("%s/d", dir);
    const struct sandboxer_options options = {.listen = path, .dir = state};
    return sandboxer_run(&fake_technique, &fake, &options, err);
}

static void wait_for_file(const char *path)
{
    int64_t deadline = in_time();
    while (access(path, F_OK) < 0) {
        assert_true(clock_mono_ns() < deadline);
        usleep(5000);
    }
}

static void two_sandboxers_do_not_share_a_directory(void **state)
{
    (void)state;
    char dir[] = "/tmp/warren-sandbox.XXXXXX";
    assert_non_null(mkdtemp(dir));
    pid_t first = fork();
    if (first == 0)
        _exit(sandboxer_in(dir, "s.sock", NULL) == 0 ? 0 : 1);
    autofree char *path = str_format("%s/s.sock", dir);
    wait_for_file(path);
    struct error err = {0};
    int status;
    assert_int_equal(sandboxer_in(dir, "t.sock", &err), -EBUSY);
    assert_non_null(strstr(err.message, "another sandboxer uses directory"));
    kill(first, SIGHUP); /* ignored */
    kill(first, SIGTERM);
    assert_int_equal(waitpid(first, &status, 0), first);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(dir_remove(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
    diag_init("test", DIAG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            two_sandboxers_do_not_share_a_directory), /* forks: before there is a loop */
        cmocka_unit_test(the_engine_runs_and_removes_a_pod),
        cmocka_unit_test(errors_arrive_with_their_meaning_and_words),
        cmocka_unit_test(stats_of_all_of_some_and_of_none),
        cmocka_unit_test(a_sandboxer_that_comes_back_is_watched_again),
        cmocka_unit_test(a_thousand_pods_come_in_one_snapshot),
        cmocka_unit_test(the_published_conversation_of_kuasars_engines_works),
        cmocka_unit_test(a_bundle_names_the_sandbox_of_its_container),
        cmocka_unit_test(a_foreign_sandboxer_runs_pods_by_the_published_services),
        cmocka_unit_test(a_foreign_sandboxer_that_comes_back_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
