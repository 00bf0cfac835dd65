/* SPDX-License-Identifier: Apache-2.0 */
/* POST /build */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "build/build.h"
#include "docker/answer.h"
#include "docker/job.h"
#include "docker/messages.h"
#include "image/json.h"

struct build_job {
    struct build_options options;
    char **tags, **args, **labels;
};

static void build_job_done(struct build_job *b)
{
    strv_free(b->tags);
    strv_free(b->args);
    strv_free(b->labels);
}
CLEANUP_DONE(build_job, struct build_job);

static void write_line(void *arg, const char *line, size_t len)
{
    fd_write_all(*(const int *)arg, line, len); /* a client that left is no reason to stop */
}

static int run(void *arg, int in, int out, struct error *err)
{
    struct build_job *b = arg;
    auto(image) struct image *image = NULL;
    b->options.context = in;
    b->options.say = write_line;
    b->options.arg = &out;
    return build_run(&b->options, &image, err);
}

/* {"A": "b", "C": null}: null means the client's environment has none, and the Dockerfile's default counts. */
static int read_pairs(const struct http_request *r, const char *name, char ***ret,
                      struct error *err)
{
    auto(json) json_object *o = NULL;
    int status = query_json(r, name, &o, err);
    if (status < 0 || !o)
        return status;
    if (!json_object_is_type(o, json_type_object))
        return fail_plain(err, EINVAL, "%s is no JSON object", name);
    json_object_object_foreach(o, key, value)
    {
        autofree char *pair =
            value ? str_format("%s=%s", key, json_object_get_string(value)) : NULL;
        if (value && (!pair || strv_add(ret, pair) < 0))
            return fail(err, ENOMEM, "read %s", name);
    }
    return 0;
}

static int read_options(struct docker *d, const struct http_request *r, struct build_job *b,
                        struct error *err)
{
    const char *platform = http_query(r, "platform");
    if (str_eq(str_or_empty(http_query(r, "version")), "2"))
        return fail_plain(
            err, ENOTSUP,
            "BuildKit is not supported: build with DOCKER_BUILDKIT=0 or warren build");
    if (!str_empty(http_query(r, "remote")))
        return fail_plain(err, ENOTSUP, "building from an address is not supported yet");
    if (query_flag(r, "pull"))
        return fail_plain(err, ENOTSUP, "images cannot be pulled yet: build without --pull");
    if (!str_empty(platform) && !str_eq(platform, "linux/amd64"))
        return fail_plain(err, ENOTSUP, "building for %s is not supported yet", platform);
    b->tags = query_all(r, "t");
    int status = read_pairs(r, "buildargs", &b->args, err);
    if (!status)
        status = read_pairs(r, "labels", &b->labels, err);
    b->options = (struct build_options){
        .images = d->images,
        .dockerfile = http_query(r, "dockerfile"),
        .tags = b->tags,
        .args = b->args,
        .labels = b->labels,
        .target = http_query(r, "target"),
        .quiet = query_flag(r, "q"),
    };
    return status;
}

static void say_error(struct http_request *r, const char *message)
{
    auto(json) json_object *o = stream_error_json(message);
    auto(buffer) struct buffer line = {0};
    if (json_print(o, &line) == 0)
        http_write(r, line.data, line.len, NULL);
}

void serve_build(struct docker *d, struct http_request *r)
{
    auto(build_job) struct build_job b = {0};
    struct error err = {0};
    struct job job;
    int status = read_options(d, r, &b, &err);
    b.options.cancelled = &job.cancelled;
    if (!status)
        status = job_start(&job, run, &b, &err);
    if (status < 0) {
        answer_error(r, &err);
        return;
    }
    job_feed(&job, r);
    job_drain(&job, r, "application/json");
    status = job_finish(&job, &err);
    if (status < 0 && job.streaming)
        say_error(r, err.message);
    else if (status < 0) /* before anything was said: the context or the Dockerfile's text */
        answer_message(r, 400, "%s", err.message);
    else if (!job.streaming)
        http_answer(r, 200, "application/json", "", 0, NULL);
}
