/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "cmd/warren/client.h"
#include "cmd/warren/human.h"
#include "cmd/warren/warren.h"
#include "docker/messages.h"
#include "image/json.h"

static const char usage[] = "images [OPTIONS] [REPOSITORY[:TAG]]";
static const char options_help[] =
    "  -a, --all             Show all images\n"
    "      --digests         Show digests\n"
    "  -f, --filter filter   Filter by reference=, label=, dangling=\n"
    "      --format string   \"table\" (default) or \"json\"\n"
    "      --no-trunc        Don't truncate output\n"
    "  -q, --quiet           Only show image IDs\n";

struct listing {
    bool all, digests, no_trunc, quiet, json;
    json_object *filters;
    char **cells; /* of the table */
    size_t rows;
};

static void listing_done(struct listing *l)
{
    json_object_put(l->filters);
    strv_free(l->cells);
}
CLEANUP_DONE(listing, struct listing);

static int add_filter(struct listing *l, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return fail_plain(
            err, EINVAL,
            "invalid argument \"%s\" for \"-f, --filter\" flag: invalid filter: must be "
            "NAME=VALUE",
            text);
    autofree char *name = strndup(text, (size_t)(equals - text));
    if (!name)
        return fail(err, ENOMEM, "list images");
    json_object *values = json_member(l->filters, name, json_type_object);
    if (!values) {
        values = json_object_new_object();
        json_object_object_add(l->filters, name, values);
    }
    json_object_object_add(values, equals + 1, json_object_new_boolean(true));
    return 0;
}

/* A row: one name of an image. */
struct row {
    const char *repository, *tag, *digest;
    char id[80], since[HUMAN_MAX + 8], at[40], size[HUMAN_MAX];
};

static void describe(const struct listing *l, const struct image_summary *s, struct row *row)
{
    char duration[HUMAN_MAX];
    const char *digits = str_after(s->id, "sha256:");
    if (l->no_trunc)
        snprintf(row->id, sizeof row->id, "%s", s->id);
    else
        snprintf(row->id, sizeof row->id, "%.12s", digits ? digits : s->id);
    if (s->created_s > 0)
        snprintf(row->since, sizeof row->since, "%s ago",
                 human_duration(time(NULL) - s->created_s, duration));
    else
        snprintf(row->since, sizeof row->since, "N/A");
    struct tm tm;
    time_t created = s->created_s;
    localtime_r(&created, &tm);
    strftime(row->at, sizeof row->at, "%Y-%m-%d %H:%M:%S %z %Z", &tm);
    human_size(s->size, row->size);
}

static void print_json(const struct row *row)
{
    auto(json) json_object *o = json_object_new_object();
    auto(buffer) struct buffer text = {0};
    json_object_object_add(o, "Containers", json_string("N/A"));
    json_object_object_add(o, "CreatedAt", json_string(row->at));
    json_object_object_add(o, "CreatedSince", json_string(row->since));
    json_object_object_add(o, "Digest", json_string(row->digest));
    json_object_object_add(o, "ID", json_string(row->id));
    json_object_object_add(o, "Repository", json_string(row->repository));
    json_object_object_add(o, "SharedSize", json_string("N/A"));
    json_object_object_add(o, "Size", json_string(row->size));
    json_object_object_add(o, "Tag", json_string(row->tag));
    json_object_object_add(o, "UniqueSize", json_string("N/A"));
    if (json_print(o, &text) == 0)
        fputs(buffer_text(&text), stdout);
}

static void add_cells(struct listing *l, const struct row *row)
{
    strv_add(&l->cells, row->repository);
    strv_add(&l->cells, row->tag);
    if (l->digests)
        strv_add(&l->cells, row->digest);
    strv_add(&l->cells, row->id);
    strv_add(&l->cells, row->since);
    strv_add(&l->cells, row->size);
    l->rows++;
}

static void show_row(struct listing *l, const struct row *row)
{
    if (l->quiet)
        puts(row->id);
    else if (l->json)
        print_json(row);
    else
        add_cells(l, row);
}

/* The digest of a repository ("busybox"), "<none>". */
static const char *digest_of_repository(const struct image_summary *s, const char *repository)
{
    for (char **d = s->digests; d && *d; d++) {
        const char *rest = str_after(*d, repository);
        if (rest && *rest == '@')
            return rest + 1;
    }
    return "<none>";
}

static void show(struct listing *l, const struct image_summary *s)
{
    struct row row = {.repository = "<none>", .tag = "<none>", .digest = "<none>"};
    describe(l, s, &row);
    for (char **t = s->tags; t && *t; t++) {
        autofree char *repository = strdup(*t);
        char *colon = repository ? strrchr(repository, ':') : NULL;
        if (!colon)
            continue;
        *colon = 0;
        row.repository = repository;
        row.tag = colon + 1;
        row.digest = digest_of_repository(s, repository);
        show_row(l, &row);
    }
    if (!s->tags || !*s->tags)
        show_row(l, &row);
}

static int list(const struct warren *w, struct listing *l, struct error *err)
{
    auto(buffer) struct buffer path = {0};
    auto(json) json_object *images = NULL;
    const char *filters = json_object_to_json_string_ext(l->filters, JSON_C_TO_STRING_PLAIN);
    buffer_puts(&path, "/images/json");
    if (l->all)
        query_add(&path, "all", "1");
    if (query_add(&path, "filters", filters) < 0)
        return fail(err, ENOMEM, "list images");
    int r = client_json(w->host, "GET", buffer_text(&path), &images, err);
    if (!r && !l->quiet && !l->json) {
        const struct row head = {.repository = "REPOSITORY",
                                 .tag = "TAG",
                                 .digest = "DIGEST",
                                 .id = "IMAGE ID",
                                 .since = "CREATED",
                                 .size = "SIZE"};
        add_cells(l, &head);
    }
    for (size_t i = 0; !r && i < json_length(images); i++) {
        auto(image_summary) struct image_summary s = {0};
        r = image_summary_read(json_object_array_get_idx(images, i), &s, err);
        if (!r)
            show(l, &s);
    }
    if (!r && l->cells)
        table_print(l->cells, l->digests ? 6 : 5, l->rows);
    return r;
}

static int read_option(struct listing *l, int c, struct error *err)
{
    switch (c) {
    case 'a':
        l->all = true;
        return 0;
    case 'd':
        l->digests = true;
        return 0;
    case 'n':
        l->no_trunc = true;
        return 0;
    case 'q':
        l->quiet = true;
        return 0;
    case 'f':
        return add_filter(l, optarg, err);
    case 'F':
        l->json = str_eq(optarg, "json");
        if (!l->json && !str_eq(optarg, "table"))
            return fail_plain(err, ENOTSUP,
                              "--format %s: only \"table\" and \"json\" are supported yet", optarg);
        return 0;
    default:
        return -EINVAL;
    }
}

int command_images(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},          {"digests", no_argument, NULL, 'd'},
        {"no-trunc", no_argument, NULL, 'n'},     {"quiet", no_argument, NULL, 'q'},
        {"format", required_argument, NULL, 'F'}, {"filter", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},         {0}};
    auto(listing) struct listing l = {.filters = json_object_new_object()};
    struct error err = {0};
    for (int c; (c = getopt_long(argc, argv, "aqf:h", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(usage, "List images", options_help);
        int r = read_option(&l, c, &err);
        if (r < 0)
            return err.code ? complain(&err) : complain_flag(usage, argv);
    }
    if (argc - optind > 1)
        return complain_arguments("images", "at most 1 argument", usage);
    if (optind < argc) {
        autofree char *filter = str_format("reference=%s", argv[optind]);
        if (!filter || add_filter(&l, filter, &err) < 0)
            return complain(&err);
    }
    return list(w, &l, &err) < 0 ? complain(&err) : EXIT_OK;
}
