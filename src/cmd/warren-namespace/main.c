/* SPDX-License-Identifier: Apache-2.0 */
/* warren-namespace: the sandboxer of the namespace technique. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/base.h"
#include "namespace/namespace.h"

struct arguments {
    const char *listen, *dir, *config;
    enum diag_level level;
    char *cgroup_parent; /* of the configuration */
};

static void usage(FILE *to)
{
    fputs("Usage: warren-namespace --listen SOCKET --dir DIR [OPTIONS]\n"
          "\n"
          "Pods by Linux namespaces and cgroups, for warrend, containerd 2 or iSulad.\n"
          "\n"
          "Options:\n"
          "      --listen SOCKET     Where to serve the Sandbox API, the Task API and Warren's "
          "extension\n"
          "      --dir DIR           State: the sockets of the pods' keepers; made 0700\n"
          "      --log-level LEVEL   debug, info, warn, error or fatal (default info)\n"
          "      --config FILE       JSON: {\"cgroup-parent\": \"NAME, or an absolute path\"} "
          "(default \"warren\")\n"
          "  -v, --version           Print the version and exit\n"
          "  -h, --help              Print this and exit\n",
          to);
}

/* -ECANCELED where --help or --version has been answered. */
static int parse(struct arguments *a, int argc, char **argv, struct error *err)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'L'},
        {"dir", required_argument, NULL, 'd'},
        {"log-level", required_argument, NULL, 'l'},
        {"config", required_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "vh", options, NULL)) != -1;) {
        switch (option) {
        case 'L':
            a->listen = optarg;
            break;
        case 'd':
            a->dir = optarg;
            break;
        case 'c':
            a->config = optarg;
            break;
        case 'l':
            if (!diag_parse_level(optarg, &a->level))
                return fail_plain(err, EINVAL,
                                  "--log-level '%s': expected debug, info, warn, error or fatal",
                                  optarg);
            break;
        case 'h':
            usage(stdout);
            return -ECANCELED;
        case 'v':
            puts("Warren version " WARREN_VERSION);
            return -ECANCELED;
        default:
            return fail_plain(err, EINVAL, "see warren-namespace --help");
        }
    }
    if (optind < argc)
        return fail_plain(err, EINVAL, "unexpected argument '%s'; see warren-namespace --help",
                          argv[optind]);
    if (!a->listen || !a->dir)
        return fail_plain(err, EINVAL,
                          "--listen and --dir are needed; see warren-namespace --help");
    return 0;
}

static int use_config(struct arguments *a, json_object *config, struct error *err)
{
    if (!json_object_is_type(config, json_type_object))
        return fail_plain(err, EINVAL, "%s: expected a JSON object", a->config);
    json_object_object_foreach(config, key, value)
    {
        if (!str_eq(key, "cgroup-parent"))
            return fail_plain(err, EINVAL, "%s: unknown key '%s'; cgroup-parent is known",
                              a->config, key);
        if (!json_object_is_type(value, json_type_string))
            return fail_plain(err, EINVAL, "%s: cgroup-parent: expected a string, not %s",
                              a->config, json_object_to_json_string(value));
        free(a->cgroup_parent);
        a->cgroup_parent = strdup(json_object_get_string(value));
    }
    return 0;
}

static int read_config(struct arguments *a, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    if (!a->config)
        return 0;
    int r = file_read(AT_FDCWD, a->config, 1 << 20, &text, err);
    if (r < 0)
        return r;
    json_tokener *tokener = json_tokener_new();
    if (!tokener)
        return fail(err, ENOMEM, "read '%s'", a->config);
    json_object *config = json_tokener_parse_ex(tokener, buffer_text(&text), (int)text.len + 1);
    if (config)
        r = use_config(a, config, err);
    else
        r = fail_plain(err, EINVAL, "%s: byte %zu: %s", a->config,
                       json_tokener_get_parse_end(tokener),
                       json_tokener_error_desc(json_tokener_get_error(tokener)));
    json_object_put(config);
    json_tokener_free(tokener);
    return r;
}

static int serve(const struct arguments *a, struct error *err)
{
    struct namespaces *t = NULL;
    const struct namespace_options options = {.dir = a->dir, .cgroup_parent = a->cgroup_parent};
    const struct sandboxer_options serving = {.listen = a->listen, .dir = a->dir};
    int r = dir_make(AT_FDCWD, a->dir, 0700, err);
    if (r == 0)
        r = namespaces_new(&options, &t, err);
    if (r == 0)
        r = sandboxer_run(&namespace_technique, t, &serving, err);
    namespaces_free(t);
    return r;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct arguments a = {.level = DIAG_INFO};
    int r = parse(&a, argc, argv, &err);
    if (r == -ECANCELED)
        return 0;
    diag_init("warren-namespace", a.level);
    if (r == 0)
        r = read_config(&a, &err);
    if (r == 0)
        r = serve(&a, &err);
    free(a.cgroup_parent);
    if (r < 0)
        diag_error("%s", err.message);
    return r < 0 ? 1 : 0;
}
