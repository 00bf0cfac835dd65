/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "cmd/warren/warren.h"

static int run_cri(const struct warren *w, int argc, char **argv)
{
    /* it takes -H as everybody else does, and its own -r as well */
    setenv("WARREN_HOST", w->host, 1);
    return warren_cri(argc, argv);
}

static const struct {
    const char *name;
    warren_command *run;
    const char *about;
} commands[] = {
    {"build", command_build, "Build an image from a Dockerfile"},
    {"cri", run_cri, "Pods and containers by CRI, with crictl's commands"},
    {"images", command_images, "List images"},
    {"info", command_info, "Display what the engine is and runs on"},
    {"load", command_load, "Load images from a tar archive or standard input"},
    {"rmi", command_rmi, "Remove one or more images"},
    {"save", command_save, "Save one or more images to a tar archive"},
    {"tag", command_tag, "Give an image another name"},
    {"version", command_version, "Show the versions of the CLI and the engine"},
};

static void print_help(void)
{
    printf("Usage:  warren [OPTIONS] COMMAND\n\nCommands:\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        printf("  %-10s  %s\n", commands[i].name, commands[i].about);
    printf("\nOptions:\n"
           "  -H, --host string   The engine's socket (default WARREN_HOST, DOCKER_HOST, or\n"
           "                      \"unix:///run/warren/warren.sock\")\n"
           "  -v, --version       Print the version\n\n"
           "Run 'warren COMMAND --help' for more information on a command.\n");
}

int complain(const struct error *err)
{
    if (*err->message)
        fprintf(stderr, "%s\n", err->message);
    return EXIT_FAILED;
}

int complain_flag(const char *usage, char **argv)
{
    (void)argv; /* getopt_long() has said which */
    fprintf(stderr, "\nUsage:  warren %s\n", usage);
    return EXIT_USAGE;
}

int complain_arguments(const char *command, const char *wanted, const char *usage)
{
    fprintf(stderr, "warren: 'warren %s' requires %s\n\nUsage:  warren %s\n", command, wanted,
            usage);
    return EXIT_FAILED;
}

int print_usage(const char *usage, const char *about, const char *options)
{
    printf("Usage:  warren %s\n\n%s\n", usage, about);
    if (*options)
        printf("\nOptions:\n%s", options);
    return EXIT_OK;
}

static const char *default_host(void)
{
    const char *host = getenv("WARREN_HOST");
    if (str_empty(host))
        host = getenv("DOCKER_HOST");
    return str_empty(host) ? "unix:///run/warren/warren.sock" : host;
}

static int run_command(const struct warren *w, int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!str_eq(argv[0], commands[i].name))
            continue;
        optind = 0; /* glibc: begin again, with other options */
        return commands[i].run(w, argc, argv);
    }
    fprintf(stderr,
            "warren: unknown command: warren %s\n\nRun 'warren --help' for more information\n",
            argv[0]);
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    struct warren w = {.host = default_host()};
    signal(SIGPIPE, SIG_IGN);
    for (int c; (c = getopt_long(argc, argv, "+H:hv", options, NULL)) != -1;) {
        switch (c) {
        case 'H':
            w.host = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_OK;
        case 'v':
            printf("Warren version %s\n", WARREN_VERSION);
            return EXIT_OK;
        default:
            return complain_flag("[OPTIONS] COMMAND", argv);
        }
    }
    if (optind == argc || str_eq(argv[optind], "help")) {
        print_help();
        return EXIT_OK;
    }
    int r = run_command(&w, argc - optind, argv + optind);
    if (fflush(stdout) != 0 && r == EXIT_OK) {
        perror("warren: write standard output");
        return EXIT_FAILED;
    }
    return r;
}
