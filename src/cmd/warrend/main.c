/* SPDX-License-Identifier: Apache-2.0 */
/* warrend: the engine. Opens the images and the records, starts the sandboxers, serves CRI by gRPC
 * and the Docker Engine API by HTTP on its sockets. Ending it, by SIGTERM or kill -9, touches
 * nothing that runs. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "cri/cri.h"
#include "docker/docker.h"
#include "engine/engine.h"
#include "image/image.h"
#include "loop/loop.h"
#include "rpc/rpc.h"
#include "sandboxers.h"
#include "settings.h"

#define CONFIG_FILE "/etc/warren/daemon.json"

struct daemon {
    struct settings config;
    struct image_store *images;
    struct sandboxers *sandboxers;
    struct engine *engine;
    struct rpc_server *server;
    struct cri cri;
    struct docker docker;
    int pidfile; /* locked while we run */
    int lock;    /* of data_root */
    uv_signal_t signals[2];
    int result;
};

static void usage(FILE *to)
{
    fputs("Usage: warrend [OPTIONS]\n"
          "\n"
          "The Warren engine: pods and containers by CRI and the Docker Engine API.\n"
          "\n"
          "Options:\n"
          "      --config-file FILE   Configuration (default " CONFIG_FILE ")\n"
          "      --data-root DIR      Images, records, writable layers (default /var/lib/warren)\n"
          "      --exec-root DIR      Sockets and what a reboot forgets (default /run/warren)\n"
          "  -H, --host unix://PATH   Socket to listen on; may be repeated\n"
          "                           (default unix://EXEC-ROOT/warren.sock)\n"
          "  -p, --pidfile FILE       Write the process id there\n"
          "  -l, --log-level LEVEL    debug, info, warn, error or fatal (default info)\n"
          "  -D, --debug              The same as --log-level debug\n"
          "  -v, --version            Print the version and exit\n"
          "  -h, --help               Print this and exit\n",
          to);
}

enum option_value { OPTION_CONFIG = 256, OPTION_DATA, OPTION_EXEC };

struct flags {
    const char *config_file, *data_root, *exec_root, *pidfile;
    char **hosts;
    bool has_level;
    enum diag_level level;
};

static int parse_flag(struct flags *f, int option, struct error *err)
{
    switch (option) {
    case OPTION_CONFIG:
        f->config_file = optarg;
        return 0;
    case OPTION_DATA:
        f->data_root = optarg;
        return *optarg == '/' ? 0
                              : fail_plain(err, EINVAL, "--data-root '%s' is not absolute", optarg);
    case OPTION_EXEC:
        f->exec_root = optarg;
        return *optarg == '/' ? 0
                              : fail_plain(err, EINVAL, "--exec-root '%s' is not absolute", optarg);
    case 'H':
        if (!str_after(optarg, "unix:///"))
            return fail_plain(err, EINVAL, "--host '%s': expected unix:///PATH", optarg);
        return strv_add(&f->hosts, optarg);
    case 'p':
        f->pidfile = optarg;
        return 0;
    case 'D':
        f->has_level = true;
        f->level = DIAG_DEBUG;
        return 0;
    case 'l':
        f->has_level = true;
        if (!diag_parse_level(optarg, &f->level))
            return fail_plain(err, EINVAL,
                              "--log-level '%s': expected debug, info, warn, error or fatal",
                              optarg);
        return 0;
    default:
        return fail_plain(err, EINVAL, "see warrend --help");
    }
}

/* -ECANCELED where --help or --version has been answered. */
static int parse_flags(struct flags *f, int argc, char **argv, struct error *err)
{
    static const struct option options[] = {
        {"config-file", required_argument, NULL, OPTION_CONFIG},
        {"data-root", required_argument, NULL, OPTION_DATA},
        {"exec-root", required_argument, NULL, OPTION_EXEC},
        {"host", required_argument, NULL, 'H'},
        {"pidfile", required_argument, NULL, 'p'},
        {"log-level", required_argument, NULL, 'l'},
        {"debug", no_argument, NULL, 'D'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "H:p:l:Dvh", options, NULL)) != -1;) {
        if (option == 'h' || option == 'v') {
            if (option == 'h')
                usage(stdout);
            else
                puts("Warren version " WARREN_VERSION);
            return -ECANCELED;
        }
        int r = parse_flag(f, option, err);
        if (r < 0)
            return r;
    }
    if (optind < argc)
        return fail_plain(err, EINVAL, "unexpected argument '%s'; see warrend --help",
                          argv[optind]);
    return 0;
}

static int override(char **value, const char *flag, const char *key, struct error *err)
{
    if (!flag)
        return 0;
    if (*value)
        return fail_plain(err, EINVAL,
                          "--%s is given as a flag and in the configuration file; remove one", key);
    *value = strdup(flag);
    return *value ? 0 : fail(err, ENOMEM, "read the flags");
}

static int configure(struct settings *c, const struct flags *f, struct error *err)
{
    c->log_level = DIAG_INFO;
    int r = settings_read(c, f->config_file ? f->config_file : CONFIG_FILE, f->config_file != NULL,
                          err);
    if (r == 0)
        r = override(&c->data_root, f->data_root, "data-root", err);
    if (r == 0)
        r = override(&c->exec_root, f->exec_root, "exec-root", err);
    if (r == 0)
        r = override(&c->pidfile, f->pidfile, "pidfile", err);
    if (r == 0 && f->hosts) {
        if (c->hosts)
            return fail_plain(
                err, EINVAL,
                "--host is given as a flag and as hosts in the configuration file; remove one");
        c->hosts = strv_copy(f->hosts);
        r = c->hosts ? 0 : fail(err, ENOMEM, "read the flags");
    }
    if (f->has_level)
        c->log_level = f->level;
    return r < 0 ? r : settings_default(c, err);
}

static int lock_file(const char *path, int *ret, struct error *err)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fail(err, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? fail_plain(err, EBUSY,
                                "another warrend holds '%s'; stop it first, or use another "
                                "--data-root, --exec-root and --pidfile",
                                path)
                   : fail(err, errno, "lock '%s'", path);
    *ret = take_fd(&fd);
    return 0;
}

static int take_place(struct daemon *d, struct error *err)
{
    const struct settings *c = &d->config;
    int r = dir_make(AT_FDCWD, c->data_root, 0711, err);
    if (r == 0)
        r = dir_make(AT_FDCWD, c->exec_root, 0711, err);
    if (r < 0)
        return r;
    autofree char *lock = str_format("%s/warrend.lock", c->data_root);
    r = lock ? lock_file(lock, &d->lock, err) : fail(err, ENOMEM, "lock the data root");
    if (r < 0 || !c->pidfile)
        return r;
    r = lock_file(c->pidfile, &d->pidfile, err);
    if (r < 0)
        return r;
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", getpid());
    if (ftruncate(d->pidfile, 0) < 0 || pwrite(d->pidfile, pid, (size_t)n, 0) != n)
        return fail(err, errno, "write '%s'", c->pidfile);
    return 0;
}

struct open_images {
    struct daemon *daemon;
    char *dir;
};

static int open_images(void *arg, struct error *err)
{
    struct open_images *o = arg;
    return image_store_open(&o->daemon->images, o->dir, err);
}

static int listen_all(struct daemon *d, struct error *err)
{
    mode_t mode = 0660;
    for (char **host = d->config.hosts; *host; host++) {
        const char *path = str_after(*host, "unix://");
        int r = rpc_server_listen(d->server, path, mode, RPC_GRPC | RPC_HTTP, err);
        if (r < 0)
            return r;
        struct group *group = d->config.group ? getgrnam(d->config.group) : NULL;
        if (d->config.group && !group)
            return fail_plain(err, EINVAL, "group '%s' does not exist on this machine",
                              d->config.group);
        if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
            return fail(err, errno, "give '%s' to group '%s'", path, d->config.group);
        diag_info("listening on %s", *host);
    }
    return 0;
}

static int open_engine(struct daemon *d, struct error *err)
{
    autofree char *images = str_format("%s/image", d->config.data_root);
    struct open_images open = {d, images};
    int r = images ? co_pool(open_images, &open, err) : fail(err, ENOMEM, "open the images");
    if (r < 0)
        return fail_in(err, r, "open the images");
    struct engine_options options = {
        .data_root = d->config.data_root,
        .exec_root = d->config.exec_root,
        .images = d->images,
    };
    r = sandboxers_start(&d->sandboxers, &d->config, &options.handlers, &options.handler_count,
                         err);
    return r < 0 ? r : engine_open(&d->engine, &options, err);
}

static int boot(struct daemon *d, struct error *err)
{
    int r = take_place(d, err);
    if (r == 0)
        r = open_engine(d, err);
    if (r == 0)
        r = rpc_server_new(&d->server, err);
    if (r < 0)
        return r;
    d->cri = (struct cri){.engine = d->engine, .state_dir = d->config.exec_root};
    d->docker = (struct docker){.images = d->images};
    r = cri_serve(d->server, &d->cri, err);
    if (r == 0)
        r = rpc_server_set_http(d->server, docker_serve, &d->docker, err);
    return r < 0 ? r : listen_all(d, err);
}

static void boot_coroutine(void *arg)
{
    struct daemon *d = arg;
    struct error err = {0};
    if (boot(d, &err) == 0) {
        diag_info("ready, version " WARREN_VERSION ", data root %s", d->config.data_root);
        return;
    }
    diag_error("%s", err.message);
    d->result = 1;
    loop_stop();
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    diag_info("signal %d: leaving; what runs goes on", number);
    loop_stop();
}

static void shut_down(struct daemon *d)
{
    rpc_server_free(d->server);
    sandboxers_stop(d->sandboxers);
    for (char **host = d->config.hosts; host && *host; host++)
        if (d->server)
            unlink(str_after(*host, "unix://"));
    if (d->pidfile >= 0)
        unlink(d->config.pidfile);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    static struct daemon d = {.pidfile = -1, .lock = -1};
    struct flags flags = {0};
    diag_init("warrend", DIAG_INFO);
    int r = parse_flags(&flags, argc, argv, &err);
    if (r == -ECANCELED)
        return 0;
    if (r == 0)
        r = configure(&d.config, &flags, &err);
    strv_free(flags.hosts);
    if (r < 0) {
        diag_error("%s", err.message);
        return 1;
    }
    diag_init("warrend", d.config.log_level);
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop_uv(), &d.signals[i]);
        uv_signal_start(&d.signals[i], on_signal, i ? SIGINT : SIGTERM);
    }
    co_start(boot_coroutine, &d);
    loop_run();
    shut_down(&d);
    return d.result;
}
