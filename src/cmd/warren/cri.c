/* SPDX-License-Identifier: Apache-2.0 */
/* warren cri: the flags before the command, the table of commands, and the end of the program. */
#include "cmd/warren/cri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cmd/warren/warren.h"
#include "loop/loop.h"

static int refuse_streaming(struct cri *c, int argc, char **argv, struct error *err)
{
    (void)argc, (void)argv;
    return fail_plain(err, EOPNOTSUPP, "%s needs streaming, which Warren does not have yet",
                      c->command);
}

static const struct cri_command commands[] = {
    {"attach", NULL, "CONTAINER-ID", "Attach to a running container", refuse_streaming},
    {"create", NULL, "POD container-config.json pod-config.json", "Create a new container",
     cri_create},
    {"exec", NULL, "CONTAINER-ID COMMAND [ARG...]", "Run a command in a running container",
     cri_exec},
    {"version", NULL, NULL, "Display runtime version information", cri_version},
    {"images", "image", "[REPOSITORY[:TAG]]", "List images", cri_images},
    {"img", NULL, "[REPOSITORY[:TAG]]", "List images", cri_images},
    {"inspect", NULL, "CONTAINER-ID [CONTAINER-ID...]",
     "Display the status of one or more containers", cri_inspect},
    {"inspecti", NULL, "IMAGE-ID [IMAGE-ID...]", "Return the status of one or more images",
     cri_inspecti},
    {"imagefsinfo", NULL, NULL, "Return image filesystem info", cri_imagefsinfo},
    {"inspectp", NULL, "POD-ID [POD-ID...]", "Display the status of one or more pods",
     cri_inspectp},
    {"logs", NULL, "CONTAINER-ID", "Fetch the logs of a container", cri_logs},
    {"port-forward", NULL, "POD-ID [LOCAL_PORT:]REMOTE_PORT", "Forward local port to a pod",
     refuse_streaming},
    {"ps", NULL, NULL, "List containers", cri_ps},
    {"pull", NULL, "NAME[:TAG|@DIGEST]", "Pull an image from a registry", cri_pull},
    {"run", NULL, "container-config.json pod-config.json", "Run a new container inside a sandbox",
     cri_run_container},
    {"runp", NULL, "pod-config.json", "Run a new pod", cri_runp},
    {"rm", NULL, "CONTAINER-ID [CONTAINER-ID...]", "Remove one or more containers", cri_rm},
    {"rmi", NULL, "IMAGE-ID [IMAGE-ID...]", "Remove one or more images", cri_rmi},
    {"rmp", NULL, "POD-ID [POD-ID...]", "Remove one or more pods", cri_rmp},
    {"pods", NULL, NULL, "List pods", cri_pods},
    {"start", NULL, "CONTAINER-ID [CONTAINER-ID...]", "Start one or more created containers",
     cri_start},
    {"info", NULL, NULL, "Display information of the container runtime", cri_info},
    {"stop", NULL, "CONTAINER-ID [CONTAINER-ID...]", "Stop one or more running containers",
     cri_stop},
    {"stopp", NULL, "POD-ID [POD-ID...]", "Stop one or more running pods", cri_stopp},
    {"update", NULL, "CONTAINER-ID [CONTAINER-ID...]", "Update one or more running containers",
     cri_update},
    {"stats", NULL, "[ID]", "List container(s) resource usage statistics", cri_stats},
    {"statsp", NULL, "[ID]", "List pod statistics", cri_statsp},
    {"events", "event", NULL, "Stream the events of containers", cri_events},
    {"runtime-config", NULL, NULL, "Retrieve the container runtime configuration",
     cri_runtime_config},
    {"update-runtime-config", NULL, NULL, "Update the runtime configuration",
     cri_update_runtime_config},
    {0},
};

static void print_help(const struct cri_option *options, size_t count)
{
    printf("NAME:\n   warren cri - client for CRI, with crictl's commands\n\n"
           "USAGE:\n   warren cri [global options] command [command options] [arguments...]\n\n"
           "COMMANDS:\n");
    for (const struct cri_command *c = commands; c->name; c++)
        printf("   %-22s %s\n", c->name, c->about);
    printf("\nGLOBAL OPTIONS:\n");
    for (size_t i = 0; i < count; i++)
        printf("   --%s, -%c%*s %s\n", options[i].name, options[i].letter,
               (int)(20 - strlen(options[i].name)), "", options[i].about);
}

static const struct cri_command *find_command(const char *name)
{
    for (const struct cri_command *c = commands; c->name; c++)
        if (str_eq(c->name, name) || (c->alias && str_eq(c->alias, name)))
            return c;
    return NULL;
}

/* Settings */

struct settings {
    const char *runtime, *image, *timeout, *config;
    bool debug;
    struct buffer file; /* what they may point into */
};

/* crictl.yaml: "key: value" lines. */
static int read_config(struct settings *s, struct error *err)
{
    int r = file_read(AT_FDCWD, s->config, 1 << 20, &s->file, err);
    if (r < 0)
        return r;
    char *rest = NULL;
    for (char *line = s->file.data ? strtok_r((char *)s->file.data, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, ':');
        if (!value || *line == '#')
            continue;
        *value++ = 0;
        value += strspn(value, " \t\"'");
        value[strcspn(value, "\"' \t\r")] = 0;
        if (str_eq(line, "runtime-endpoint") && !s->runtime && *value)
            s->runtime = value;
        else if (str_eq(line, "image-endpoint") && !s->image && *value)
            s->image = value;
        else if (str_eq(line, "timeout") && !s->timeout && *value && !str_eq(value, "0"))
            s->timeout = value;
    }
    return 0;
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return str_empty(value) ? NULL : value;
}

/* "2s", "1m", "500ms", or seconds. */
static int parse_timeout(const char *text, int64_t *ret_ns, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", NSEC_PER_MSEC},
                 {"s", NSEC_PER_SEC},
                 {"", NSEC_PER_SEC},
                 {"m", 60 * NSEC_PER_SEC},
                 {"h", 3600 * NSEC_PER_SEC}};
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    for (size_t i = 0; i < ARRAY_SIZE(units) && end != text && value >= 0 && value < 1e6; i++)
        if (str_eq(end, units[i].unit)) {
            *ret_ns = (int64_t)(value * (double)units[i].ns);
            return 0;
        }
    return fail_plain(err, EINVAL, "--timeout: expected a time as 2s or 500ms, found '%s'", text);
}

static int settle(struct settings *s, struct cri *c, struct error *err)
{
    int r = 0;
    if (!s->runtime)
        s->runtime = from_environment("CONTAINER_RUNTIME_ENDPOINT");
    if (!s->image)
        s->image = from_environment("IMAGE_SERVICE_ENDPOINT");
    if (!s->config)
        s->config = from_environment("CRI_CONFIG_FILE");
    if (s->config)
        r = read_config(s, err);
    if (r == 0 && s->timeout)
        r = parse_timeout(s->timeout, &c->timeout_ns, err);
    if (!s->runtime)
        s->runtime = from_environment("WARREN_HOST");
    if (!s->runtime)
        s->runtime = "unix:///run/warren/warren.sock";
    if (!s->image)
        s->image = s->runtime;
    return r;
}

static int make_client(const char *endpoint, struct rpc_client **ret, struct error *err)
{
    const char *path = str_after(endpoint, "unix://");
    if (!path && *endpoint == '/')
        path = endpoint;
    if (!path)
        return fail_plain(err, EINVAL, "endpoint '%s': expected unix://PATH", endpoint);
    return rpc_client_new(ret, RPC_GRPC, path, err);
}

/* Running */

struct job {
    struct cri cri;
    const struct cri_command *command;
    int argc;
    char **argv;
    int result;
};

static void run(void *arg)
{
    struct job *j = arg;
    struct error err = {0};
    j->result = j->command->run(&j->cri, j->argc, j->argv, &err);
    if (j->result < 0) {
        fflush(stdout);
        fprintf(stderr, "FATA[0000] %s\n", err.message);
        j->result = EXIT_FAILED;
    }
    if (j->cri.image != j->cri.runtime)
        rpc_client_free(j->cri.image);
    rpc_client_free(j->cri.runtime);
    loop_stop();
}

static int start(struct job *j, const struct settings *s, struct error *err)
{
    int r = make_client(s->runtime, &j->cri.runtime, err);
    if (r < 0)
        return r;
    j->cri.image = j->cri.runtime;
    if (!str_eq(s->image, s->runtime)) {
        r = make_client(s->image, &j->cri.image, err);
        if (r < 0)
            return r;
    }
    co_start(run, j);
    loop_run();
    arena_done(&j->cri.arena);
    return j->result;
}

int warren_cri(int argc, char **argv)
{
    struct settings s = {0};
    struct error err = {0};
    struct job j = {.cri.commands = commands};
    const struct cri_option options[] = {
        {"config", 'c', CRI_TEXT, &s.config, "crictl.yaml to read [CRI_CONFIG_FILE]"},
        {"debug", 'D', CRI_FLAG, &s.debug, "Enable debug mode"},
        {"image-endpoint", 'i', CRI_TEXT, &s.image,
         "Endpoint of the image service [IMAGE_SERVICE_ENDPOINT]"},
        {"runtime-endpoint", 'r', CRI_TEXT, &s.runtime,
         "Endpoint of the runtime service [CONTAINER_RUNTIME_ENDPOINT, WARREN_HOST]"},
        {"timeout", 't', CRI_TEXT, &s.timeout, "How long calls that answer at once may take"},
    };
    int rest = 1;
    int r = cri_parse(options, ARRAY_SIZE(options), argc, argv, NULL, &rest, &err);
    if (r == 1 || (r == 0 && (rest >= argc || str_eq(argv[rest], "help")))) {
        print_help(options, ARRAY_SIZE(options));
        return EXIT_OK;
    }
    if (r == 0) {
        j.command = find_command(argv[rest]);
        if (!j.command)
            r = fail_plain(&err, EINVAL, "command '%s' not found", argv[rest]);
    }
    if (r == 0)
        r = settle(&s, &j.cri, &err);
    if (r == 0) {
        j.cri.command = j.command->name;
        j.argc = argc - rest;
        j.argv = argv + rest;
        if (s.debug)
            fprintf(stderr, "DEBU[0000] runtime endpoint %s, image endpoint %s\n", s.runtime,
                    s.image);
        r = start(&j, &s, &err);
    }
    if (r < 0)
        fprintf(stderr, "FATA[0000] %s\n", err.message);
    buffer_done(&s.file);
    return r < 0 ? EXIT_FAILED : r;
}
