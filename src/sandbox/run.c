/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "loop/loop.h"
#include "sandbox/wire.h"

/* Engines that do not know Watch hold a Wait for each sandbox, all on one connection. */
enum { WAITS_MAX = 100000 };

int sandbox_servers_open(struct sandbox_servers *v, struct sandboxer *s, const char *path,
                         struct error *err)
{
    *v = (struct sandbox_servers){.services = {sandbox_controller_service, sandbox_task_service,
                                               sandbox_task_service, sandbox_extension_service}};
    v->services[2].name = "containerd.task.v3.Task";
    int r = rpc_server_new(&v->rpc, err);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(v->services); i++) {
        v->services[i].context = s;
        r = rpc_server_add(v->rpc, &v->services[i], err);
    }
    if (r == 0) {
        rpc_server_set_streams_max(v->rpc, WAITS_MAX);
        r = rpc_server_listen(v->rpc, path, 0660, RPC_GRPC | RPC_TTRPC, err);
    }
    if (r < 0)
        sandbox_servers_close(v);
    return r;
}

void sandbox_servers_close(struct sandbox_servers *v)
{
    rpc_server_free(take_ptr(&v->rpc));
}

/* Two sandboxers on one directory would each end what the other holds. The descriptor holds the lock. */
static int lock_dir(const char *dir, int *ret_fd, struct error *err)
{
    int r = dir_make(AT_FDCWD, dir, 0700, err);
    if (r < 0)
        return r;
    autoclose int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || fchmod(at, 0700) < 0)
        return fail(err, errno, "open directory '%s'", dir);
    autoclose int fd = openat(at, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(err, errno, "open '%s/lock'", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? fail_plain(err, EBUSY, "another sandboxer uses directory '%s'", dir)
                   : fail(err, errno, "lock '%s/lock'", dir);
    *ret_fd = take_fd(&fd);
    return 0;
}

/* ttrpc+unix:// and the absolute path: engines may run in another directory. */
static int task_address(const char *listen, char **ret, struct error *err)
{
    autofree char *cwd = *listen == '/' ? strdup("") : getcwd(NULL, 0);
    if (!cwd)
        return fail(err, errno, "find the current directory");
    *ret = str_format("ttrpc+unix://%s%s%s", cwd, *listen == '/' ? "" : "/", listen);
    return *ret ? 0 : fail(err, ENOMEM, "make the address of '%s'", listen);
}

struct run {
    struct sandboxer *s;
    const char *listen;
    struct sandbox_servers servers;
    uv_signal_t signals[2];
    unsigned closing;
    int result;
    struct error *err;
};

static void leave(uv_signal_t *handle, int signal)
{
    (void)handle;
    diag_info("leaving on signal %d; what runs goes on", signal);
    loop_stop();
}

static void catch_signals(struct run *run)
{
    const int numbers[] = {SIGTERM, SIGINT};
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uv_signal_init(loop_uv(), &run->signals[i]);
        uv_signal_start(&run->signals[i], leave, numbers[i]);
    }
}

static void signal_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;
    if (--run->closing == 0)
        loop_stop();
}

static void release_signals(struct run *run)
{
    for (size_t i = 0; i < ARRAY_SIZE(run->signals); i++) {
        run->signals[i].data = run;
        run->closing++;
        uv_close((uv_handle_t *)&run->signals[i], signal_closed);
    }
    loop_run();
}

static void begin(void *arg)
{
    struct run *run = arg;
    const struct technique *technique = run->s->technique;
    if (technique->recover)
        run->result = technique->recover(run->s->t, run->s, run->err);
    if (run->result < 0)
        fail_in(run->err, run->result, "find what runs");
    else
        run->result = sandbox_servers_open(&run->servers, run->s, run->listen, run->err);
    if (run->result < 0)
        loop_stop();
    else
        diag_info("serving on %s: %zu sandboxes, %zu containers", run->listen,
                  run->s->sandboxes.count, run->s->processes.count);
}

int sandboxer_run(const struct technique *technique, void *t,
                  const struct sandboxer_options *options, struct error *err)
{
    autoclose int lock = -1;
    autofree char *address = NULL;
    auto(sandboxer) struct sandboxer *s = NULL;
    int r = lock_dir(options->dir, &lock, err);
    if (r == 0)
        r = task_address(options->listen, &address, err);
    if (r == 0)
        r = sandboxer_new(&s, technique, t, address, err);
    if (r < 0)
        return r;
    struct run run = {.s = s, .listen = options->listen, .err = err};
    catch_signals(&run);
    co_start(begin, &run);
    loop_run();
    sandbox_servers_close(&run.servers);
    release_signals(&run);
    return run.result;
}
