/* SPDX-License-Identifier: Apache-2.0 */
/* version and info */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "base/base.h"
#include "cmd/warren/client.h"
#include "cmd/warren/human.h"
#include "cmd/warren/warren.h"
#include "docker/docker.h"
#include "docker/messages.h"
#include "image/json.h"

static const char version_usage[] = "version [OPTIONS]";
static const char info_usage[] = "info [OPTIONS]";

/* --format json is the only option of both. 0 to go on, else the exit code + 1. */
static int read_options(int argc, char **argv, const char *usage, const char *about, bool *json)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "f:h", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(usage, about, "  -f, --format string   \"json\"\n") + 1;
        if (c != 'f')
            return complain_flag(usage, argv) + 1;
        *json = str_eq(optarg, "json");
        if (!*json) {
            fprintf(stderr, "--format %s: only \"json\" is supported yet\n", optarg);
            return EXIT_FAILED + 1;
        }
    }
    if (optind == argc)
        return 0;
    return complain_arguments(argv[0], "no arguments", usage) + 1;
}

static void client_version(struct version_message *v, struct utsname *u, char api[16])
{
    uname(u);
    snprintf(api, 16, "%d.%d", DOCKER_API_MAJOR, DOCKER_API_MINOR);
    *v = (struct version_message){.version = WARREN_VERSION,
                                  .api_version = api,
                                  .os = "linux",
                                  .architecture =
                                      str_eq(u->machine, "x86_64") ? "amd64" : u->machine};
}

static void print_json_object(json_object *o)
{
    auto(buffer) struct buffer text = {0};
    if (json_print(o, &text) == 0)
        fputs(buffer_text(&text), stdout);
}

int command_version(const struct warren *w, int argc, char **argv)
{
    struct error err = {0};
    struct version_message client, server = {0};
    struct utsname u;
    char api[16];
    auto(json) json_object *answer = NULL;
    bool json = false;
    int r = read_options(argc, argv, version_usage, "Show the versions of the CLI and the engine",
                         &json);
    if (r)
        return r - 1;
    client_version(&client, &u, api);
    r = client_json(w->host, "GET", "/version", &answer, &err);
    if (json) {
        auto(json) json_object *o = json_object_new_object();
        json_object_object_add(o, "Client", version_json(&client));
        json_object_object_add(o, "Server", json_object_get(answer));
        print_json_object(o);
        return r < 0 ? complain(&err) : EXIT_OK;
    }
    printf("Client: Warren\n Version:           %s\n API version:       %s\n OS/Arch:           "
           "%s/%s\n",
           client.version, client.api_version, client.os, client.architecture);
    if (r < 0) {
        fflush(stdout);
        return complain(&err);
    }
    version_read(answer, &server);
    printf("\nServer: Warren\n Engine:\n  Version:          %s\n  API version:      %s (minimum "
           "version "
           "%s)\n  OS/Arch:          %s/%s\n  Kernel:           %s\n",
           str_or_empty(server.version), str_or_empty(server.api_version),
           str_or_empty(server.min_api_version), str_or_empty(server.os),
           str_or_empty(server.architecture), str_or_empty(server.kernel));
    return EXIT_OK;
}

int command_info(const struct warren *w, int argc, char **argv)
{
    struct error err = {0};
    auto(json) json_object *o = NULL;
    char memory[HUMAN_MAX];
    bool json = false;
    int r = read_options(argc, argv, info_usage, "Display what the engine is and runs on", &json);
    if (r)
        return r - 1;
    if (client_json(w->host, "GET", "/info", &o, &err) < 0)
        return complain(&err);
    if (json) {
        print_json_object(o);
        return EXIT_OK;
    }
    static const struct {
        const char *label, *name;
    } texts[] = {{"Server Version", "ServerVersion"}, {"Storage Driver", "Driver"},
                 {"Kernel Version", "KernelVersion"}, {"OSType", "OSType"},
                 {"Architecture", "Architecture"},    {"Name", "Name"}};
    printf("Images: %lld\n", (long long)json_number(o, "Images", 0));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        printf("%s: %s\n", texts[i].label, str_or_empty(json_text(o, texts[i].name)));
    printf("CPUs: %lld\nTotal Memory: %s\n", (long long)json_number(o, "NCPU", 0),
           human_size((uint64_t)json_number(o, "MemTotal", 0), memory));
    return EXIT_OK;
}
