/* SPDX-License-Identifier: Apache-2.0 */
/* The sandboxer of the wasm technique. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "config.h"
#include "wasm/wasm.h"

static int usage(int status)
{
    fputs(
        "Usage: warren-wasm --listen SOCKET --dir DIR [--log-level LEVEL] [--config FILE]\n"
        "Runs pods of WebAssembly modules: containerd's Sandbox and Task APIs, and Warren's "
        "extension, on SOCKET.\n\n"
        "  --listen SOCKET      where engines connect\n"
        "  --dir DIR            state, compiled modules, the workers' sockets\n"
        "  --log-level LEVEL    debug, info, warn or error (info)\n"
        "  --config FILE        JSON: tenant, pods-per-worker, threads, memory-limit, cache-size,\n"
        "                       worker-uids, isolation\n"
        "  --help, --version\n",
        status ? stderr : stdout);
    return status;
}

/* warren-wasm-worker lies beside this program. */
static char *find_worker(void)
{
    autofree char *self = realpath("/proc/self/exe", NULL);
    char *slash = self ? strrchr(self, '/') : NULL;
    if (!slash)
        return NULL;
    *slash = 0;
    char *beside = str_format("%s/warren-wasm-worker", self);
    if (beside && access(beside, X_OK) < 0) { /* in the tree that it is built in */
        free(beside);
        beside = str_format("%s/../warren-wasm-worker/warren-wasm-worker", self);
    }
    return beside;
}

/* DIR may be relative, and workers live elsewhere. */
static char *absolute(const char *path)
{
    autofree char *cwd = *path == '/' ? strdup("") : getcwd(NULL, 0);
    return cwd ? str_format("%s%s%s", cwd, *path == '/' ? "" : "/", path) : NULL;
}

static int run(const char *listen, const char *dir, const char *config, struct error *err)
{
    struct wasm *w = NULL;
    autofree char *worker = find_worker();
    autofree char *full = absolute(dir);
    if (!worker || !full)
        return fail(err, ENOMEM, "set up");
    if (access(worker, X_OK) < 0)
        return fail(err, errno, "find the worker program '%s'", worker);
    struct wasm_options options = {.dir = full,
                                   .worker = worker,
                                   .pods_per_worker = WASM_PODS_PER_WORKER,
                                   .memory_limit = WASM_MEMORY_LIMIT,
                                   .cache_size = WASM_CACHE_SIZE,
                                   .uids = WASM_UIDS,
                                   .debug = diag_enabled(DIAG_DEBUG)};
    int r = config ? config_read(config, &options, err) : 0;
    if (!r)
        r = wasm_new(&w, &options, err);
    if (r < 0)
        return r;
    struct sandboxer_options served = {.listen = listen, .dir = full};
    r = sandboxer_run(&wasm_technique, w, &served, err);
    wasm_free(w);
    return r;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"log-level", required_argument, NULL, 'L'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *listen = NULL, *dir = NULL, *config = NULL;
    enum diag_level level = DIAG_INFO;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            listen = optarg;
            break;
        case 'd':
            dir = optarg;
            break;
        case 'L':
            if (!diag_parse_level(optarg, &level)) {
                fprintf(stderr, "warren-wasm: '%s' is no log level\n", optarg);
                return 2;
            }
            break;
        case 'c':
            config = optarg;
            break;
        case 'v':
            puts("warren-wasm " WARREN_VERSION);
            return 0;
        case 'h':
            return usage(0);
        default:
            return usage(2);
        }
    }
    if (!listen || !dir || optind < argc)
        return usage(2);
    struct error err = {0};
    diag_init("warren-wasm", level);
    if (run(listen, dir, config, &err) < 0) {
        diag_error("%s", err.message);
        return 1;
    }
    return 0;
}
