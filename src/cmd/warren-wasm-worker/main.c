/* SPDX-License-Identifier: Apache-2.0 */
/* Holds wasm pods for warren-wasm, or compiles one module. Not for users: started by the supervisor. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/base.h"
#include "wasm/worker/compile.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/worker.h"

enum { COMPILE_CPU_S = 240 };
#if !defined(__SANITIZE_ADDRESS__)
#define COMPILE_DATA (UINT64_C(4) << 30)
#endif

static int usage(int status)
{
    fputs("Usage: warren-wasm-worker --listen-fd FD --key KEY [--threads N] [--dir DIR]\n"
          "       warren-wasm-worker --compile <MODULE >COMPILED\n"
          "Holds WebAssembly pods for warren-wasm, which starts it.\n",
          status ? stderr : stdout);
    return status;
}

/* One module in, one compiled file out; bounded, since a module is anybody's. */
static int compile(void)
{
    struct error err = {0};
    struct rlimit cpu = {COMPILE_CPU_S, COMPILE_CPU_S};
    setrlimit(RLIMIT_CPU, &cpu);
#if !defined(__SANITIZE_ADDRESS__) /* its shadow counts as data */
    struct rlimit data = {COMPILE_DATA, COMPILE_DATA};
    setrlimit(RLIMIT_DATA, &data);
#endif
    int r = runtime_compile(0, 1, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.message);
    return r == -ENOEXEC ? COMPILE_INVALID : r < 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen-fd", required_argument, NULL, 'l'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"compile", no_argument, NULL, 'c'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct worker_options worker = {.listen = -1, .key = ""};
    bool compiles = false;
    int64_t n;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            if (str_parse_int(optarg, 0, INT32_MAX, &n) < 0)
                return usage(2);
            worker.listen = (int)n;
            break;
        case 'k':
            worker.key = optarg;
            break;
        case 't':
            if (str_parse_int(optarg, 0, 1024, &n) < 0)
                return usage(2);
            worker.threads = (unsigned)n;
            break;
        case 'd': /* for who reads the list of processes: whose worker it is */
            break;
        case 'c':
            compiles = true;
            break;
        case 'v':
            puts("warren-wasm-worker " WARREN_VERSION);
            return 0;
        case 'h':
            return usage(0);
        default:
            return usage(2);
        }
    }
    struct error err = {0};
    diag_init("warren-wasm-worker", DIAG_INFO);
    hibernate_init();
    if (worker_confine(&err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (compiles)
        return compile();
    if (worker.listen < 0)
        return usage(2);
    int r = worker_run(&worker, &err);
    if (r < 0)
        diag_error("%s", err.message);
    _exit(r < 0); /* threads of the scheduler go on to the end */
}
