/* SPDX-License-Identifier: Apache-2.0 */
/* Holds wasm pods for warren-wasm, or compiles one module. Not for users: started by the supervisor. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "processes.h"
#include "wasm/confine/confine.h"
#include "wasm/files/files.h"
#include "wasm/worker/worker.h"

static int usage(int status)
{
    fputs(
        "Usage: warren-wasm-worker --listen-fd FD --files-fd FD --key KEY [--threads N] [--dir "
        "DIR] [CONFINEMENT]\n"
        "       warren-wasm-worker --compile dense|busy [CONFINEMENT] <MODULE >COMPILED\n"
        "CONFINEMENT: --uids FIRST (each process is of FIRST plus its pid), --isolation-required, "
        "--debug\n"
        "Holds WebAssembly pods for warren-wasm, which starts it.\n",
        status ? stderr : stdout);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen-fd", required_argument, NULL, 'l'},
                                            {"files-fd", required_argument, NULL, 'f'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"compile", required_argument, NULL, 'c'},
                                            {"uids", required_argument, NULL, 'u'},
                                            {"isolation-required", no_argument, NULL, 'r'},
                                            {"debug", no_argument, NULL, 'D'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct worker_options worker = {.listen = -1};
    struct files_options files = {.listen = -1};
    struct confine confine = {0};
    bool compiles = false;
    enum wasm_profile profile = WASM_DENSE;
    int64_t n;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            if (str_parse_int(optarg, 0, INT32_MAX, &n) < 0)
                return usage(2);
            worker.listen = (int)n;
            break;
        case 'f':
            if (str_parse_int(optarg, 0, INT32_MAX, &n) < 0)
                return usage(2);
            files.listen = (int)n;
            break;
        case 't':
            if (str_parse_int(optarg, 0, 1024, &n) < 0)
                return usage(2);
            worker.threads = (unsigned)n;
            break;
        case 'k': /* for who reads the list of processes: whose worker it is, of which sandboxer */
        case 'd':
            break;
        case 'c':
            compiles = true;
            if (!wasm_profile_parse(optarg, &profile))
                return usage(2);
            break;
        case 'u':
            if (str_parse_int(optarg, 0, UINT32_MAX - CONFINE_UIDS, &n) < 0)
                return usage(2);
            confine.uids = (uint32_t)n;
            break;
        case 'r':
            confine.required = true;
            break;
        case 'D':
            confine.debug = true;
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
    diag_init("warren-wasm-worker", DIAG_INFO);
    if (!compiles && (worker.listen < 0 || files.listen < 0))
        return usage(2);
    /* threads go on to the end */
    _exit(compiles ? compile_apart(&confine, profile)
                   : hold_apart(&worker, &files, &confine, argv[0]));
}
