/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm_lab.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/wasm.h"

struct wasm_lab lab;

void lab_die(const struct error *err)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
    exit(1);
}

static void copy_module(const char *from, const char *name)
{
    struct error err = {0};
    auto(buffer) struct buffer b = {0};
    autofree char *to = str_format("%s/rootfs/%s", lab.dir, name);
    if (file_read(AT_FDCWD, from, 1 << 28, &b, &err) < 0 ||
        file_replace(AT_FDCWD, to, b.data, b.len, 0755, false, &err) < 0)
        lab_die(&err);
}

void lab_open(const char *module, const char *name)
{
    static const char *const dirs[] = {"rootfs", "logs"};
    struct error err = {0};
    strcpy(lab.dir, "/tmp/warren-wasm-bench.XXXXXX");
    if (!mkdtemp(lab.dir)) {
        fail(&err, errno, "make a directory");
        lab_die(&err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        autofree char *d = str_format("%s/%s", lab.dir, dirs[i]);
        if (dir_make(AT_FDCWD, d, 0755, &err) < 0)
            lab_die(&err);
    }
    copy_module(module, name);
    autofree char *self = realpath("/proc/self/exe", NULL);
    *strrchr(self, '/') = 0;
    autofree char *worker = str_format("%s/../src/cmd/warren-wasm-worker/warren-wasm-worker", self);
    struct wasm_options options = {.dir = lab.dir,
                                   .worker = worker,
                                   .pods_per_worker = WASM_PODS_PER_WORKER,
                                   .memory_limit = WASM_MEMORY_LIMIT,
                                   .cache_size = WASM_CACHE_SIZE,
                                   .uids = WASM_UIDS};
    if (wasm_new(&lab.wasm, &options, &err) < 0 ||
        sandboxer_new(&lab.sandboxer, &wasm_technique, lab.wasm, "none", &err) < 0)
        lab_die(&err);
}

void lab_close(void)
{
    sandboxer_free(lab.sandboxer);
    wasm_free(lab.wasm);
    dir_remove(AT_FDCWD, lab.dir, NULL);
}

void lab_recover(void)
{
    struct error err = {0};
    if (wasm_technique.recover(lab.wasm, lab.sandboxer, &err) < 0)
        lab_die(&err);
}

void lab_start_pod(const char *id)
{
    struct error err = {0};
    struct sandbox_request pod = {.id = id, .netns_path = ""};
    if (sandboxer_create(lab.sandboxer, &pod, &err) < 0 ||
        sandboxer_start(lab.sandboxer, id, NULL, &err) < 0)
        lab_die(&err);
}

void lab_start(const char *pod, const char *id, const char *process, const char *more)
{
    struct error err = {0};
    pid_t pid;
    autofree char *spec =
        str_format("{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/\",%s}%s}", process, more);
    autofree char *lower = str_format("lowerdir=%s/rootfs", lab.dir);
    autofree char *upper = str_format("upperdir=%s/up/%s", lab.dir, id);
    autofree char *log = str_format("log+cri://%s/logs/%s", lab.dir, id);
    char *options[] = {lower, upper, NULL};
    struct mount_request rootfs = {.type = (char *)"overlay", .options = options};
    struct process_request request = {.id = id,
                                      .exec_id = "",
                                      .sandbox_id = pod,
                                      .stdin_ = "",
                                      .stdout_ = log,
                                      .stderr_ = log,
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec),
                                      .rootfs = &rootfs,
                                      .rootfs_count = 1};
    if (process_create(lab.sandboxer, &request, &pid, &err) < 0 ||
        process_start(lab.sandboxer, id, "", &pid, &err) < 0)
        lab_die(&err);
}
