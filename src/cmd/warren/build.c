/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cmd/warren/client.h"
#include "cmd/warren/context.h"
#include "cmd/warren/human.h"
#include "cmd/warren/stream.h"
#include "cmd/warren/warren.h"
#include "image/json.h"

static const char usage[] = "build [OPTIONS] PATH | -";
static const char options_help[] =
    "      --build-arg list   Set build-time variables\n"
    "  -f, --file string      Name of the Dockerfile (default \"PATH/Dockerfile\"; \"-\": standard "
    "input)\n"
    "      --label list       Set metadata for an image\n"
    "      --no-cache         Nothing is cached: has no effect\n"
    "  -q, --quiet            Suppress the build output and print the image's ID\n"
    "  -t, --tag list         Name and optionally a tag (\"name:tag\")\n"
    "      --target string    Set the target build stage to build\n";

struct build {
    const struct warren *warren;
    const char *file, *target;
    char **tags;
    json_object *args, *labels;
    bool quiet;
    struct context *context;
    struct stream stream;
};

static void build_done(struct build *b)
{
    strv_free(b->tags);
    json_object_put(b->args);
    json_object_put(b->labels);
    stream_done(&b->stream);
}
CLEANUP_DONE(build, struct build);

static ssize_t read_context(void *arg, void *data, size_t size)
{
    return context_read(((struct build *)arg)->context, data, size);
}

static int write_stream(void *arg, const void *data, size_t len)
{
    return stream_write(&((struct build *)arg)->stream, data, len);
}

static void say_sent(void *arg)
{
    const struct build *b = arg;
    char size[HUMAN_MAX];
    if (!b->quiet)
        printf("Sending build context to Warren  %s\n", human_size(context_sent(b->context), size));
}

static int make_path(const struct build *b, struct buffer *path)
{
    int r = buffer_puts(path, "/build");
    for (char **t = b->tags; !r && t && *t; t++)
        r = query_add(path, "t", *t);
    if (!r)
        r = query_add(path, "dockerfile", context_dockerfile(b->context));
    if (!r)
        r = query_add(path, "buildargs",
                      json_object_to_json_string_ext(b->args, JSON_C_TO_STRING_PLAIN));
    if (!r)
        r = query_add(path, "labels",
                      json_object_to_json_string_ext(b->labels, JSON_C_TO_STRING_PLAIN));
    if (!r && b->target)
        r = query_add(path, "target", b->target);
    return r;
}

static int run(struct build *b, const char *dir, struct error *err)
{
    auto(buffer) struct buffer path = {0};
    int r = context_open(dir, b->file, &b->context, err);
    if (r < 0)
        return r;
    b->stream.quiet = b->quiet;
    b->stream.begin = say_sent;
    b->stream.arg = b;
    r = make_path(b, &path);
    struct client_call call = {.method = "POST",
                               .path = buffer_text(&path),
                               .content_type = "application/x-tar",
                               .read = read_context,
                               .write = write_stream,
                               .arg = b};
    struct error sending = {0};
    r = r < 0 ? fail(err, r, "build") : client_do(b->warren->host, &call, err);
    if (context_close(b->context, &sending) < 0)
        return fail_with(err, &sending);
    if (!r && b->stream.error)
        r = fail_plain(err, EINVAL, "%s", b->stream.error);
    if (!r && !b->stream.image_id)
        r = fail_plain(err, EPROTO, "the engine's answer ended before the build did");
    if (!r && b->quiet)
        puts(b->stream.image_id);
    return r;
}

/* "A=b"; "A" takes what the environment has. */
static void add_arg(json_object *o, const char *text, bool from_environment)
{
    const char *equals = strchr(text, '=');
    autofree char *name = strndup(text, equals ? (size_t)(equals - text) : strlen(text));
    const char *value = equals ? equals + 1 : from_environment ? getenv(text) : "";
    if (name)
        json_object_object_add(o, name, value ? json_string(value) : NULL);
}

static int read_option(struct build *b, int c)
{
    switch (c) {
    case 't':
        return strv_add(&b->tags, optarg);
    case 'f':
        b->file = optarg;
        return 0;
    case 'q':
        b->quiet = true;
        return 0;
    case 'a':
        add_arg(b->args, optarg, true);
        return 0;
    case 'l':
        add_arg(b->labels, optarg, false);
        return 0;
    case 'T':
        b->target = optarg;
        return 0;
    case 'n': /* there is no cache */
        return 0;
    default:
        return -EINVAL;
    }
}

int command_build(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {{"tag", required_argument, NULL, 't'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"build-arg", required_argument, NULL, 'a'},
                                            {"label", required_argument, NULL, 'l'},
                                            {"target", required_argument, NULL, 'T'},
                                            {"no-cache", no_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    auto(build) struct build b = {
        .warren = w, .args = json_object_new_object(), .labels = json_object_new_object()};
    struct error err = {0};
    for (int c; (c = getopt_long(argc, argv, "t:f:qh", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(usage, "Build an image from a Dockerfile", options_help);
        if (read_option(&b, c) < 0)
            return complain_flag(usage, argv);
    }
    if (argc - optind != 1)
        return complain_arguments("build", "1 argument", usage);
    if (b.file && str_eq(b.file, "-") && str_eq(argv[optind], "-")) {
        fail_plain(&err, EINVAL,
                   "invalid argument: can't use stdin for both build context and dockerfile");
        return complain(&err);
    }
    return run(&b, argv[optind], &err) < 0 ? complain(&err) : EXIT_OK;
}
