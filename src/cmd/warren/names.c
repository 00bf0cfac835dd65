/* SPDX-License-Identifier: Apache-2.0 */
/* tag and rmi */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "cmd/warren/client.h"
#include "cmd/warren/warren.h"
#include "image/json.h"

static const char tag_usage[] = "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]";
static const char rmi_usage[] = "rmi [OPTIONS] IMAGE [IMAGE...]";

static int tag(const struct warren *w, const char *source, const char *target, struct error *err)
{
    auto(buffer) struct buffer path = {0};
    auto(json) json_object *answer = NULL;
    autofree char *name = path_escape(source);
    autofree char *repository = strdup(target);
    if (!name || !repository)
        return fail(err, ENOMEM, "tag");
    char *slash = strrchr(repository, '/');
    char *colon = strchr(slash ? slash : repository, ':');
    if (colon)
        *colon = 0;
    buffer_printf(&path, "/images/%s/tag", name);
    if (query_add(&path, "repo", repository) < 0 ||
        query_add(&path, "tag", colon ? colon + 1 : "") < 0)
        return fail(err, ENOMEM, "tag");
    return client_json(w->host, "POST", buffer_text(&path), &answer, err);
}

int command_tag(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct error err = {0};
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        return c == 'h' ? print_usage(tag_usage, "Give an image another name", "")
                        : complain_flag(tag_usage, argv);
    if (argc - optind != 2)
        return complain_arguments("tag", "2 arguments", tag_usage);
    return tag(w, argv[optind], argv[optind + 1], &err) < 0 ? complain(&err) : EXIT_OK;
}

static int remove_image(const struct warren *w, const char *image, bool force, struct error *err)
{
    auto(json) json_object *list = NULL;
    autofree char *name = path_escape(image);
    autofree char *path = name ? str_format("/images/%s%s", name, force ? "?force=1" : "") : NULL;
    if (!path)
        return fail(err, ENOMEM, "remove");
    int r = client_json(w->host, "DELETE", path, &list, err);
    for (size_t i = 0; !r && i < json_length(list); i++) {
        json_object *o = json_object_array_get_idx(list, i);
        const char *untagged = json_text(o, "Untagged"), *deleted = json_text(o, "Deleted");
        if (untagged)
            printf("Untagged: %s\n", untagged);
        if (deleted)
            printf("Deleted: %s\n", deleted);
    }
    return r;
}

int command_rmi(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {{"force", no_argument, NULL, 'f'},
                                            {"no-prune", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool force = false;
    int result = EXIT_OK;
    for (int c; (c = getopt_long(argc, argv, "fh", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(rmi_usage, "Remove one or more images",
                               "  -f, --force   Force removal of the image\n");
        if (c == 'p')
            fprintf(stderr,
                    "warren: --no-prune has no effect: parents are not images of their own\n");
        else if (c != 'f')
            return complain_flag(rmi_usage, argv);
        force = force || c == 'f';
    }
    if (optind == argc)
        return complain_arguments("rmi", "at least 1 argument", rmi_usage);
    for (int i = optind; i < argc; i++) {
        struct error err = {0};
        if (remove_image(w, argv[i], force, &err) == 0)
            continue;
        result = complain(&err);
        if (err.code == -ENOENT && force) /* it is as gone as was asked for */
            result = EXIT_OK;
    }
    return result;
}
