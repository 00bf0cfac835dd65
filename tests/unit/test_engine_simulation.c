/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's life by simulation. For each seed: several clients call the engine at random, calls to the sandboxer take long,
 * fail and break, programs end, the sandboxer crashes and loses pods, the engine is killed at a random park and opened again
 * on the same files, the disk is full at times, images are removed meanwhile. What must hold is checked when all is quiet, and at the end all is
 * removed and nothing may be left.
 *
 *     test-simulation [SEEDS [FROM]]  that many, from FROM or 1 on
 *     SEED=N test-simulation          that one, with what happens told */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/engine.h"
#include "engine/record.h"
#include "fake_image.h"
#include "fake_peer.h"
#include "loop/simulate.h"

enum {
    DEFAULT_SEEDS = 400,
    KEYS = 5,
    CLIENTS = 4,
    CALLS = 20,
    PODS_MAX = 512,
    CONTAINERS_MAX = 1024,
    TURNS_MAX = 400000,
};

/* What clients were told. Facts only grow: what was answered stays true until somebody asked for the removal. */
struct told_pod {
    char id[65];
    int key;
    bool removal_asked, gone;
};
struct told_container {
    char id[65];
    int pod; /* in pods */
    bool start_ok, start_failed, removal_asked, gone;
};

static struct {
    char dir[64];
    uint64_t seed;
    bool loud, failed;
    struct image_store images;
    struct world world;
    struct engine *engine;
    struct told_pod pods[PODS_MAX];
    struct told_container containers[CONTAINERS_MAX];
    int pod_count, container_count;
    int clients;
    bool opened, quiet, finished, no_chaos;
    uint64_t calls, lives;
} t;

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
    va_list args;
    if (!t.loud)
        return;
    va_start(args, format);
    printf("# %11.6f ", (double)(clock_mono_ns() - INT64_C(1700000000) * NSEC_PER_SEC) / 1e9);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        abort();
}

static void __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list args;
    if (t.failed)
        return;
    t.failed = true;
    limit_files(RLIM_INFINITY);
    va_start(args, format);
    printf("# seed %llu: ", (unsigned long long)t.seed);
    vprintf(format, args);
    printf("\n# again: SEED=%llu %s\n", (unsigned long long)t.seed, program_invocation_name);
    va_end(args);
}

static uint32_t dice(uint32_t n)
{
    return simulate_random(n);
}

static void calm(void)
{
    t.world.fail_1_in = t.world.break_1_in = t.world.exit_1_in = t.world.crash_1_in = 0;
    t.world.lose_1_in = 0;
    world_restart(&t.world);
}

/* One life of the engine */

static void open_engine(void *arg)
{
    (void)arg;
    struct error err = {0};
    struct peer *peer = world_connect(&t.world);
    const struct engine_handler handlers[] = {{"", "namespace", peer}, {"wasm", "wasm", peer}};
    struct engine_options options = {.data_root = t.dir,
                                     .exec_root = t.dir,
                                     .images = &t.images,
                                     .handlers = handlers,
                                     .handler_count = 2};
    t.images.pin_count = 0;
    if (engine_open(&t.engine, &options, &err) < 0)
        wrong("open: %s", err.message);
    t.opened = true;
}

static struct told_pod *pod_told(const char *id)
{
    for (int i = 0; i < t.pod_count; i++)
        if (str_eq(t.pods[i].id, id))
            return &t.pods[i];
    return NULL;
}

static struct told_container *container_told(const char *id)
{
    for (int i = 0; i < t.container_count; i++)
        if (str_eq(t.containers[i].id, id))
            return &t.containers[i];
    return NULL;
}

static struct told_pod *add_pod(const char *id, int key)
{
    if (t.pod_count == PODS_MAX)
        return NULL;
    struct told_pod *p = &t.pods[t.pod_count++];
    *p = (struct told_pod){.key = key};
    strcpy(p->id, id);
    return p;
}

static struct told_container *add_container(const char *id, int pod)
{
    if (t.container_count == CONTAINERS_MAX)
        return NULL;
    struct told_container *c = &t.containers[t.container_count++];
    *c = (struct told_container){.pod = pod};
    strcpy(c->id, id);
    return c;
}

/* After a crash: what was made without its caller hearing of it is known from now on. */
static void learn(void)
{
    struct pod *p;
    struct container *c;
    list_each(p, engine_pods(t.engine), in_engine)
    {
        if (!pod_told(p->id))
            add_pod(p->id, p->key[3] - '0');
        list_each(c, &p->containers, in_pod) if (!container_told(c->id))
            add_container(c->id, (int)(pod_told(p->id) - t.pods));
    }
}

/* Calls */

/* Where nothing fails below it, the engine has few reasons to refuse anything. */
static void expect(const char *what, const char *id, int r, const struct error *err)
{
    tell("%s %.8s: %d %s", what, id, r, err->message);
    bool refusal = r == -ENOENT || r == -EINVAL || (r == -EEXIST && !str_eq(what, "start"));
    if (t.no_chaos && r < 0 && !refusal)
        wrong("%s %s failed: %s", what, id, err->message);
}

static void call_run(void)
{
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    char name[] = "pod0", id[65] = "";
    int key = (int)dice(KEYS);
    name[3] = (char)('0' + key);
    metadata.name = name;
    config.metadata = &metadata;
    int before = t.pod_count;
    struct error err = {0};
    int r = engine_pod_run(t.engine, &config, dice(2) ? "wasm" : "", id, &err);
    bool taken = false; /* from before to after */
    for (int i = 0; i < before; i++)
        taken |= t.pods[i].key == key && !t.pods[i].removal_asked;
    expect("run", name, r, &err);
    tell("    is %.8s", id);
    if (r == 0 && taken)
        wrong("the name %s was given twice", name);
    if (r == 0)
        add_pod(id, key);
}

static struct told_pod *any_pod(void)
{
    return t.pod_count ? &t.pods[dice((uint32_t)t.pod_count)] : NULL;
}

static struct told_container *any_container(void)
{
    return t.container_count ? &t.containers[dice((uint32_t)t.container_count)] : NULL;
}

/* Rather one that is there. */
static struct told_pod *some_pod(void)
{
    struct told_pod *p = NULL;
    for (int i = 0; i < 8 && (!p || p->gone); i++)
        p = any_pod();
    return p;
}

static struct told_container *some_container(void)
{
    struct told_container *c = NULL;
    for (int i = 0; i < 8 && (!c || c->gone || t.pods[c->pod].gone); i++)
        c = any_container();
    return c;
}

static void call_stop_pod(void)
{
    struct told_pod *p = some_pod();
    struct error err = {0};
    int r = p ? engine_pod_stop(t.engine, p->id, &err) : 0;
    expect("stop pod", p ? p->id : "", r, &err);
    struct pod *found;
    if (p && r == 0 && engine_pod_find(t.engine, p->id, &found, NULL) == 0 &&
        found->state == POD_READY)
        wrong("pod %s is ready after its stop", p->id);
}

static void call_remove_pod(void)
{
    struct told_pod *p = some_pod();
    if (!p)
        return;
    p->removal_asked = true;
    struct error err = {0};
    int r = engine_pod_remove(t.engine, p->id, &err);
    expect("remove pod", p->id, r, &err);
    struct pod *found;
    if (r == 0)
        p->gone = true;
    if (r == 0 && engine_pod_find(t.engine, p->id, &found, NULL) == 0)
        wrong("pod %s is there after its removal", p->id);
}

static void call_create(void)
{
    struct told_pod *p = some_pod();
    if (!p)
        return;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    char image_name[] = "image0", name[] = "c0", id[65] = "";
    image_name[5] = (char)('0' + dice(FAKE_IMAGES));
    name[1] = (char)('0' + dice(3));
    metadata.name = name;
    image.image = image_name;
    config.metadata = &metadata;
    config.image = &image;
    struct error err = {0};
    int r = engine_container_create(t.engine, p->id, &config, id, &err);
    expect("create in", p->id, r, &err);
    tell("    %s is %.8s", name, id);
    if (r == 0)
        add_container(id, (int)(p - t.pods));
}

static void call_start(void)
{
    struct told_container *c = some_container();
    if (!c)
        return;
    struct error err = {0};
    int r = engine_container_start(t.engine, c->id, &err);
    expect("start", c->id, r, &err);
    if (r == 0 && c->start_ok)
        wrong("container %s was started twice", c->id);
    if (r == 0)
        c->start_ok = true;
    else if (r != -EINVAL && r != -ENOENT)
        c->start_failed = true;
}

static void call_stop(void)
{
    struct told_container *c = some_container();
    struct error err = {0};
    struct container *found;
    if (!c)
        return;
    int r = engine_container_stop(t.engine, c->id, dice(3), &err);
    expect("stop", c->id, r, &err);
    if (r == 0 && engine_container_find(t.engine, c->id, &found, NULL) == 0 && c->start_ok &&
        found->state == CONTAINER_RUNNING)
        wrong("container %s runs after its stop", c->id);
}

static void call_remove(void)
{
    struct told_container *c = some_container();
    struct error err = {0};
    struct container *found;
    if (!c)
        return;
    c->removal_asked = true;
    int r = engine_container_remove(t.engine, c->id, &err);
    expect("remove", c->id, r, &err);
    if (r == 0)
        c->gone = true;
    if (r == 0 && engine_container_find(t.engine, c->id, &found, NULL) == 0)
        wrong("container %s is there after its removal", c->id);
}

static void call_exec(void)
{
    struct told_container *c = some_container();
    struct error err = {0};
    struct exec_result result = {0};
    char *commands[] = {(char[]){"true"}, (char[]){"false"}, (char[]){"sleep"}};
    uint32_t which = dice(3);
    char *argv[] = {commands[which], NULL};
    if (!c)
        return;
    int r = engine_exec_sync(t.engine, c->id, argv, 1 + dice(2), &result, &err);
    tell("exec %s in %.8s: %d (%d) %s", argv[0], c->id, r, result.exit_code, err.message);
    bool killed = result.exit_code == 137;
    if (r == 0 && !killed && t.world.exit_1_in == 0 && result.exit_code != (which == 1))
        wrong("exec of %s gave %d", argv[0], result.exit_code);
    if (r == 0 && result.exit_code == 0 && t.world.exit_1_in == 0 &&
        !str_eq(buffer_text(&result.out), "out of the exec\n"))
        wrong("exec of %s printed '%s'", argv[0], buffer_text(&result.out));
    buffer_done(&result.out);
    buffer_done(&result.err);
}

static void call_update(void)
{
    struct told_container *c = some_container();
    struct error err = {0};
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    resources.cpu_shares = 2 + dice(1000);
    if (!c)
        return;
    int r = engine_container_update(t.engine, c->id, &resources, &err);
    expect("update", c->id, r, &err);
}

static void call_image(void)
{
    int i = (int)dice(FAKE_IMAGES);
    if (t.images.there[i])
        fake_image_remove(&t.images, i);
    for (int other = 0; other < FAKE_IMAGES; other++)
        t.images.there[other] |= other != i;
}

/* The disk takes nothing for a while. */
static void call_disk(void)
{
    if (t.no_chaos || dice(3))
        return;
    tell("the disk is full");
    limit_files(1);
    co_sleep((int64_t)dice(40) * NSEC_PER_MSEC);
    limit_files(RLIM_INFINITY);
    tell("the disk has room");
}

static void client(void *arg)
{
    static void (*const calls[])(void) = {
        call_run,    call_run,    call_run,      call_create, call_create,
        call_create, call_create, call_start,    call_start,  call_start,
        call_start,  call_stop,   call_stop_pod, call_remove, call_remove_pod,
        call_exec,   call_update, call_image,    call_disk,
    };
    (void)arg;
    while (!t.opened)
        co_sleep(NSEC_PER_MSEC);
    for (int i = 0; i < CALLS && !t.failed; i++) {
        if (dice(3) == 0)
            co_sleep((int64_t)dice(20) * NSEC_PER_MSEC);
        t.calls++;
        calls[dice(ARRAY_SIZE(calls))]();
    }
    t.clients--;
}

/* What must hold */

static void check_told(void)
{
    struct pod *p;
    struct container *c;
    for (int i = 0; i < t.pod_count; i++) {
        bool found = engine_pod_find(t.engine, t.pods[i].id, &p, NULL) == 0;
        if (!found && !t.pods[i].removal_asked)
            wrong("pod %s was lost", t.pods[i].id);
        if (found && t.pods[i].gone)
            wrong("pod %s was removed and is there again", t.pods[i].id);
        t.pods[i].gone |= !found;
    }
    for (int i = 0; i < t.container_count; i++) {
        struct told_container *k = &t.containers[i];
        bool found = engine_container_find(t.engine, k->id, &c, NULL) == 0;
        if (!found && !k->removal_asked && !t.pods[k->pod].removal_asked)
            wrong("container %s was lost", k->id);
        if (found && (k->gone || t.pods[k->pod].gone))
            wrong("container %s was removed and is there again", k->id);
        if (found && k->start_ok && c->state == CONTAINER_CREATED)
            wrong("container %s was started and is in state CREATED", k->id);
        k->gone |= !found;
    }
}

static void check_container(const struct container *c)
{
    struct fake_process *really = world_process(&t.world, c->id, "");
    struct fake_truth *truth = world_truth(&t.world, c->id);
    bool runs = really && really->state == SANDBOX_RUNNING;
    if (!container_told(c->id))
        wrong("container %s was left by a create that failed", c->id);
    if (runs != (c->state == CONTAINER_RUNNING))
        wrong("container %s is in state %d and %s", c->id, (int)c->state,
              runs ? "runs" : "does not run");
    if (runs && c->pid != really->pid)
        wrong("container %s has pid %d, not %d", c->id, c->pid, really->pid);
    if (c->state != CONTAINER_EXITED)
        return;
    bool failed = str_eq(c->reason, "StartError");
    if (failed && container_told(c->id)->start_ok)
        wrong("container %s was started and is a start error", c->id);
    if (!failed && !truth)
        wrong("container %s ended and never ran", c->id);
    else if (str_eq(c->reason, "Unknown")) {
        if (!truth->lost)
            wrong("container %s ended with %u and the engine does not know", c->id, truth->status);
    } else if (!failed && truth->exited && (uint32_t)c->exit_code != truth->status)
        wrong("container %s ended with %u, not %d", c->id, truth->status, c->exit_code);
}

/* All is quiet and the sandboxer there: records and reality are the same. */
static void check_world(void)
{
    struct pod *p;
    struct container *c;
    struct fake_sandbox *s;
    struct fake_process *really;
    int containers = 0;
    list_each(p, engine_pods(t.engine), in_engine)
    {
        s = world_sandbox(&t.world, p->id);
        bool runs = s && s->state == SANDBOX_RUNNING;
        if (!pod_told(p->id))
            wrong("pod %s was left by a run that failed", p->id);
        if (runs != (p->state == POD_READY))
            wrong("pod %s is %s and %s", p->id, p->state == POD_READY ? "ready" : "not ready",
                  runs ? "runs" : "does not run");
        list_each(c, &p->containers, in_pod)
        {
            check_container(c);
            containers++;
        }
    }
    list_each(s, &t.world.sandboxes, link)
    {
        if (engine_pod_find(t.engine, s->id, &p, NULL) < 0)
            wrong("sandbox %s was left at the sandboxer", s->id);
        list_each(really, &s->processes,
                  link) if (*really->exec_id ||
                            engine_container_find(t.engine, really->id, &c, NULL) < 0)
            wrong("process %s %s was left at the sandboxer", really->id, really->exec_id);
    }
    if (t.images.pin_count != containers)
        wrong("%d containers pin images %d times", containers, t.images.pin_count);
}

static bool settled(void)
{
    for (size_t i = 0; i < t.engine->peer_count; i++)
        if (!t.engine->peers[i]->ready)
            return false;
    return t.engine->leftovers.count == 0;
}

/* Waits until clients are through, then until nothing is under way. */
static void settle(void *arg)
{
    (void)arg;
    while (t.clients || !t.opened)
        co_sleep(NSEC_PER_MSEC);
    calm();
    int64_t deadline = clock_mono_ns() + 120 * NSEC_PER_SEC;
    for (int calm_ms = 0; calm_ms < 200;) {
        co_sleep(10 * NSEC_PER_MSEC);
        calm_ms = settled() ? calm_ms + 10 : 0;
        if (clock_mono_ns() > deadline) {
            wrong("leftovers never end");
            break;
        }
    }
    check_told();
    check_world();
    t.quiet = true;
}

static bool has_entries(const char *below)
{
    char command[128];
    snprintf(command, sizeof command, "%s/%s", t.dir, below);
    /* a directory that rmdir takes is empty */
    bool empty = rmdir(command) == 0;
    return !empty;
}

static void remove_all(void *arg)
{
    (void)arg;
    struct error err = {0};
    for (int i = 0; i < t.pod_count; i++)
        if (engine_pod_remove(t.engine, t.pods[i].id, &err) < 0)
            wrong("remove: %s", err.message);
    for (int i = 0; i < 100 && !settled(); i++)
        co_sleep(10 * NSEC_PER_MSEC);
    if (engine_pod_count(t.engine))
        wrong("%zu pods are there after all were removed", engine_pod_count(t.engine));
    if (world_count(&t.world))
        wrong("%u things are at the sandboxer after all were removed", world_count(&t.world));
    if (t.images.pin_count)
        wrong("%d images are pinned after all was removed", t.images.pin_count);
    if (t.engine->keys.count || t.engine->pods.count || t.engine->containers.count ||
        t.engine->execs.count)
        wrong("the engine's tables are not empty after all was removed");
    engine_close(t.engine);
    t.engine = NULL;
    static const char *const dirs[] = {"containers", "pods", "exec"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs) && !t.failed; i++)
        if (has_entries(dirs[i]))
            wrong("%s is not empty after all was removed", dirs[i]);
    t.finished = true;
}

static int count_row(void *arg, const struct pod_row *row, struct error *err)
{
    (void)row;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static int count_container_row(void *arg, const struct container_row *row, struct error *err)
{
    (void)row;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static void check_store(void)
{
    char path[96];
    int rows = 0;
    struct store *store = NULL;
    struct store_reader reader = {count_row, count_container_row, &rows};
    struct error err = {0};
    snprintf(path, sizeof path, "%s/state.db", t.dir);
    if (store_open(&store, path, &reader, &err) < 0)
        wrong("%s", err.message);
    else
        store_abandon(store);
    if (rows)
        wrong("%d rows are in the store after all was removed", rows);
}

/* A seed */

static void chaos(void)
{
    static const unsigned rates[] = {0, 0, 200, 40, 10};
    t.world.fail_1_in = rates[dice(5)];
    t.world.break_1_in = rates[dice(5)];
    t.world.exit_1_in = rates[dice(5)];
    t.world.crash_1_in = rates[dice(5)];
    t.world.lose_1_in = dice(3) ? 0 : 40;
    t.no_chaos = dice(3) == 0;
    if (t.no_chaos)
        calm();
}

static void begin_life(void)
{
    t.lives++;
    t.opened = t.quiet = t.finished = false;
    co_start(open_engine, NULL);
    world_start(&t.world);
    if (!simulate_until(&t.opened, TURNS_MAX))
        wrong("open hangs");
}

static void start_clients(void)
{
    t.clients = CLIENTS;
    for (int i = 0; i < CLIENTS; i++)
        co_start(client, NULL);
}

static void kill_engine(void)
{
    tell("the engine is killed");
    limit_files(RLIM_INFINITY);
    engine_abandon(t.engine);
    simulate_abandon();
    t.engine = NULL;
}

/* One life ends by kill -9 at a random turn, or comes to rest and is checked. */
static void live(bool to_the_end)
{
    begin_life();
    if (t.failed)
        return;
    learn();
    chaos();
    start_clients();
    if (!to_the_end) {
        t.world.kill_1_in = dice(2) ? 30 : 0;
        t.world.kill_engine = false;
        simulate_until(&t.world.kill_engine, dice(dice(3) ? 1500 : 200));
        t.world.kill_1_in = 0;
        kill_engine();
        return;
    }
    co_start(settle, NULL);
    if (!simulate_until(&t.quiet, TURNS_MAX))
        wrong("something hangs: %d clients are not through", t.clients);
    t.quiet = false;
}

static bool run_seed(uint64_t seed)
{
    struct error err = {0};
    uint64_t calls = t.calls, lives = t.lives;
    bool loud = t.loud;
    memset(&t, 0, sizeof t);
    t.calls = calls, t.lives = lives, t.loud = loud, t.seed = seed;
    strcpy(t.dir,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/warren-sim.XXXXXX" : "/tmp/warren-sim.XXXXXX");
    if (!mkdtemp(t.dir))
        abort();
    simulate_begin(seed);
    fake_images_init(&t.images);
    world_init(&t.world);
    t.world.random = dice;
    t.world.tell = t.loud ? tell : NULL;
    for (uint32_t crashes = dice(4); crashes && !t.failed; crashes--)
        live(false);
    if (!t.failed)
        live(true);
    if (!t.failed && dice(2)) { /* the records alone give the same picture */
        kill_engine();
        begin_life();
        co_start(settle, NULL);
        if (!simulate_until(&t.quiet, TURNS_MAX))
            wrong("something hangs after the last crash");
    }
    if (!t.failed) {
        co_start(remove_all, NULL);
        if (!simulate_until(&t.finished, TURNS_MAX))
            wrong("the removal of all hangs");
    }
    if (t.engine)
        engine_abandon(t.engine);
    simulate_abandon();
    if (!t.failed)
        check_store();
    world_done(&t.world);
    if (!getenv("KEEP"))
        dir_remove(AT_FDCWD, t.dir, &err);
    simulate_end();
    return !t.failed;
}

int main(int argc, char **argv)
{
    int64_t seeds = DEFAULT_SEEDS, from = 1, one = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGXFSZ, SIG_IGN);
    diag_init("test-simulation", getenv("SEED") ? DIAG_DEBUG : DIAG_ERROR);
    if (argc > 1 && str_parse_int(argv[1], 1, INT32_MAX, &seeds) < 0)
        return 2;
    if (argc > 2 && str_parse_int(argv[2], 1, INT32_MAX, &from) < 0)
        return 2;
    if (getenv("SEED") && str_parse_int(getenv("SEED"), 1, INT64_MAX, &one) == 0) {
        t.loud = true;
        printf("1..1\n%s 1 - seed %lld\n", run_seed((uint64_t)one) ? "ok" : "not ok",
               (long long)one);
        return t.failed;
    }
    int64_t begin = clock_mono_ns(), failed = 0;
    for (int64_t seed = from; seed < from + seeds && failed < 5; seed++)
        failed += !run_seed((uint64_t)seed);
    printf("1..1\n%s 1 - no pod is lost and nothing is left, whatever happens\n",
           failed ? "not ok" : "ok");
    printf("# %lld seeds, %llu lives of the engine, %llu calls, %.1f s\n", (long long)seeds,
           (unsigned long long)t.lives, (unsigned long long)t.calls,
           (double)(clock_mono_ns() - begin) / 1e9);
    return failed != 0;
}
