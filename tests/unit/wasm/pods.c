/* SPDX-License-Identifier: Apache-2.0 */
#include "pods.h"

#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"

struct pods pods;

static void put_file(const char *path, const char *text)
{
    struct error err = {0};
    if (file_replace(AT_FDCWD, path, text, strlen(text), 0644, false, &err) < 0)
        give_up("%s", err.message);
}

static char *in_dir(const char *path)
{
    return arena_printf(&pods.paths, "%s/%s", pods.dir, path);
}

static void make_layers(void)
{
    static const char *const guests[] = {"guest", "wasi",    "hibernate", "missing",  "divide",
                                         "tiny",  "large",   "recurse",   "outside",  "reactor",
                                         "echo",  "compute", "fill",      "starting", "grow",
                                         "calls", "opening"};
    for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
        auto(buffer) struct buffer b = {0};
        autofree char *from = str_format("%s/%s.wasm", getenv("WARREN_WASM_GUESTS"), guests[i]);
        autofree char *to = str_format("%s/base/%s.wasm", pods.dir, guests[i]);
        assert_int_equal(file_read(AT_FDCWD, from, 1 << 24, &b, NULL), 0);
        assert_int_equal(file_replace(AT_FDCWD, to, b.data, b.len, 0755, false, NULL), 0);
    }
    put_file(in_dir("base/etc/motd"), "from base\n");
    put_file(in_dir("base/etc/hidden"), "hidden\n");
    put_file(in_dir("base/opaque/below"), "below\n");
    put_file(in_dir("base/text"), "this is no module\n");
    put_file(in_dir("top/etc/top"), "from top\n");
    put_file(in_dir("top/opaque/above"), "above\n");
    put_file(in_dir("volume/data"), "of the host\n");
    assert_int_equal(mknod(in_dir("top/etc/hidden"), S_IFCHR, 0), 0);
    assert_int_equal(setxattr(in_dir("top/opaque"), "trusted.overlay.opaque", "y", 1, 0), 0);
    assert_int_equal(symlink("etc/motd", in_dir("top/link")), 0);
    assert_int_equal(symlink("/etc/../../../../../../etc/top", in_dir("top/absolute")), 0);
    assert_int_equal(symlink("../../../../etc/shadow", in_dir("volume/way-out")), 0);
}

static void open_supervisor(void)
{
    struct error err = {0};
    struct wasm_options options = {.dir = pods.dir,
                                   .worker = getenv("WARREN_WASM_WORKER"),
                                   .pods_per_worker = WASM_PODS_PER_WORKER,
                                   .memory_limit = WASM_MEMORY_LIMIT,
                                   .cache_size = WASM_CACHE_SIZE,
                                   .uids = WASM_UIDS};
    if (wasm_new(&pods.wasm, &options, &err) < 0 ||
        sandboxer_new(&pods.sandboxer, &wasm_technique, pods.wasm, "none", &err) < 0)
        give_up("%s", err.message);
}

static void recover(void)
{
    struct error err = {0};
    if (wasm_technique.recover(pods.wasm, pods.sandboxer, &err) < 0)
        give_up("%s", err.message);
}

int pods_setup(void **state)
{
    (void)state;
    static const char *const dirs[] = {"base/etc",   "base/opaque", "top/etc",
                                       "top/opaque", "volume",      "logs"};
    strcpy(pods.dir, "/tmp/warren-wasm.XXXXXX");
    if (!mkdtemp(pods.dir))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        if (dir_make(AT_FDCWD, in_dir(dirs[i]), 0755, NULL) < 0)
            return -1;
    }
    make_layers();
    open_supervisor();
    pods_run(recover);
    return 0;
}

static void shut_all(void)
{
    struct sandbox *sb;
    while ((sb = list_first(&pods.sandboxer->all, struct sandbox, table)))
        if (sandboxer_shutdown(pods.sandboxer, sb->id, NULL) < 0)
            break;
}

int pods_teardown(void **state)
{
    (void)state;
    pods_run(shut_all);
    sandboxer_free(pods.sandboxer);
    wasm_free(pods.wasm); /* the workers see it, and end: they hold nothing */
    uv_run(loop_uv(), UV_RUN_NOWAIT);
    arena_done(&pods.paths);
    return dir_remove(AT_FDCWD, pods.dir, NULL);
}

int64_t pods_patience(int64_t ns)
{
    double load = 0;
    getloadavg(&load, 1);
#if defined(__SANITIZE_ADDRESS__)
    load = 4 * load + 8;
#endif
    return ns * (1 + (int64_t)load);
}

static void restart(void)
{
    sandboxer_free(pods.sandboxer);
    wasm_free(pods.wasm);
    open_supervisor();
    recover();
}

void pods_restart(void)
{
    restart();
}

static void body_of(void *arg)
{
    void (**body)(void) = arg;
    (*body)();
    loop_stop();
}

void pods_run(void (*body)(void))
{
    co_start(body_of, &body);
    loop_run();
}

void pod_start(const char *id, const char *namespace_)
{
    pod_start_with(id, namespace_, 0, 0);
}

void pod_start_with(const char *id, const char *namespace_, int64_t shares, int64_t quota)
{
    struct error err = {0};
    uint8_t packed[512];
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    metadata.namespace_ = (char *)(uintptr_t)namespace_;
    config.metadata = &metadata;
    Runtime__V1__LinuxPodSandboxConfig linux_ = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    resources.cpu_shares = shares;
    resources.cpu_quota = quota;
    linux_.resources = &resources;
    config.linux = &linux_;
    struct sandbox_request request = {.id = id, .config = packed, .netns_path = ""};
    request.config_len = runtime__v1__pod_sandbox_config__pack(&config, packed);
    if (sandboxer_create(pods.sandboxer, &request, &err) < 0 ||
        sandboxer_start(pods.sandboxer, id, NULL, &err) < 0)
        give_up("%s", err.message);
}

void pod_remove(const char *id)
{
    struct error err = {0};
    if (sandboxer_shutdown(pods.sandboxer, id, &err) < 0)
        give_up("%s", err.message);
}

static void put_args(struct buffer *b, const char *const *args)
{
    for (size_t i = 0; args[i]; i++)
        buffer_printf(b, "%s\"%s\"", i ? "," : "", args[i]);
}

int container_create(const struct container_spec *c, struct error *err)
{
    auto(buffer) struct buffer spec = {0};
    buffer_printf(&spec,
                  "{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/\",\"env\":%s,\"args\":[",
                  c->env ? c->env : "[]");
    put_args(&spec, c->args);
    buffer_printf(&spec, "]%s}%s}", c->process ? c->process : "", c->more ? c->more : "");
    autofree char *lower = str_format("lowerdir=%s/top:%s/base", pods.dir, pods.dir);
    autofree char *upper = str_format("upperdir=%s/up-%s/upper", pods.dir, c->id);
    autofree char *work = str_format("workdir=%s/up-%s/work", pods.dir, c->id);
    autofree char *log = str_format("log+cri://%s/logs/%s", pods.dir, c->id);
    char *options[] = {lower, upper, work, NULL};
    struct mount_request rootfs = {
        .type = (char *)"overlay", .source = (char *)"overlay", .options = options};
    struct process_request request = {.id = c->id,
                                      .exec_id = "",
                                      .sandbox_id = c->pod,
                                      .stdin_ = c->input ? c->input : "",
                                      .stdout_ = log,
                                      .stderr_ = log,
                                      .bundle = "",
                                      .spec = spec.data,
                                      .spec_len = spec.len,
                                      .rootfs = &rootfs,
                                      .rootfs_count = 1};
    pid_t pid;
    return process_create(pods.sandboxer, &request, &pid, err);
}

void container_start(const char *id)
{
    struct error err = {0};
    pid_t pid;
    if (process_start(pods.sandboxer, id, "", &pid, &err) < 0)
        give_up("%s", err.message);
}

uint32_t container_wait(const char *id, char **ret_message)
{
    struct error err = {0};
    struct process *p = NULL;
    if (process_wait(pods.sandboxer, id, "", NULL, &p, &err) < 0)
        give_up("%s", err.message);
    uint32_t status = p->exit_status;
    if (ret_message)
        *ret_message = strdup(str_or_empty(p->message));
    process_unref(p);
    return status;
}

void container_remove(const char *id)
{
    struct error err = {0};
    if (process_delete(pods.sandboxer, id, "", NULL, &err) < 0)
        give_up("%s", err.message);
}

char *container_log(const char *id)
{
    auto(buffer) struct buffer file = {0};
    auto(buffer) struct buffer text = {0};
    autofree char *path = str_format("%s/logs/%s", pods.dir, id);
    buffer_puts(&text, "");
    if (file_read(AT_FDCWD, path, 1 << 24, &file, NULL) == 0)
        for (char *line = (char *)file.data, *end; line && (end = strchr(line, '\n'));
             line = end + 1) {
            char *space = strchr(line, ' ');
            if (space && space < end)
                buffer_append(&text, space + 1, (size_t)(end - space));
        }
    return buffer_take_text(&text);
}

uint32_t container_run(const struct container_spec *c, char **ret_out)
{
    struct error err = {0};
    if (container_create(c, &err) < 0)
        give_up("%s", err.message);
    container_start(c->id);
    uint32_t status = container_wait(c->id, NULL);
    *ret_out = container_log(c->id);
    container_remove(c->id);
    return status;
}

void container_expect_log(const char *id, const char *text)
{
    for (int i = 0; i < 1000; i++) {
        autofree char *log = container_log(id);
        if (strstr(log, text))
            return;
        co_sleep(5 * NSEC_PER_MSEC);
    }
    autofree char *log = container_log(id);
    give_up("no '%s' in the log of %s: %s", text, id, log);
}

static void start_pod(void)
{
    pod_start("pod", "default");
}

int pods_setup_with_pod(void **state)
{
    int r = pods_setup(state);
    if (!r)
        pods_run(start_pod);
    return r;
}
