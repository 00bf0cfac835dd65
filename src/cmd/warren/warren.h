/* SPDX-License-Identifier: Apache-2.0 */
/* warren, the CLI: docker's command names, flags and output; a client of the Docker Engine API socket. */
#pragma once

#include <stdbool.h>

struct error;

/* Exit codes, as docker's. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 125 };

struct warren {       /* what comes before the subcommand */
    const char *host; /* "unix:///run/warren/warren.sock" */
};

/* One file a subcommand; argv[0] is its name. Each prints its own errors and returns the exit code. */
typedef int warren_command(const struct warren *w, int argc, char **argv);
warren_command command_build, command_images, command_info, command_load, command_rmi, command_save,
    command_tag, command_version;

/* crictl's commands (cri.c): argv[0] is "cri". */
int warren_cri(int argc, char **argv);

/* "warren: TEXT" on standard error; returns EXIT_FAILED. */
int complain(const struct error *err);
/* Says that argument number or flags are wrong; usage is what follows "Usage:  warren ". Returns EXIT_USAGE or EXIT_FAILED. */
int complain_flag(const char *usage, char **argv);
int complain_arguments(const char *command, const char *wanted, const char *usage);
/* --help: prints it; returns EXIT_OK. */
int print_usage(const char *usage, const char *about, const char *options);
